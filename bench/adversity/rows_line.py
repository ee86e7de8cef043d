"""Rows: the way between the caller and us breaks, stalls or bursts, and the caller puts the phone down at any time."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import trio

from bench.adversity.cast import BOOKING, PARKING, WHITENING
from bench.adversity.plan import BOOKS, BRISK, PATIENT, SECOND, USUAL, Line, Plan, Step, conversation
from bench.adversity.play import call_row
from bench.adversity.types import Bars, Row
from engine.sim.caller import CallOptions
from engine.sim.carrier_call import CarrierOptions
from engine.sim.network import Hole, Network, NullNetwork, Route
from engine.sim.phone import PhoneOptions
from engine.sim.report import PhoneReport
from engine.sim.scenario import Ending, HangUp, LoseStream, StayOn, Wait

LINE = Bars(silence_ms=3000.0, return_ms=3000.0)
HANG_UPS = (Ending.STOP_THEN_CLOSE, Ending.STOP_ONLY, Ending.CLOSE_ONLY, Ending.RESET)


def cut(how: Ending) -> Callable[[random.Random], Plan]:
    """The stream is lost at a seeded instant of an answer, or of the caller's own thinking."""

    def plan(rng: random.Random) -> Plan:
        turn = rng.randrange(3)
        steps: list[Step] = []
        for at, text in enumerate((PARKING, BOOKING, WHITENING)[: max(turn + 1, 2)]):
            steps += [PATIENT if at > turn else BRISK, Line(text)]
            if at == turn:
                steps += [Wait(rng.uniform(0.3, 5.5)), LoseStream(how)]
        return Plan((*steps, PATIENT, HangUp()), pace=rng.choice((1.0, 3.0)))

    return plan


def over_and_over(rng: random.Random) -> Plan:
    """Lost once more each time that it was taken up, until nobody takes it up and the static script speaks."""
    how = rng.choice((Ending.RESET, Ending.CLOSE_ONLY, Ending.HALF_OPEN))
    lost: list[Step] = []
    for _ in range(4):
        lost += [LoseStream(how), Wait(rng.uniform(1.0, 5.0))]
    steps = (BRISK, Line(PARKING), Wait(rng.uniform(0.5, 3.0)), *lost, StayOn(timeout_s=60.0))
    return Plan(steps, books=0, script_may_end=True)


PLAIN_PHONE = PhoneOptions()


def with_network(
    network: Callable[[random.Random], Callable[[], Route]], phone: PhoneOptions = PLAIN_PHONE
) -> Callable[[random.Random], Plan]:
    """An ordinary conversation over this way."""

    def plan(rng: random.Random) -> Plan:
        options = replace(USUAL, carrier=CarrierOptions(phone=phone))
        return Plan(conversation(turns=SECOND, rng=rng), network=network(rng), options=options)

    return plan


def hole(*, kept: bool) -> Callable[[random.Random], Plan]:
    """Five seconds of no frames while the caller listens: a real one who was not heard would say it again."""

    def plan(rng: random.Random) -> Plan:
        since_s = rng.uniform(0.2, 1.5)
        down = (1000 * since_s, 1000 * since_s + 5000.0)
        steps = (PATIENT, Wait(3.5), *conversation(turns=BOOKS, rng=rng)[1:])
        return Plan(steps, network=lambda: Hole(trio.current_time() + since_s, 5.0, kept=kept), line_down=(down,))

    return plan


def spoken_into_hole(rng: random.Random) -> Plan:
    """The caller asks while frames are held: answered when it comes; or, where it was cut in two, asked to repeat."""
    since_s = rng.uniform(2.2, 4.6)  # the question is asked from 2.8 to 5.0
    down = (1000 * since_s, 1000 * since_s + 5000.0)

    def heard(report: PhoneReport, timeline: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        del report
        said = [str(moment["text"]) for moment in timeline if moment["kind"] == "agent" and moment["at_ms"] > down[1]]
        understood = any("Parking is free" in text or "say it again" in text for text in said)
        return () if understood else ("what was said while frames were held was lost",)

    steps = (BRISK, Line(PARKING), PATIENT, Line(BOOKING), PATIENT, HangUp())
    return Plan(
        steps,
        network=lambda: Hole(trio.current_time() + since_s, 5.0, kept=True),
        line_down=(down,),
        pace=rng.choice((1.0, 3.0)),
        check=heard,
    )


def dead(rng: random.Random) -> Plan:
    """Nothing comes for longer than a line is believed in: given up by us, and brought back by the carrier."""
    since_s = rng.uniform(3.0, 5.0)
    down = (1000 * since_s, 1000 * since_s + 13_000.0)
    steps = (BRISK, Wait(10.0), PATIENT, Line(BOOKING), PATIENT, HangUp())
    return Plan(steps, network=lambda: Hole(trio.current_time() + since_s, 13.0, kept=False), line_down=(down,))


def hang_up(rng: random.Random) -> Plan:
    """At any instant, in any way that a carrier can say so."""
    options = replace(
        USUAL, carrier=CarrierOptions(ending=rng.choice(HANG_UPS)), hang_up_after_s=rng.uniform(0.02, 32.0)
    )
    return Plan((*conversation(), StayOn()), options=options, books=None, booking_takes_s=rng.choice((0.0, 2.0)))


def called_back(carrier: CarrierOptions, *, duplicate: bool = False) -> Callable[[random.Random], Plan]:
    """Webhooks twice; the stream's own callbacks early, late, or never."""

    def plan(rng: random.Random) -> Plan:
        options: CallOptions = replace(USUAL, duplicate_webhook=duplicate, carrier=carrier)
        return Plan(conversation(turns=SECOND, rng=rng), options=options)

    return plan


def _slow_reader(rng: random.Random) -> Plan:
    """Reads less than is spoken: all is heard late, which is the carrier's doing and not silence of ours."""
    carrier = CarrierOptions(phone=PhoneOptions(slow_reader_bytes_per_s=rng.uniform(14_000, 40_000)))
    return Plan(conversation(turns=SECOND, rng=rng), options=replace(USUAL, carrier=carrier))


ROWS: tuple[Row, ...] = (
    call_row("stream-reset", "line", "media websocket reset", cut(Ending.RESET), LINE),
    call_row("stream-closed", "line", "media websocket closed without `stop`", cut(Ending.CLOSE_ONLY), LINE),
    call_row("stream-half-open", "line", "media websocket half-open", cut(Ending.HALF_OPEN), LINE),
    call_row("stream-over-and-over", "line", "lost again and again: the static script", over_and_over, LINE),
    call_row("no-frames-lost", "line", "5 s of no frames, lost", hole(kept=False), LINE),
    call_row("no-frames-held", "line", "5 s of no frames, then all at once", hole(kept=True), LINE),
    call_row("no-frames-spoken", "line", "a question into 5 s of frames that are held", spoken_into_hole, LINE),
    call_row("line-dead", "line", "no frames any more: taken up anew", dead, LINE),
    call_row(
        "bursts",
        "line",
        "bursts of 250 ms",
        with_network(
            lambda rng: lambda: Network(rng.randrange(1 << 30), delay_ms=40, jitter_ms=60, hold_probability=0.08)
        ),
    ),
    call_row(
        "losses",
        "line",
        "3 % of the frames lost, jitter",
        with_network(lambda rng: lambda: Network(rng.randrange(1 << 30), jitter_ms=20, loss_probability=0.03)),
    ),
    call_row(
        "odd-sizes",
        "line",
        "media messages of odd sizes",
        with_network(lambda _: NullNetwork, PhoneOptions(chunk_bytes=(1, 7, 160, 333, 8, 801))),
    ),
    call_row("slow-reader", "line", "the carrier reads slowly", _slow_reader, LINE),
    call_row(
        "start-twice",
        "line",
        "duplicate `start`",
        with_network(lambda _: NullNetwork, PhoneOptions(starts=2)),
        LINE,
    ),
    call_row(
        "voice-webhook-twice",
        "line",
        "the call is announced twice",
        called_back(CarrierOptions(), duplicate=True),
        LINE,
    ),
    call_row(
        "callbacks-before",
        "line",
        "stream callback before its stream",
        called_back(CarrierOptions(callbacks_first=True)),
    ),
    call_row(
        "callbacks-late",
        "line",
        "stream callbacks late",
        called_back(CarrierOptions(callbacks_late_s=4.0)),
    ),
    call_row(
        "callbacks-never",
        "line",
        "stream callbacks never",
        called_back(CarrierOptions(stream_callbacks=False)),
    ),
    call_row("hang-up", "line", "the caller hangs up, at any time, in any way", hang_up),
)
