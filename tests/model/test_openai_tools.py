"""Tool calls of an OpenAI Realtime session, against a strict scripted server."""

import orjson
import trio
import trio.testing

from engine.messages import (
    Speak,
    ToolCallRequested,
    ToolCallsCancelled,
    ToolResult,
)
from engine.model.openai_events import NOT_ARGUMENTS, NOT_DONE
from engine.model.provider import (
    GenerationComplete,
    Interrupted,
    Nonsense,
    TranscriptDelta,
    TurnComplete,
)
from tests.model.openai_open import Connect, at_once, nothing_more, opened, take, text_of

Clock = trio.testing.MockClock
STOPPED = [Interrupted(), TurnComplete("stopped")]


async def test_after_the_last_result_of_a_response_the_model_goes_on_once(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.open_turn()
        await stream.commit_turn(at_once(4))
        await fake.create("r1")
        await fake.call("r1", "c1", '{"day": "Monday"}')
        await fake.call("r1", "c2", "")
        await fake.call("r1", "c2", "")  # said twice
        assert await take(stream, 2) == [
            ToolCallRequested("c1", "book", {"day": "Monday"}),
            ToolCallRequested("c2", "book", {}),
        ]
        await stream.send_tool_result(ToolResult("c2", "book", {"status": "ok", "message": "done"}))
        await fake.done("r1")
        await fake.hear("i1", "x")
        await take(stream, 1)
        answered = (await fake.expect("conversation.item.create"))["item"]
        assert (answered["call_id"], orjson.loads(answered["output"])["message"]) == ("c2", "done")
        await nothing_more(fake)
        await stream.send_tool_result(ToolResult("c1", "book", {"status": "ok"}))
        await fake.expect("conversation.item.create")
        assert (await fake.create("r2"))["turn"] == "4"
        await fake.done("r2")
        assert await take(stream, 2) == [GenerationComplete(), TurnComplete("")]


async def test_a_result_before_the_end_of_its_response_waits_for_that_end(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Look it up."))
        await fake.expect()
        await fake.create("r1")
        await fake.call("r1", "c1")
        await take(stream, 1)
        await stream.send_tool_result(ToolResult("c1", "book", {"status": "ok"}))
        await fake.expect("conversation.item.create")
        await nothing_more(fake)
        await fake.done("r1")
        await fake.hear("i1", "x")
        await take(stream, 1)
        await fake.create("r2")


async def test_a_result_before_the_next_call_of_the_same_response_waits_for_that_ones(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Look it up."))
        await fake.expect()
        await fake.create("r1")
        for call_id in ("c1", "c2"):
            await fake.call("r1", call_id)
            await take(stream, 1)
            if call_id == "c2":
                await fake.done("r1")
                await fake.hear("i1", "x")
                await take(stream, 1)
                await nothing_more(fake)
            await stream.send_tool_result(ToolResult(call_id, "book", {"status": "ok"}))
            await fake.expect("conversation.item.create")
        await fake.create("r2")


async def test_a_result_for_a_response_that_was_stopped_lets_nobody_go_on(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Look it up."))
        await fake.expect()
        await fake.create("r1")
        await fake.call("r1", "c1")
        await take(stream, 1)
        await stream.speak(Speak(0, "Say goodbye."))
        await fake.expect("response.cancel")
        await fake.expect("conversation.item.create")
        await fake.done("r1", "cancelled")
        await take(stream, 2)
        await fake.create("r2")
        await fake.done("r2")
        await take(stream, 2)
        await stream.send_tool_result(ToolResult("c1", "book", {"status": "ok"}))
        assert (await fake.expect("conversation.item.create"))["item"]["call_id"] == "c1"
        await nothing_more(fake)


async def test_arguments_that_are_no_object_are_refused_to_the_model_at_once(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Look it up."))
        await fake.expect()
        await fake.create("r1")
        await fake.call("r1", "c1", '{"day": "Mon')
        await fake.call("r1", "c2", "[1]")
        assert [type(event) for event in await take(stream, 2)] == [Nonsense, Nonsense]
        for call_id in ("c1", "c2"):
            refused = (await fake.expect("conversation.item.create"))["item"]
            assert (refused["call_id"], refused["output"]) == (call_id, NOT_ARGUMENTS)
        await fake.done("r1")
        await fake.hear("i1", "x")
        await take(stream, 1)
        await fake.create("r2")


async def test_a_call_that_was_stopped_halfway_is_not_made(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Look it up."))
        await fake.expect()
        await fake.create("r1")
        await fake.call("r1", "c1", '{"day": "Mon', status="incomplete")
        await fake.words("r1", "x")
        assert await take(stream, 1) == [TranscriptDelta("x")]
        await stream.open_turn()
        stop = await fake.expect("response.cancel")
        assert stop["event_id"] == "stop_ask_1"
        whole = await fake.call("r1", "c2")
        await fake.done("r1", "cancelled", output=[whole])
        assert await take(stream, 2) == STOPPED
        told = (await fake.expect("conversation.item.create"))["item"]
        assert (told["call_id"], told["output"]) == ("c2", NOT_DONE)


async def test_a_call_that_is_being_done_is_not_said_to_be_undone(connect_to: Connect, autojump_clock: Clock) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Look it up."))
        await fake.expect()
        await fake.create("r1")
        made = await fake.call("r1", "c1")
        await take(stream, 1)
        await stream.open_turn()
        await fake.expect("response.cancel")
        await fake.done("r1", "cancelled", output=[made])
        assert await take(stream, 3) == [ToolCallsCancelled(("c1",)), *STOPPED]
        await nothing_more(fake)


async def test_a_result_that_comes_once_the_caller_has_spoken_lets_nobody_go_on(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.speak(Speak(0, "Look it up."))
        await fake.expect()
        await fake.create("r1")
        await fake.call("r1", "c1")
        await fake.done("r1")
        await fake.hear("i0", "x")
        await take(stream, 2)
        await stream.open_turn()
        await fake.hear("i1", "x")
        assert (await take(stream, 2))[0] == ToolCallsCancelled(("c1",))
        await stream.send_tool_result(ToolResult("c1", "book", {"status": "ok", "message": "booked"}))
        assert (await fake.expect("conversation.item.create"))["item"]["call_id"] == "c1"
        await nothing_more(fake)
        await stream.commit_turn(at_once())
        await fake.create("r2")


async def test_a_result_of_an_earlier_sessions_call_is_told_in_words(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    async with opened(connect_to) as (stream, fake):
        await stream.send_tool_result(ToolResult("c0", "book", {"status": "ok", "message": "booked"}))
        told = await fake.expect("conversation.item.create")
        assert told["item"]["role"] == "system"
        assert "booked" in text_of(told)
