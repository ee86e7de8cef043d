"""The turn-keeper, turn by turn: what it tells the model, when, and with which notes."""

import pytest
import trio
import trio.testing

from engine.messages import (
    Asked,
    CallerTranscript,
    CommitTurn,
    Floor,
    NothingFound,
    OpenTurn,
    Query,
    ResponseFinished,
    ResponseStarted,
    Skipped,
    TimedOut,
    UtterancePlayed,
)
from engine.model.setup import notes_text
from tests.call.floor import OPENING, commits, notes, opened, talking

Clock = trio.testing.MockClock
PARKING = "is there parking"
BUDGET_S = 0.25


async def test_the_model_is_asked_to_speak_first(autojump_clock: Clock) -> None:
    async with talking() as talk:
        assert talk.up() == [OPENING.speak(0)]
        await talk.tell(ResponseStarted(1, trio.current_time()))
        assert talk.floor() is Floor.AGENT
        await talk.tell(ResponseFinished(1), UtterancePlayed(1, 500))
        assert talk.floor() is Floor.NOBODY
        assert talk.up() == []


async def test_a_turn_is_opened_asked_about_and_committed_with_its_notes(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.starts()
        assert talk.up() == [OpenTurn(1)]
        assert talk.gate.changes == ["open"]
        assert talk.floor() is Floor.CALLER
        await talk.tell(CallerTranscript("is there", False), CallerTranscript(PARKING, False))
        assert talk.asked() == [Query("acme", 1, "is there", final=False), Query("acme", 1, PARKING, final=False)]
        await talk.stops()
        assert talk.asked() == [Query("acme", 1, PARKING, final=True)]
        assert talk.up() == []
        await talk.tell(notes(PARKING))
        assert talk.up() == [CommitTurn(Asked(1), notes(PARKING))]
        assert talk.gate.changes == ["open", "close"]
        assert "Parking is free." in talk.record.notes_text
        assert talk.record.transcript() == [{"role": "caller", "text": PARKING, "turn": 1, "cut": False}]
        assert talk.metrics.turns.labels("notes")._value.get() == 1
        await talk.answers(talk.next_generation())
        assert talk.floor() is Floor.NOBODY


async def test_notes_that_are_there_already_are_not_waited_for(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.starts()
        await talk.tell(CallerTranscript(PARKING, False), notes(PARKING))
        assert commits(talk.up()) == []
        await talk.stops()
        assert commits(talk.up()) == [CommitTurn(Asked(1), notes(PARKING))]


async def test_a_turn_is_committed_without_when_the_budget_is_spent(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks(PARKING)
        await trio.sleep(BUDGET_S - 0.01)
        assert commits(talk.up()) == []
        await trio.sleep(0.02)
        assert commits(talk.up()) == [CommitTurn(Asked(1), TimedOut(1, PARKING, 250.0))]
        assert talk.record.notes_text == (notes_text(TimedOut(1, PARKING, 250.0), "x") or "")
        await talk.tell(notes(PARKING))
        await trio.sleep(1)
        assert commits(talk.up()) == []


async def test_notes_for_an_earlier_text_are_better_than_none(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.starts()
        await talk.tell(CallerTranscript("parking", False), notes("parking"), CallerTranscript(PARKING, True))
        await talk.stops()
        await trio.sleep(BUDGET_S + 0.01)
        assert commits(talk.up()) == [CommitTurn(Asked(1), notes("parking"))]


async def test_notes_of_another_turn_never_commit_this_one(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("first")
        await trio.sleep(BUDGET_S + 0.01)
        await talk.asks("second")
        talk.up()
        await talk.tell(notes("second", turn_id=1))
        assert talk.up() == []
        await talk.tell(NothingFound(2, "second", 1.0))
        assert talk.up() == [CommitTurn(Asked(2), NothingFound(2, "second", 1.0))]


@pytest.mark.parametrize(
    ("text", "why"), [("", "no query text"), ("Okay, thank you!", "small talk"), ("  ", "no query text")]
)
async def test_what_asks_nothing_is_committed_at_once_and_counted(text: str, why: str, autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks(text)
        assert commits(talk.up()) == [CommitTurn(Asked(1), Skipped(1, why))]
        assert talk.asked() == []
        assert talk.metrics.turns.labels("skipped")._value.get() == 1


async def test_better_text_while_the_turn_waits_is_asked_and_answered(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("is there", final=False)
        await talk.tell(CallerTranscript(PARKING, True), notes("is there"))
        assert talk.asked()[-1] == Query("acme", 1, PARKING, final=True)
        assert commits(talk.up()) == []
        await talk.tell(notes(PARKING))
        assert commits(talk.up()) == [CommitTurn(Asked(1), notes(PARKING))]


async def test_a_caller_who_goes_on_before_the_commit_keeps_the_turn_open(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("is there", final=False)
        await trio.sleep(BUDGET_S / 2)
        await talk.starts()
        await trio.sleep(BUDGET_S)
        await talk.tell(notes("is there"), CallerTranscript(PARKING, True))
        assert talk.gate.changes == ["open"]
        await talk.stops()
        assert talk.asked()[-1] == Query("acme", 1, PARKING, final=True)
        await talk.tell(notes(PARKING))
        up = talk.up()
        assert (opened(up), commits(up)) == ([1], [CommitTurn(Asked(1), notes(PARKING))])


async def test_a_caller_who_goes_on_after_the_commit_opens_the_next_turn(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("okay")
        await talk.starts()
        up = talk.up()
        assert (opened(up), [commit.turn_id for commit in commits(up)]) == ([1, 2], [1])
        assert talk.gate.changes == ["open", "close", "open"]
        assert talk.floor() is Floor.CALLER


async def test_a_better_text_after_the_commit_is_the_record(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("is their par king", final=False)
        await trio.sleep(BUDGET_S + 0.01)
        await talk.tell(CallerTranscript(f" {PARKING} ", True), CallerTranscript("partial", False))
        assert [line["text"] for line in talk.record.transcript()] == [PARKING]
        assert talk.asked()[-1].text == "is their par king"


async def test_a_full_retriever_costs_the_notes_and_not_the_turn(autojump_clock: Clock) -> None:
    async with talking(queries_queued=1) as talk:
        await talk.greeted()
        await talk.starts()
        await talk.tell(CallerTranscript("is there", False), CallerTranscript(PARKING, False))
        await talk.stops()
        await trio.sleep(BUDGET_S + 0.01)
        assert [type(commit.outcome) for commit in commits(talk.up())] == [TimedOut]
        assert talk.metrics.dropped_messages.labels("queries")._value.get() == 2
