"""What the spoken bench makes of the turns it saw."""

import random

import pytest
import trio
import trio.testing

from bench.retrieval import Asked, summary
from bench.retrieval_quality import Question
from bench.transcriber import EARLIEST_MS, LATEST_MS, LateStream
from engine.call.record import Moment

PARK = Question("acme", "questions", "where can I park", ("Parking",))


def turn(text: str, held_ms: float, outcome: str = "Notes", *sources: str) -> Moment:
    facts = {"outcome": outcome, "held_ms": held_ms, "passages": [(source, 0.5) for source in sources]}
    return Moment(0.0, "retrieved", text, facts)


def test_a_question_is_as_well_answered_as_its_best_turn() -> None:
    cut_in_two = Asked(PARK, (turn("where can", 0, "Notes", "Hours"), turn(PARK.ask, 0, "Notes", "Hours", "Parking")))
    assert cut_in_two.place == 2


def test_holds_and_hits_are_counted_over_all_callers() -> None:
    asked = [
        Asked(PARK, (turn(PARK.ask, 0, "Notes", "Parking"),)),
        Asked(PARK, (turn("where can I", 40, "Notes", "Hours", "Prices", "Staff", "Parking"),)),
        Asked(PARK, (turn("", 250, "TimedOut"),)),
        Asked(PARK, ()),
    ]
    found = summary(asked)
    assert (found.questions, found.turns, found.unanswered) == (4, 3, 1)
    assert (found.hold_ms["p50"], found.hold_ms["max"]) == (40, 250)
    assert found.waited == pytest.approx(2 / 3)
    assert found.by_outcome == {"Notes": 2, "NothingFound": 0, "TimedOut": 1, "Skipped": 0}
    assert (found.hit1, found.hit3, found.heard_whole) == (0.25, 0.25, 0.25)
    assert len(found.missed) == 2


async def test_words_come_back_late_in_their_order(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    late = LateStream(ours, random.Random(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(late.run)
        began = trio.current_time()
        for number in range(50):
            await late.send_all(bytes([number]))
        assert trio.current_time() == began
        got = b""
        while len(got) < 50:
            got += await theirs.receive_some()
            assert EARLIEST_MS <= 1000 * (trio.current_time() - began) + 0.001 <= LATEST_MS + 1
        assert got == bytes(range(50))
        nursery.cancel_scope.cancel()
