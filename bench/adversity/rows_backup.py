"""Rows: a model's first endpoint is gone, and its other one serves."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.adversity.plan import BOOKS, GREETING, SECOND, Plan, any_turn, conversation
from bench.adversity.play import call_row
from bench.adversity.types import Row
from engine.sim.moods import QUOTA_AT_HANDSHAKE, QUOTA_AT_START, Cut, Deaf, Mood, Refuse, Rule, Silent
from engine.sim.report import PhoneReport

BACKUP = "gemini-live-backup"


def _plan(rng: random.Random, turn: int, rules: Sequence[Rule], backup: Sequence[Rule] = ()) -> Plan:
    return Plan(
        conversation(patient_from=turn, turns=max(BOOKS, turn + 1), rng=rng),
        rules=tuple(rules),
        backup=tuple(backup),
        pace=rng.choice((1.0, 1.5, 3.0)),
        think_ms=rng.randrange(150, 600, 10),
        check=_served_by_the_other,
    )


def _refused(rng: random.Random) -> Refuse:
    return rng.choice((Refuse("reset"), Refuse("http"), Refuse("close"), QUOTA_AT_HANDSHAKE, QUOTA_AT_START))


def gone(make: Callable[[random.Random], Mood]) -> Callable[[random.Random], Plan]:
    """Lost in a turn, and never there again: the conversation goes on at the other endpoint."""

    def plan(rng: random.Random) -> Plan:
        turn = any_turn(rng)
        away = [Rule(_refused(rng), connection=number) for number in range(2, 40)]
        return _plan(rng, turn, (Rule(make(rng), connection=1, turn=turn), *away))

    return plan


def refused(rng: random.Random) -> Plan:
    """Never there at all: the caller is greeted by the other endpoint, and hears nothing of it."""
    plan = _plan(rng, GREETING, (Rule(_refused(rng), times=None),))
    return replace(plan, check=_greeted_by_the_other)


def both(rng: random.Random) -> Plan:
    """The first is gone, the other fails too, once; then it serves."""
    turn = any_turn(rng, (BOOKS, SECOND))
    away = [Rule(_refused(rng), connection=number) for number in range(2, 40)]
    lost = Rule(Cut(1011, after_ms=rng.randrange(0, 2000, 20)), connection=1, turn=turn)
    failing = rng.choice((Rule(_refused(rng), connection=1), Rule(Cut(1006), connection=1, turn=1)))
    return _plan(rng, turn, (lost, *away), (failing,))


def _served_by_the_other(report: PhoneReport, timeline: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    del report
    served = any(
        (moment["kind"] == "model" and moment["text"] == BACKUP)
        or (moment["kind"] == "handover" and moment["facts"].get("target") == BACKUP)
        for moment in timeline
    )
    return () if served else ("the other endpoint never served",)


def _greeted_by_the_other(report: PhoneReport, timeline: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    told = tuple(f"the caller was told: {moment['text']}" for moment in timeline if moment["kind"] == "script")
    return (*_served_by_the_other(report, timeline), *told)


ROWS: tuple[Row, ...] = (
    call_row(
        "backup-cut",
        "model",
        "endpoint cut off and gone: the other one",
        gone(lambda rng: Cut(rng.choice((1006, 1011)))),
    ),
    call_row(
        "backup-hangs",
        "model",
        "endpoint falls silent and is gone: the other one",
        gone(lambda rng: rng.choice((Silent(), Deaf()))),
    ),
    call_row("backup-at-start", "model", "endpoint refuses at start: the other one greets", refused),
    call_row("backup-fails-too", "model", "endpoint gone, the other one fails once", both),
)
