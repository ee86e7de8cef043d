"""The turn-keeper while tools run: calls and results, and what the caller hears meanwhile."""

import pytest
import trio
import trio.testing

from engine.messages import (
    Effect,
    EndUtterance,
    Floor,
    PlayAudio,
    ResponseFinished,
    ResponseStarted,
    ToolCall,
    ToolCallRequested,
    ToolCallsCancelled,
    ToolResult,
    ToolStarted,
    UtterancePlayed,
)
from tests.call.floor import of, prompts, talking

Clock = trio.testing.MockClock
RESULT = ToolResult("call-1", "look", {"status": "ok", "message": "found"})


async def test_a_tool_call_goes_to_the_executor_and_its_result_to_the_model(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.owed()
        await talk.tell(ToolCallRequested("call-1", "look", {"what": "a"}))
        assert talk.called() == [ToolCall("acme", "CA1", 1, "call-1", "look", {"what": "a"})]
        await talk.tell(RESULT)
        assert talk.up() == [RESULT]
        assert [kind for kind in talk.kinds() if kind.startswith("tool")] == ["tool_call", "tool_result"]


async def test_a_result_that_this_session_never_asked_for_stays_here(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.owed()
        await talk.tell(RESULT)
        assert talk.up() == []
        assert "tool_result" in talk.kinds()


async def test_a_cancelled_call_is_called_off_and_its_late_result_still_told(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.owed()
        await talk.tell(ToolCallRequested("call-1", "look", {}), ToolCallsCancelled(("call-1",)))
        assert talk.called()[1:] == [ToolCallsCancelled(("call-1",))]
        await talk.tell(RESULT)
        assert talk.up() == [RESULT]


@pytest.mark.parametrize("settled", [RESULT, ToolCallsCancelled(("call-1",))])
async def test_the_floor_is_the_agents_while_a_tool_runs(
    settled: ToolResult | ToolCallsCancelled, autojump_clock: Clock
) -> None:
    async with talking() as talk:
        await talk.owed()
        generation = talk.next_generation()
        await talk.tell(ResponseStarted(generation, trio.current_time()), ToolCallRequested("call-1", "look", {}))
        await talk.tell(ResponseFinished(generation), UtterancePlayed(generation, 300))
        assert talk.floor() is Floor.AGENT
        await talk.tell(settled)
        assert talk.floor() is Floor.NOBODY


# --- fillers ---------------------------------------------------------------------------------------------------------


async def test_a_tool_that_takes_a_while_is_announced(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.owed()
        await talk.tell(ToolStarted("call-1", "look", Effect.READS, "Let me look."))
        play, end = talk.out()
        assert isinstance(play, PlayAudio)
        assert play.mulaw == prompts().fillers["Let me look."]
        assert end == EndUtterance(play.generation)
        assert talk.record.timeline[-1].kind == "filler"


@pytest.mark.parametrize("text", ["", "a line that was never rendered"])
async def test_a_tool_without_a_filler_is_not_announced(text: str, autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.owed()
        await talk.tell(ToolStarted("call-1", "look", Effect.READS, text))
        assert talk.out() == []


async def test_nothing_is_said_over_the_agents_own_words(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.owed()
        talk.sounding = True
        await talk.tell(ToolStarted("call-1", "look", Effect.READS, "Let me look."))
        talk.talk.say_filler()
        assert talk.out() == []


async def test_a_slow_model_is_covered_for_only_while_it_owes_an_answer(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        talk.talk.say_filler()
        await talk.starts()
        talk.talk.say_filler()
        assert of(talk.out(), PlayAudio) == []
        await talk.stops()
        talk.talk.say_filler()
        assert [command.mulaw for command in of(talk.out(), PlayAudio)] == [prompts().filler]


async def test_a_full_playout_needs_no_filler(autojump_clock: Clock) -> None:
    async with talking(playout_queued=0) as talk:
        await talk.owed()
        talk.talk.say_filler()
        assert talk.metrics.dropped_messages.labels("playout")._value.get() == 1
        assert "filler" not in talk.kinds()
