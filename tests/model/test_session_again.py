"""Asking once more, over a scripted server: what is heard, what is not, and when it is not done at all."""

import tracemalloc

import pytest
import trio
import trio.testing

from engine.errors import ModelGarbled, ModelStalled
from engine.messages import (
    CallerAudio,
    CutPlayout,
    EndUtterance,
    OpenTurn,
    PlayAudio,
    ResponseFinished,
    ResponseInterrupted,
    ResponseStarted,
    Speak,
    ToolCallRequested,
    ToolResult,
    TurnReplayed,
)
from engine.model.stream import MAX_MESSAGE
from tests.model.conftest import Run
from tests.model.running import AGAIN_S, Running, generation_of

Clock = trio.testing.MockClock


async def said(session: Running) -> None:
    """A turn of the caller with two windows."""
    await session.uplink.send(OpenTurn(1))
    for _ in range(2):
        await session.uplink.send(CallerAudio(bytes(800)))
    await session.commit(1)
    assert await sent(session, 4) == ["activityStart", "audio", "audio", "activityEnd"]


async def sent(session: Running, count: int) -> list[str]:
    messages = [await session.fake.expect() for _ in range(count)]
    return [key for message in messages for body in message.values() for key in body]


async def test_the_turn_goes_up_again_with_its_sound_once_it_is_late(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await said(session)
        assert await sent(session, 4) == ["activityStart", "audio", "audio", "activityEnd"]
        assert session.elapsed() == pytest.approx(AGAIN_S)
        assert await session.events(1) == [TurnReplayed(1, "audio")]
        await session.fake.sound()
        assert generation_of((await session.events(1))[0]) == 1


async def test_an_answer_that_has_begun_is_not_asked_for_again(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await said(session)
        await trio.sleep(AGAIN_S - 0.1)
        await session.fake.sound()
        assert isinstance(await session.why(), ModelStalled)
        assert session.fake.messages == []
        assert not any(isinstance(event, TurnReplayed) for event in await session.events(1))


async def test_nothing_is_asked_again_while_a_tool_runs(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await said(session)
        await session.fake.say(toolCall={"functionCalls": [{"id": "c", "name": "book", "args": {}}]})
        await session.events(1)
        await trio.sleep(30.0)
        await session.nothing_more()
        await session.uplink.send(ToolResult("c", "book", {"status": "ok"}))
        assert await sent(session, 1) == ["functionResponses"]
        assert await sent(session, 3) == ["activityStart", "text", "activityEnd"]
        assert await session.events(1) == [TurnReplayed(1, "result")]


async def test_a_caller_who_speaks_again_is_asked_about_nothing_old(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await said(session)
        await trio.sleep(AGAIN_S - 0.1)
        await session.uplink.send(OpenTurn(2))
        assert await sent(session, 1) == ["activityStart"]
        await trio.sleep(30.0)
        assert session.fake.messages == []
        await session.nothing_more()


async def test_the_first_try_is_not_heard_where_it_comes_after_all(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await said(session)
        await sent(session, 4)
        await session.fake.sound()  # it was on its way when we asked again
        await session.fake.content(interrupted=True)
        await session.fake.content(turnComplete=True)
        await session.fake.sound()
        await session.fake.content(generationComplete=True)
        await session.fake.content(turnComplete=True)
        events = await session.events(5)
        assert [type(event) for event in events] == [
            TurnReplayed,
            ResponseStarted,
            ResponseInterrupted,
            ResponseStarted,
            ResponseFinished,
        ]
        taken_back = [command for command in await session.commands(6) if not isinstance(command, PlayAudio)]
        assert [type(command) for command in taken_back] == [EndUtterance, CutPlayout, EndUtterance]
        assert [getattr(c, "through_generation", None) for c in taken_back] == [None, 1, None]
        await session.nothing_more()
        await trio.sleep(30.0)
        assert not session.done.is_set()


async def test_a_first_try_that_was_taken_back_leaves_the_answer_owed(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await said(session)
        await sent(session, 4)
        await session.fake.sound()
        await session.fake.content(interrupted=True)
        await session.fake.content(turnComplete=True)
        with trio.fail_after(30):
            assert isinstance(await session.why(), ModelStalled)


async def test_a_second_answer_to_what_was_asked_twice_is_not_heard(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await said(session)
        await sent(session, 4)
        for _ in range(2):
            await session.fake.sound()
            await session.fake.content(outputTranscription={"text": "We open at nine."})
            await session.fake.content(generationComplete=True)
            await session.fake.content(turnComplete=True)
        assert [type(event) for event in await session.events(4)][-1] is ResponseFinished
        assert len(await session.commands(3)) == 3
        await session.nothing_more()
        await session.turn(2)  # what is asked anew is heard
        await session.fake.sound()
        assert generation_of((await session.events(1))[0]) == 2


async def test_an_instruction_is_given_once_more(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.uplink.send(Speak(0, "Greet."))
        assert await sent(session, 6) == ["activityStart", "text", "activityEnd"] * 2
        assert await session.events(1) == [TurnReplayed(0, "instruction")]


async def test_a_response_that_hangs_leaves_room_for_company_and_goes_on_after_it(
    running: Run, autojump_clock: Clock
) -> None:
    async with running() as session:
        await session.turn()
        await session.fake.sound()
        await trio.sleep(2.0)
        await session.fake.sound()
        await session.fake.content(turnComplete=True)
        assert [generation_of(event) for event in await session.events(3)] == [1, 2, 2]
        assert [type(command) for command in await session.commands(5)] == [
            PlayAudio,
            EndUtterance,
            PlayAudio,
            PlayAudio,
            EndUtterance,
        ]


async def test_an_interruption_that_the_caller_made_is_not_asked_about(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        await session.fake.sound()
        await session.uplink.send(OpenTurn(2))
        await session.fake.content(interrupted=True)
        await session.fake.content(turnComplete=True)
        await trio.sleep(30.0)
        assert await sent(session, 1) == ["activityStart"]
        assert session.fake.messages == []
        assert not session.done.is_set()


@pytest.mark.parametrize("pause_s", [0.0, 3.0])
async def test_a_call_said_twice_under_one_id_is_passed_on_once(
    running: Run, pause_s: float, autojump_clock: Clock
) -> None:
    call = {"functionCalls": [{"id": "c", "name": "book", "args": {}}]}
    async with running() as session:
        await session.fake.say(toolCall=call)
        await trio.sleep(pause_s)
        await session.fake.say(toolCall=call)
        assert await session.events(1) == [ToolCallRequested("c", "book", {})]
        await session.nothing_more()


async def test_a_frame_of_ten_megabytes_is_refused_by_its_head_alone(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        head = b"\x82\x7f" + (10 * 1024 * 1024).to_bytes(8, "big")
        tracemalloc.start()
        try:
            await session.fake.stream.send_all(head + bytes(65536))
            lost = await session.why()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert isinstance(lost, ModelGarbled)
        assert lost.code == 1009
        assert peak < MAX_MESSAGE


async def test_no_ping_is_ever_sent_so_no_pong_is_ever_late(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await trio.sleep(600.0)
        assert not session.done.is_set()
        await session.turn()  # reads all that was sent until now
        assert session.fake.pings == []
        await session.fake.sound()
        assert generation_of((await session.events(1))[0]) == 1
