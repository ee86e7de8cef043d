"""Rows: the caller speaks while the agent does, over a network with jitter."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.adversity.cast import BOOKING, BYE, HOLD_ON, MM_HM, PARKING, WHITENING
from bench.adversity.plan import BRISK, PATIENT, USUAL, Line, Over, Plan
from bench.adversity.play import call_row
from bench.adversity.types import Bars, Row
from engine.sim.carrier_call import CarrierOptions
from engine.sim.echo import EchoPath
from engine.sim.network import Network, Route
from engine.sim.phone import PhoneOptions
from engine.sim.report import PhoneReport
from engine.sim.scenario import HangUp

BARGE_IN = Bars(barge_in_ms=200.0)


def _jitter(rng: random.Random) -> Callable[[], Route]:
    seed = rng.randrange(1 << 30)
    return lambda: Network(seed, delay_ms=20, jitter_ms=30)


def interrupts(rng: random.Random) -> Plan:
    """Two barge-ins, at seeded instants of two answers."""
    over = [Over(text, after_ms=rng.uniform(400.0, 2500.0)) for text in (HOLD_ON, WHITENING)]
    steps = (BRISK, Line(PARKING), over[0], PATIENT, Line(PARKING), over[1], PATIENT, Line(BYE), PATIENT, HangUp())
    return Plan(steps, network=_jitter(rng), pace=rng.choice((1.0, 3.0)), books=0)


def agrees(rng: random.Random) -> Plan:
    """ "Mm-hm" into an answer, which goes on."""
    over = Over(MM_HM, after_ms=rng.uniform(400.0, 2500.0))
    steps = (BRISK, Line(PARKING), over, PATIENT, Line(WHITENING), PATIENT, HangUp())
    return Plan(steps, network=_jitter(rng), pace=rng.choice((1.0, 3.0)), books=0, check=_never_cut)


def echoes(rng: random.Random) -> Plan:
    """The line gives back what the agent says, fainter; nobody interrupts."""
    echo = EchoPath(delay_ms=rng.uniform(40.0, 260.0), loss_db=rng.uniform(14.0, 30.0))
    carrier = CarrierOptions(phone=PhoneOptions(echo=echo))
    steps = (BRISK, Line(PARKING), PATIENT, Line(WHITENING), PATIENT, HangUp())
    return Plan(steps, network=_jitter(rng), options=replace(USUAL, carrier=carrier), books=0, check=_never_cut)


def into_a_write(rng: random.Random) -> Plan:
    """The caller speaks while their booking is being made: it is made, once."""
    over = Over(HOLD_ON, after_ms=rng.uniform(100.0, 1200.0))
    steps = (BRISK, Line(BOOKING), over, PATIENT, Line(BYE), PATIENT, HangUp())
    return Plan(steps, network=_jitter(rng), booking_takes_s=rng.uniform(1.5, 5.0))


def _never_cut(report: PhoneReport, timeline: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    cut = [moment for moment in timeline if moment["kind"] in {"cut", "interrupted"}]
    unanswered = report.given_up
    return (*(("the agent was cut off",) if cut else ()), *(("an answer never came",) if unanswered else ()))


ROWS: tuple[Row, ...] = (
    call_row("barge-in", "barge-in", "the caller interrupts", interrupts, BARGE_IN),
    call_row("backchannel", "barge-in", '"mm-hm" into an answer', agrees),
    call_row("echo", "barge-in", "far-end echo", echoes),
    call_row("barge-in-write", "barge-in", "the caller speaks into a booking under way", into_a_write),
)
