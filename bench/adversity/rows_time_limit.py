"""Rows: the provider's connections end after a time; the successor takes over unheard."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.adversity.plan import BOOKS, GREETING, QUESTION, SECOND, Plan, any_turn, conversation
from bench.adversity.play import call_row
from bench.adversity.types import Row
from engine.sim.moods import GoAway, GoAwayInSpeech, Rule
from engine.sim.report import PhoneReport


def _plan(rng: random.Random, mood: GoAway, turn: int) -> Plan:
    return Plan(
        conversation(patient_from=max(turn, GREETING), rng=rng),
        rules=(Rule(mood, connection=1, turn=turn),),
        pace=rng.choice((1.0, 3.0)),
        think_ms=rng.randrange(150, 600, 10),
    )


def _unheard(report: PhoneReport, timeline: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Where there was time, the caller hears nothing of it."""
    del report
    return tuple(f"the caller was told: {moment['text']}" for moment in timeline if moment["kind"] == "script")


def quiet(rng: random.Random) -> Plan:
    """Said between turns, with time left."""
    return replace(_plan(rng, GoAway(rng.uniform(3.0, 30.0), quiet=True), any_turn(rng)), check=_unheard)


def midway(rng: random.Random) -> Plan:
    """Said in the middle of a turn, with time left."""
    return replace(_plan(rng, GoAway(rng.uniform(3.0, 30.0)), any_turn(rng)), check=_unheard)


def at_once(rng: random.Random) -> Plan:
    """Said with hardly any time left."""
    return _plan(rng, GoAway(rng.uniform(0.0, 1.0), quiet=rng.random() < 0.5), any_turn(rng))


def early(rng: random.Random) -> Plan:
    """Closes sooner than it said."""
    return _plan(rng, GoAway(30.0, closes_after_s=rng.uniform(0.2, 6.0)), any_turn(rng))


def in_booking(rng: random.Random) -> Plan:
    """While a booking is being made, which takes a while."""
    return replace(_plan(rng, GoAway(rng.uniform(0.5, 6.0)), BOOKS), booking_takes_s=rng.uniform(0.5, 3.0))


def again(rng: random.Random) -> Plan:
    """One session after the other is told to go."""
    rules = [Rule(GoAway(rng.uniform(1.0, 8.0)), connection=number, turn=1) for number in (2, 3)]
    first = _plan(rng, GoAway(rng.uniform(1.0, 8.0)), rng.choice((QUESTION, SECOND)))
    return replace(first, rules=(*first.rules, *rules))


def in_speech(rng: random.Random) -> Plan:
    """Said while the caller speaks, with time left: the turn goes on with the successor."""
    return replace(_spoken_into(rng, rng.uniform(3.0, 30.0)), check=_unheard)


def closed_in_speech(rng: random.Random) -> Plan:
    """Said and done while the caller speaks: they are told, and asked what they wanted. This caller does not say it."""
    return replace(_spoken_into(rng, rng.uniform(0.0, 1.0)), books=None)


def _spoken_into(rng: random.Random, time_left_s: float) -> Plan:
    turn = rng.choice((QUESTION, BOOKS, SECOND))
    mood = GoAwayInSpeech(time_left_s, rng.uniform(0.0, 1.5))
    return Plan(
        conversation(patient_from=turn, rng=rng),
        rules=(Rule(mood, connection=1, turn=turn),),
        pace=rng.choice((1.0, 3.0)),
        think_ms=rng.randrange(150, 600, 10),
    )


OWN_LIMIT_S = 70.0  # the least that the setting takes: our own clock asks for a successor after 10 s


def own_clock(rng: random.Random) -> Plan:
    """Nobody says anything: the connection is known to end, and each session hands over before its time."""
    return Plan(
        conversation(rng=rng),
        settings={"gemini_connection_s": OWN_LIMIT_S},
        pace=rng.choice((1.0, 1.5, 3.0)),
        think_ms=rng.randrange(150, 600, 10),
        booking_takes_s=rng.choice((0.0, rng.uniform(0.5, 3.0))),
        check=_handed_over,
    )


def _handed_over(report: PhoneReport, timeline: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    renewed = any(moment["kind"] == "handover" and moment["text"] == "next session" for moment in timeline)
    return (*(() if renewed else ("no session was renewed",)), *_unheard(report, timeline))


ROWS: tuple[Row, ...] = (
    call_row("goaway-quiet", "time-limit", "goAway between turns", quiet),
    call_row("goaway-midway", "time-limit", "goAway in mid-turn", midway),
    call_row("goaway-at-once", "time-limit", "goAway with at most 1 s left", at_once),
    call_row("goaway-early", "time-limit", "goAway, and closed sooner than said", early),
    call_row("goaway-in-booking", "time-limit", "goAway while a booking is made", in_booking),
    call_row("goaway-in-speech", "time-limit", "goAway while the caller speaks", in_speech),
    call_row("goaway-cuts-speech", "time-limit", "goAway and close while the caller speaks", closed_in_speech),
    call_row("own-clock", "time-limit", "no goAway: our own clock hands over", own_clock),
    call_row("goaway-again", "time-limit", "goAway again and again", again),
)
