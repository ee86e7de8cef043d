"""The turn-keeper when both speak: who is cut, what was heard of it, and when the floor is free again."""

import pytest
import trio
import trio.testing

from engine.messages import (
    AgentTranscript,
    CallerTranscript,
    Cut,
    CutPlayout,
    Floor,
    OpenTurn,
    ReportHeard,
    ResponseFinished,
    ResponseInterrupted,
    ResponseStarted,
    UtteranceCleared,
    UtterancePlayed,
)
from tests.call.floor import Talk, commits, cuts, talking

Clock = trio.testing.MockClock
PARKING = "is there parking"


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
