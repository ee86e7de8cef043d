"""Rows: whatever a model can do wrong, at a seeded turn and instant of an ordinary conversation."""

import random
from collections.abc import Callable
from dataclasses import replace

from bench.adversity.cast import BOOKING, PARKING, WHITENING
from bench.adversity.plan import (
    BOOKS,
    BRISK,
    GREETING,
    QUESTION,
    SECOND,
    Line,
    Plan,
    Planner,
    Step,
    any_turn,
    conversation,
)
from bench.adversity.play import call_row
from bench.adversity.types import Row
from engine.sim.moods import (
    QUOTA_AT_HANDSHAKE,
    QUOTA_AT_START,
    Cut,
    Deaf,
    DoubleToolCall,
    Garbled,
    InvalidArguments,
    LosesToolResult,
    Mood,
    Nonsense,
    PhantomInterrupted,
    PhantomMidway,
    Refuse,
    Rule,
    Runaway,
    Silent,
    Slow,
    SlowPongs,
    Stalls,
    TextOnly,
    Unanswered,
    UnknownTool,
)
from engine.sim.scenario import StayOn

ANSWERS = (QUESTION, SECOND)
SPOKEN = (GREETING, QUESTION, SECOND)


def in_turn(
    make: Callable[[random.Random], Mood], turns: tuple[int, ...] = (GREETING, QUESTION, BOOKS, SECOND)
) -> Planner:
    """A conversation whose model falls into this mood in one of these turns of its first session."""

    def plan(rng: random.Random) -> Plan:
        turn = any_turn(rng, turns)
        return _usual(rng, turn, Rule(make(rng), connection=1, turn=turn))

    return plan


def _usual(rng: random.Random, turn: int, *rules: Rule) -> Plan:
    return Plan(
        conversation(patient_from=turn, turns=max(BOOKS, turn + 1), rng=rng),
        rules=rules,
        pace=rng.choice((1.0, 1.5, 3.0)),
        think_ms=rng.randrange(150, 600, 10),
    )


def refused(make: Callable[[random.Random], Refuse]) -> Planner:
    """No session at the start of the call, for a seeded number of attempts."""

    def plan(rng: random.Random) -> Plan:
        return _usual(rng, GREETING, Rule(make(rng), times=rng.randint(1, 4)))

    return plan


def cut(code: int) -> Planner:
    """Closed (1006: reset) somewhere in an answer."""
    return in_turn(lambda rng: Cut(code, after_ms=rng.randrange(0, 3000, 20)))


def garbled(kind: Nonsense) -> Planner:
    """Nonsense, with an answer behind it or without."""
    return in_turn(
        lambda rng: Garbled(
            (kind,), repeat=2 if kind == "huge_frame" else rng.randint(1, 9), instead=rng.random() < 0.5
        )
    )


def gone_for_good(rng: random.Random) -> Plan:
    """Cut in an answer, and never there again: the script speaks to the caller until the caller goes, or it ends."""
    turn = any_turn(rng, ANSWERS)
    rules = (
        Rule(Cut(1011, after_ms=rng.randrange(0, 2500, 20)), connection=1, turn=turn),
        *(Rule(Refuse(rng.choice(("reset", "http", "close"))), connection=number) for number in range(2, 80)),
    )
    asks: tuple[Step, ...] = (BRISK, Line(PARKING), BRISK, Line(BOOKING), BRISK, Line(WHITENING))
    steps = (*asks[: 2 if turn == QUESTION else 6], StayOn(timeout_s=rng.uniform(15.0, 45.0)))
    return replace(_usual(rng, turn, *rules), steps=steps, books=0 if turn == QUESTION else 1, script_may_end=True)


def away_and_back(rng: random.Random) -> Plan:
    """Cut in an answer, and away for a seeded number of attempts."""
    turn = any_turn(rng, ANSWERS)
    away = [Rule(Refuse(rng.choice(("reset", "http", "close"))), connection=2 + at) for at in range(rng.randint(1, 5))]
    lost = Rule(Cut(rng.choice((1011, 1006)), after_ms=rng.randrange(0, 2500, 20)), connection=1, turn=turn)
    return _usual(rng, turn, lost, *away)


def handle_unknown(rng: random.Random) -> Plan:
    """The session that is to be resumed is not known any more: a fresh one is told what was said."""
    turn = any_turn(rng, ANSWERS)
    lost = Rule(Cut(1006, after_ms=rng.randrange(0, 2500, 20)), connection=1, turn=turn)
    return _usual(rng, turn, lost, Rule(Refuse("close", code=1008, reason="session not found"), connection=2))


def lost_again(rng: random.Random) -> Plan:
    """Cut in an answer, and the successor too, in its first words."""
    turn = any_turn(rng, ANSWERS)
    lost = Rule(Cut(1011, after_ms=rng.randrange(0, 2500, 20)), connection=1, turn=turn)
    return _usual(rng, turn, lost, Rule(Cut(1006, after_ms=rng.randrange(0, 1500, 20)), connection=2))


def words_lost(rng: random.Random) -> Plan:
    """The stream that writes down the caller's words dies, or is never there; the speaking one is well."""
    moods = (Refuse(rng.choice(("reset", "http", "close"))), Deaf(), Cut(1011), Cut(1006))
    rule = Rule(rng.choice(moods), turn=rng.choice((0, 1, 2)), times=rng.choice((1, 3, None)))
    return replace(_usual(rng, GREETING), ear_rules=(rule,))


def doubled(how: str, *, one_frame: bool = False) -> Planner:
    """The booking is asked for twice."""

    def mood(rng: random.Random) -> Mood:
        after_s = 0.0 if one_frame else rng.choice((0.0, 0.0, 0.3, 1.0))
        return DoubleToolCall(how, one_frame=one_frame, after_s=after_s)  # type: ignore[arg-type]

    return in_turn(mood, (BOOKS,))


def cut_in_booking(rng: random.Random) -> Plan:
    """The connection ends while the booking is being made, or just after."""
    lost = Rule(Cut(rng.choice((1011, 1006)), after_ms=0), connection=1, turn=BOOKS)
    return replace(_usual(rng, BOOKS, lost), booking_takes_s=rng.choice((0.0, 0.5, 2.5)))


GARBAGE: tuple[tuple[Nonsense, str], ...] = (
    ("invalid_json", "invalid JSON"),
    ("wrong_shape", "wrong shapes"),
    ("bad_base64", "bad base64"),
    ("odd_pcm", "odd-length PCM"),
    ("not_audio", "not audio"),
    ("huge_frame", "10 MB frame"),
)

ROWS: tuple[Row, ...] = (
    call_row("healthy", "model", "nothing at all (what the rest is compared with)", lambda rng: _usual(rng, GREETING)),
    call_row("refused-reset", "model", "refused at start: reset", refused(lambda _: Refuse("reset"))),
    call_row("refused-http", "model", "refused at start: 503", refused(lambda _: Refuse("http"))),
    call_row(
        "refused-close", "model", "refused at start: closed instead of set up", refused(lambda _: Refuse("close"))
    ),
    call_row(
        "quota",
        "model",
        "quota spent, at the handshake or at set-up",
        refused(lambda rng: rng.choice((QUOTA_AT_HANDSHAKE, QUOTA_AT_START))),
    ),
    *(
        call_row(f"cut-{code}", "model", f"closed with {code} in mid-sentence", cut(code))
        for code in (1007, 1008, 1011)
    ),
    call_row("reset", "model", "connection reset (1006) in mid-sentence", cut(1006)),
    call_row("cut-again", "model", "closed, and its successor too", lost_again),
    call_row("handle-unknown", "model", "lost, and the session cannot be resumed", handle_unknown),
    call_row("away-and-back", "model", "lost, and away for some attempts", away_and_back),
    call_row("gone-for-good", "model", "lost for good: the script to its end", gone_for_good),
    call_row("silent", "model", "open, but silent after a commit", in_turn(lambda _: Silent())),
    call_row(
        "stalls", "model", "falls silent in mid-sentence", in_turn(lambda rng: Stalls(rng.randrange(100, 2500, 20)))
    ),
    call_row("deaf", "model", "open, but reads nothing any more", in_turn(lambda _: Deaf())),
    call_row("unanswered", "model", "the turn is never answered", in_turn(lambda _: Unanswered())),
    call_row("slow", "model", "first audio after 6 s", in_turn(lambda _: Slow(6.0))),
    *(
        call_row(f"garbage-{kind.replace('_', '-')}", "model", f"garbage: {said}", garbled(kind))
        for kind, said in GARBAGE
    ),
    call_row(
        "text-only",
        "model",
        "text without audio",
        in_turn(lambda rng: TextOnly(rng.choice(("transcript", "part")))),
    ),
    call_row("unknown-tool", "model", "calls a tool that does not exist", in_turn(lambda _: UnknownTool())),
    call_row(
        "invalid-arguments",
        "model",
        "calls a tool with impossible arguments",
        in_turn(lambda _: InvalidArguments(), (BOOKS,)),
    ),
    call_row(
        "runaway",
        "model",
        "talks for 3 minutes, repeating itself or not",
        in_turn(lambda rng: Runaway(180.0, repeats=rng.random() < 0.5, at_once=rng.random() < 0.3), ANSWERS),
    ),
    call_row(
        "phantom-interrupted",
        "model",
        "`interrupted` though nothing was being said",
        in_turn(lambda _: PhantomInterrupted(), (QUESTION, BOOKS, SECOND)),
    ),
    call_row(
        "phantom-midway",
        "model",
        "`interrupted` in mid-answer though nobody spoke",
        in_turn(lambda rng: PhantomMidway(rng.randrange(100, 2500, 20), ends_turn=rng.random() < 0.5)),
    ),
    call_row("double-same-id", "model", "tool call twice, same id", doubled("same_id")),
    call_row("double-new-id", "model", "tool call twice, new id", doubled("new_id")),
    call_row("double-one-frame", "model", "tool call twice in one frame", doubled("new_id", one_frame=True)),
    call_row("double-part", "model", "tool call also as a part of the turn", doubled("part")),
    call_row("tool-result-lost", "model", "a tool's result is lost", in_turn(lambda _: LosesToolResult(), (BOOKS,))),
    call_row("cut-in-booking", "model", "lost while a booking is being made", cut_in_booking),
    call_row(
        "slow-pongs",
        "model",
        "pongs come 30 s late",
        lambda rng: _usual(rng, GREETING, Rule(SlowPongs(rng.uniform(5.0, 30.0)))),
    ),
    call_row("words-lost", "model", "the stream with the caller's words is lost", words_lost),
)
