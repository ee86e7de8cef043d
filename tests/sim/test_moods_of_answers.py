"""Moods of a single answer, and of what it asks for: that the simulator really does them, and stays strict."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from engine.sim.moods import (
    Cut,
    DoubleToolCall,
    GoAway,
    GoAwayInSpeech,
    InvalidArguments,
    LosesToolResult,
    PhantomMidway,
    Rule,
    Runaway,
    SlowPongs,
    Stalls,
    TextOnly,
    UnknownTool,
)
from engine.sim.tones import tone_clip

from .gemini_client import ANSWER, NOTES, QUESTION, TOOLS, Client, answer, contents, grounded, pcm_of, session, text_of

BOOKING = tone_clip(99, 600, 16000)


async def behaves(client: Client) -> None:
    await client.turn(QUESTION, NOTES)
    assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER


async def calls_of(client: Client) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"]
    return calls


async def nothing_comes(client: Client, seconds: float) -> None:
    with trio.move_on_after(seconds) as waited:
        pytest.fail(f"something came: {await client.get()}")
    assert waited.cancelled_caught


@pytest.mark.parametrize("how", ["transcript", "part"])
async def test_a_written_answer_has_no_sound_and_a_proper_end(autojump_clock: MockClock, how: Any) -> None:
    async with session(grounded(rules=[Rule(TextOnly(how))])) as client:
        await client.turn(QUESTION, NOTES)
        got = await client.until("turnComplete")
        assert len(pcm_of(got)) == 0
        parts = "".join(part["text"] for turn in contents(got, "modelTurn") for part in turn["parts"])
        assert (parts or text_of(got, "outputTranscription")).strip() == ANSWER
        assert contents(got, "generationComplete") == [True]
        await client.until("sessionResumptionUpdate")
        await behaves(client)


async def test_an_answer_that_stalls_says_nothing_more_until_it_is_interrupted(autojump_clock: MockClock) -> None:
    async with session(grounded(rules=[Rule(Stalls(after_ms=400))])) as client:
        await client.turn(QUESTION, NOTES)
        with trio.move_on_after(5):
            await client.until("turnComplete")
        await nothing_comes(client, 60)
        await client.turn(QUESTION, NOTES)
        await client.until("interrupted")
        await client.until("turnComplete")
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER


@pytest.mark.parametrize("ends_turn", [True, False])
async def test_a_phantom_takes_the_rest_of_an_answer(autojump_clock: MockClock, ends_turn: bool) -> None:
    sim = grounded(rules=[Rule(PhantomMidway(after_ms=400, ends_turn=ends_turn))])
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        got = await client.until("sessionResumptionUpdate")
        assert len(pcm_of(got)) == 24 * 400
        assert contents(got, "interrupted") == [True]
        assert contents(got, "turnComplete") == [True] * ends_turn
        assert not contents(got, "generationComplete")
        await behaves(client)
    assert [one.interrupted for one in sim.sessions[0].spoken] == [True, False]


@pytest.mark.parametrize("repeats", [True, False])
async def test_a_runaway_at_once_repeats_itself_or_does_not(autojump_clock: MockClock, repeats: bool) -> None:
    async with session(grounded(rules=[Rule(Runaway(20.0, repeats=repeats, at_once=True))])) as client:
        began = trio.current_time()
        await client.turn(QUESTION, NOTES)
        got = await client.until("generationComplete")
        assert trio.current_time() - began < 1.0
        assert len(pcm_of(got)) >= 24000 * 20
        said = [one.strip() for one in text_of(got, "outputTranscription").split(".") if one.strip()]
        assert (len(set(said)) == 1) is repeats
        assert len(said) > 4


async def test_a_tool_that_nobody_declared_is_called_before_the_answer(autojump_clock: MockClock) -> None:
    sim = grounded(rules=[Rule(UnknownTool("fly", {"to": "the moon"}))])
    async with session(sim, tools=TOOLS) as client:
        await client.turn(QUESTION, NOTES)
        [call] = await calls_of(client)
        assert (call["name"], call["args"]) == ("fly", {"to": "the moon"})
        await answer(client, call, "There is no such tool.")
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER


async def test_a_call_with_invalid_arguments_is_repeated_with_the_right_ones(autojump_clock: MockClock) -> None:
    sim = grounded(rules=[Rule(InvalidArguments({"day": 7}))])
    async with session(sim, tools=TOOLS) as client:
        await client.turn(BOOKING)
        [wrong] = await calls_of(client)
        await answer(client, wrong, "That is no day.")
        [right] = await calls_of(client)
        assert (wrong["args"], right["args"]) == ({"day": 7}, {"day": "tomorrow"})
        await answer(client, right, "Booked.")
        assert text_of(await client.until("turnComplete"), "outputTranscription") == "Booked."
    assert sim.moods.left == ()


async def test_the_invalid_arguments_wait_for_a_turn_with_a_tool(autojump_clock: MockClock) -> None:
    sim = grounded(rules=[Rule(InvalidArguments())])
    async with session(sim, tools=TOOLS) as client:
        await behaves(client)
    assert len(sim.moods.left) == 1


@pytest.mark.parametrize("how", ["same_id", "new_id"])
async def test_a_double_call_may_come_in_one_frame(autojump_clock: MockClock, how: Any) -> None:
    sim = grounded(rules=[Rule(DoubleToolCall(how, one_frame=True))])
    async with session(sim, tools=TOOLS) as client:
        await client.turn(BOOKING)
        first, second = await calls_of(client)
        assert (first["id"] == second["id"]) is (how == "same_id")
        assert first["args"] == second["args"]
        await answer(client, first)
        if how == "new_id":
            await answer(client, second)
        await client.until("turnComplete")
    assert sim.protocol_faults == []


async def test_a_double_call_may_come_after_its_answer(autojump_clock: MockClock) -> None:
    sim = grounded(rules=[Rule(DoubleToolCall("same_id", after_s=2.0))])
    async with session(sim, tools=TOOLS) as client:
        await client.turn(BOOKING)
        [first] = await calls_of(client)
        await answer(client, first)
        [second] = await calls_of(client)
        assert first == second
        await answer(client, second)
        await trio.testing.wait_all_tasks_blocked()
    assert sim.sessions[0].late_answers == 1
    assert sim.protocol_faults == []


async def test_a_lost_result_may_be_sent_again_but_only_once(autojump_clock: MockClock) -> None:
    sim = grounded(rules=[Rule(LosesToolResult())])
    async with session(sim, tools=TOOLS) as client:
        await client.turn(BOOKING)
        [call] = await calls_of(client)
        await answer(client, call)
        await nothing_comes(client, 60)
        await answer(client, call)
        assert text_of(await client.until("turnComplete"), "outputTranscription") == "Done."
        await answer(client, call)
        assert await client.closed_with() == 1007
    assert len(sim.protocol_faults) == 1


async def test_pongs_may_come_late_and_nothing_else_does(autojump_clock: MockClock) -> None:
    async with session(grounded(rules=[Rule(SlowPongs(30.0))])) as client, trio.open_nursery() as nursery:
        began = trio.current_time()
        waited: list[float] = []

        async def ping() -> None:
            await client.websocket.ping(b"late")
            waited.append(trio.current_time() - began)

        nursery.start_soon(ping)
        await behaves(client)
        assert waited == []
        await trio.sleep_until(began + 31)
        assert waited == [pytest.approx(30.0)]


async def test_a_session_may_close_sooner_than_it_said(autojump_clock: MockClock) -> None:
    sim = grounded(rules=[Rule(GoAway(50.0, closes_after_s=5.0), turn=0)])
    async with session(sim) as client:
        began = trio.current_time()
        assert await client.closed_with() == 1011
        assert trio.current_time() - began == pytest.approx(5.0)


async def test_a_session_may_be_told_to_go_while_it_listens(autojump_clock: MockClock) -> None:
    sim = grounded(rules=[Rule(GoAwayInSpeech(4.0, after_s=0.5), turn=2)])
    async with session(sim) as client:
        await behaves(client)
        began = trio.current_time()
        await client.realtime(activityStart={})
        assert "goAway" in (await client.until("goAway"))[-1]
        assert trio.current_time() - began == pytest.approx(0.5)
        assert await client.closed_with() == 1011
        assert trio.current_time() - began == pytest.approx(4.5)


async def test_a_cut_in_mid_sentence_waits_for_the_sentence_behind_a_tool_call(autojump_clock: MockClock) -> None:
    sim = grounded(rules=[Rule(Cut(1011, after_ms=80), turn=1)])
    async with session(sim, tools=TOOLS) as client:
        await client.turn(BOOKING)
        (call,) = await calls_of(client)
        await answer(client, call)
        assert await client.closed_with() == 1011
        assert sim.sessions[0].spoken[-1].audio_ms == 80
