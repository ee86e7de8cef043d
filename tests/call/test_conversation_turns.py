"""The turn-keeper, turn by turn: what it tells the model, when, and with which notes."""

import pytest
import trio
import trio.testing

from engine.messages import (
    AgentTranscript,
    CallerTranscript,
    CommitTurn,
    Cut,
    CutPlayout,
    Floor,
    NothingFound,
    OpenTurn,
    Query,
    ReportHeard,
    ResponseFinished,
    ResponseInterrupted,
    ResponseStarted,
    Skipped,
    Speak,
    TimedOut,
    UtteranceCleared,
    UtterancePlayed,
)
from engine.model.setup import notes_text
from tests.call.floor import OPENING, Talk, commits, cuts, notes, opened, talking

Clock = trio.testing.MockClock
PARKING = "is there parking"
BUDGET_S = 0.25


async def test_the_model_is_asked_to_speak_first(autojump_clock: Clock) -> None:
    async with talking() as talk:
        assert talk.up() == [Speak(0, OPENING)]
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
        assert talk.up() == [CommitTurn(1, notes(PARKING))]
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
        assert commits(talk.up()) == [CommitTurn(1, notes(PARKING))]


async def test_a_turn_is_committed_without_when_the_budget_is_spent(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks(PARKING)
        await trio.sleep(BUDGET_S - 0.01)
        assert commits(talk.up()) == []
        await trio.sleep(0.02)
        assert commits(talk.up()) == [CommitTurn(1, TimedOut(1, PARKING, 250.0))]
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
        assert commits(talk.up()) == [CommitTurn(1, notes("parking"))]


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
        assert talk.up() == [CommitTurn(2, NothingFound(2, "second", 1.0))]


@pytest.mark.parametrize(
    ("text", "why"), [("", "no query text"), ("Okay, thank you!", "small talk"), ("  ", "no query text")]
)
async def test_what_asks_nothing_is_committed_at_once_and_counted(text: str, why: str, autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks(text)
        assert commits(talk.up()) == [CommitTurn(1, Skipped(1, why))]
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
        assert commits(talk.up()) == [CommitTurn(1, notes(PARKING))]


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
        assert (opened(up), commits(up)) == ([1], [CommitTurn(1, notes(PARKING))])


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


# --- barge-in --------------------------------------------------------------------------------------------------------


async def speaking(talk: Talk) -> int:
    """The agent is in the middle of an answer; its generation."""
    await talk.greeted()
    await talk.asks("okay")
    generation = talk.next_generation()
    await talk.tell(ResponseStarted(generation, trio.current_time()))
    await talk.tell(AgentTranscript(generation, "Parking is free for patients."), ResponseFinished(generation))
    talk.up()
    talk.out()
    return generation


async def test_a_caller_who_barges_in_silences_the_agent_and_is_heard(autojump_clock: Clock) -> None:
    async with talking() as talk:
        generation = await speaking(talk)
        await talk.starts()
        (cut,) = talk.out()
        assert isinstance(cut, CutPlayout)
        assert cut.how is Cut.NOW
        assert cut.through_generation >= generation
        assert talk.up() == [OpenTurn(2)]
        await talk.tell(UtteranceCleared(generation, 600, 1000))
        assert talk.up() == [ReportHeard(generation, 600)]
        (moment,) = [moment for moment in talk.record.timeline if moment.kind == "cut"]
        assert (moment.text, moment.facts) == ("Parking is free for patients.", {"heard_ms": 600, "of_ms": 1000})


async def test_what_the_carrier_cleared_of_others_is_not_reported_to_the_model(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await speaking(talk)
        await talk.tell(UtteranceCleared(99, 600, 1000))
        assert talk.up() == []
        assert "cut" not in talk.kinds()


@pytest.mark.parametrize("holding", [False, True])
async def test_a_response_that_starts_while_the_caller_has_the_floor_is_cut(
    holding: bool, autojump_clock: Clock
) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.starts()
        if holding:
            await talk.tell(CallerTranscript(PARKING, False))
            await talk.stops()
        talk.out()
        generation = talk.next_generation()
        await talk.tell(ResponseStarted(generation, trio.current_time()))
        (through,) = cuts(talk.out())
        assert through >= generation
        assert talk.floor() is Floor.CALLER


async def test_a_cut_that_leaves_no_report_does_not_keep_the_floor_for_ever(autojump_clock: Clock) -> None:
    """The cut may reach egress before the first sound does: then nothing was queued, and nobody will ever report it."""
    async with talking() as talk:
        await talk.greeted()
        await talk.starts()
        await talk.tell(ResponseStarted(talk.next_generation(), trio.current_time()))
        await talk.stops()
        assert len(commits(talk.up())) == 1
        await talk.answers(talk.next_generation())
        assert talk.floor() is Floor.NOBODY


async def test_a_barge_in_cuts_a_filler_too(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("okay")
        talk.talk.say_filler()
        filler = talk.out()[-1]
        await talk.starts()
        (through,) = cuts(talk.out())
        assert through >= getattr(filler, "generation", 0) > 0


async def test_an_interrupted_response_is_over_when_what_came_of_it_was_heard(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("okay")
        generation = talk.next_generation()
        await talk.tell(ResponseStarted(generation, trio.current_time()), ResponseInterrupted(generation))
        assert talk.floor() is Floor.AGENT
        await talk.tell(UtterancePlayed(generation, 300))
        assert talk.floor() is Floor.NOBODY


async def test_the_floor_is_the_agents_until_the_last_of_its_utterances_was_heard(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("okay")
        one, two = talk.next_generation(), talk.next_generation()
        now = trio.current_time()
        await talk.tell(ResponseStarted(one, now), ResponseStarted(two, now), UtterancePlayed(one, 300))
        await talk.tell(ResponseFinished(two))
        assert talk.floor() is Floor.AGENT
        await talk.tell(UtterancePlayed(two, 300))
        assert talk.floor() is Floor.NOBODY


async def test_text_that_runs_ahead_of_its_sound_belongs_to_the_response_that_starts(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("okay")
        generation = talk.next_generation()
        await talk.tell(AgentTranscript(None, "Parking"), AgentTranscript(None, " is"))
        await talk.tell(ResponseStarted(generation, trio.current_time()), AgentTranscript(generation, " free."))
        assert talk.record.text_of(generation) == "Parking is free."
        await talk.tell(ResponseFinished(generation), UtterancePlayed(generation, 100))
        assert talk.record.timeline[-2].kind == "agent"
        assert talk.record.timeline[-2].text == "Parking is free."


async def test_the_time_to_the_first_sound_is_measured_once_for_each_turn(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("okay")
        await trio.sleep(0.3)
        await talk.answers(talk.next_generation())
        await talk.tell(ResponseStarted(talk.next_generation(), trio.current_time()))
        measured = [m.facts["response_ms"] for m in talk.record.timeline if m.kind == "response"]
        assert measured == [None, pytest.approx(800), None]
