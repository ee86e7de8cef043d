import trio
from trio.testing import MockClock

from engine.sim.brain import HeardTurn, Reply, ToolWish
from engine.sim.tones import tone_clip

from .gemini_client import ANSWER, NOTES, QUESTION, TOOLS, answer, contents, grounded, session, text_of


async def test_a_barge_in_stops_the_answer_and_ends_its_turn(autojump_clock: MockClock) -> None:
    sim = grounded(pace=1.0)
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        await client.until("modelTurn")
        await client.realtime(activityStart={})
        got = await client.until("turnComplete")
        assert "interrupted" in got[-2]["serverContent"]
        assert not contents(got, "generationComplete")
        await client.audio(QUESTION)
        await client.realtime(text=NOTES)
        await client.realtime(activityEnd={})
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER
    first, second = sim.sessions[0].spoken
    assert first.interrupted
    assert not first.complete
    assert 0 < first.audio_ms < 400
    assert second.complete


async def test_only_what_was_sent_before_a_barge_in_stays_in_history(autojump_clock: MockClock) -> None:
    sim = grounded(pace=1.0)
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        await client.until("modelTurn")
        await client.realtime(activityStart={})
        await client.until("sessionResumptionUpdate")
    said = [one.text for one in sim.sessions[0].history if one.role == "model"]
    assert said == ["We"]


async def test_an_activity_does_not_interrupt_where_that_was_asked_for(autojump_clock: MockClock) -> None:
    sim = grounded(pace=1.0)
    config = {"automaticActivityDetection": {"disabled": True}, "activityHandling": "NO_INTERRUPTION"}
    async with session(sim, realtimeInputConfig=config) as client:
        await client.turn(QUESTION, NOTES)
        await client.until("modelTurn")
        await client.turn(QUESTION, NOTES)
        first = await client.until("turnComplete")
        second = await client.until("turnComplete")
    assert contents(first, "generationComplete")
    assert text_of(second, "outputTranscription") == ANSWER
    assert not contents(first + second, "interrupted")


async def test_a_barge_in_cancels_pending_tool_calls(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim, tools=TOOLS) as client:
        await client.turn(tone_clip(99, 600, 16000))
        call = (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"][0]
        await client.realtime(activityStart={})
        got = await client.until("turnComplete")
        assert [one["toolCallCancellation"]["ids"] for one in got if "toolCallCancellation" in one] == [[call["id"]]]
        await answer(client, call)
        await client.audio(QUESTION)
        await client.realtime(text=NOTES)
        await client.realtime(activityEnd={})
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER
    assert sim.sessions[0].late_answers == 1
    assert sim.protocol_faults == []


async def test_a_tool_is_called_and_its_result_is_spoken(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim, tools=TOOLS) as client:
        await client.turn(tone_clip(99, 600, 16000))
        got = await client.until("toolCall")
        [call] = got[-1]["toolCall"]["functionCalls"]
        assert (call["name"], call["args"]) == ("book", {"day": "tomorrow"})
        assert not contents(got, "modelTurn")
        await trio.sleep(30)
        await answer(client, call, "You are booked.")
        got = await client.until("turnComplete")
    assert text_of(got, "outputTranscription") == "You are booked."
    assert [one.call_id for one in sim.sessions[0].tool_answers] == [call["id"]] == sim.sessions[0].tool_calls


async def test_several_calls_are_waited_for_together(autojump_clock: MockClock) -> None:
    async with session(grounded(), tools=TOOLS) as client:
        await client.turn(tone_clip(98, 600, 16000))
        first, second = (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"]
        await answer(client, second, "Second.")
        await answer(client, first, "First.")
        assert text_of(await client.until("turnComplete"), "outputTranscription") == "Second. First."


async def test_a_silent_result_ends_the_turn_without_a_sound(autojump_clock: MockClock) -> None:
    async with session(grounded(), tools=TOOLS) as client:
        await client.turn(tone_clip(99, 600, 16000))
        call = (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"][0]
        await answer(client, call, scheduling="SILENT")
        assert not contents(await client.until("turnComplete"), "modelTurn")


async def test_a_brain_that_never_stops_calling_is_stopped(autojump_clock: MockClock) -> None:
    class Greedy:
        def reply(self, turn: HeardTurn) -> Reply:
            return Reply("", (ToolWish("book"),))

    async with session(grounded(brain=Greedy()), tools=TOOLS) as client:
        await client.turn(QUESTION)
        for _ in range(5):
            await answer(client, (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"][0])
        await client.until("turnComplete")
