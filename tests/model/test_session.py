"""What passes through the session actor, over the real stream and a scripted server, under virtual time."""

import pytest
import trio
import trio.testing

from engine.errors import MisuseError, ModelStalled
from engine.messages import (
    AgentTranscript,
    Asked,
    CallerAudio,
    CallerTranscript,
    CommitTurn,
    EndUtterance,
    OpenTurn,
    PlayAudio,
    ReportHeard,
    ResponseFinished,
    ResponseInterrupted,
    ResponseStarted,
    Skipped,
    Speak,
    ToolCallRequested,
    ToolCallsCancelled,
    ToolResult,
    UsageReported,
)
from tests.model.conftest import Open, Run
from tests.model.running import generation_of, run_over

Clock = trio.testing.MockClock

# --- what passes -----------------------------------------------------------------------------------------------------


async def test_an_answer_starts_plays_ends_and_finishes_once(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        await session.fake.sound()
        await session.fake.content(outputTranscription={"text": "Hello"})
        await session.fake.sound()
        await session.fake.content(generationComplete=True)
        await session.fake.content(turnComplete=True)
        start, text, finish = await session.events(3)
        assert isinstance(start, ResponseStarted)
        assert start.generation == 1
        assert text == AgentTranscript(1, "Hello")
        assert finish == ResponseFinished(1, "")
        *audio, end = await session.commands(4)
        assert {type(piece) for piece in audio} == {PlayAudio}
        assert {generation_of(piece) for piece in audio} == {1}
        assert end == EndUtterance(1)
        await session.nothing_more()
        await session.turn(2)
        await session.fake.sound()
        await session.fake.content(turnComplete=True)  # without generationComplete
        assert (await session.events(2))[1] == ResponseFinished(2, "")
        assert (await session.commands(3))[2] == EndUtterance(2)
        await session.nothing_more()


async def test_a_turn_without_sound_finishes_without_a_generation(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        await session.fake.content(outputTranscription={"text": "unheard"})
        await session.fake.content(turnComplete=True, turnCompleteReason="RESPONSE_REJECTED")
        assert await session.events(2) == [
            AgentTranscript(None, "unheard"),
            ResponseFinished(None, "RESPONSE_REJECTED"),
        ]
        await session.nothing_more()


async def test_an_interrupted_response_ends_and_nothing_more_of_it_passes(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        await session.fake.sound()
        await session.fake.content(interrupted=True)
        await session.fake.sound()
        await session.fake.content(outputTranscription={"text": "late"})
        await session.fake.content(turnComplete=True)
        assert (await session.events(3))[1:] == [ResponseInterrupted(1), ResponseFinished(1, "")]
        assert (await session.commands(2))[1] == EndUtterance(1)
        await session.nothing_more()
        await session.turn(2)
        await session.fake.sound()
        assert generation_of((await session.events(1))[0]) == 2


async def test_a_late_end_of_an_interrupted_response_is_not_the_new_turns_answer(
    running: Run, autojump_clock: Clock
) -> None:
    async with running() as session:
        await session.turn(1)
        await session.turn(2)  # before anything was said: an interruption without a sound
        await session.fake.content(interrupted=True)
        await session.fake.content(turnComplete=True)
        assert await session.events(1) == [ResponseInterrupted(None)]
        await session.nothing_more()
        assert isinstance(await session.why(), ModelStalled)


async def test_sound_after_an_interruption_is_heard_once_something_new_was_asked(
    running: Run, autojump_clock: Clock
) -> None:
    async with running() as session:
        await session.turn(1)
        await session.fake.sound()
        await session.fake.content(interrupted=True)  # and the end of that turn never comes
        await session.events(2)
        await session.turn(2)
        await session.fake.sound()
        assert generation_of((await session.events(1))[0]) == 2


async def test_a_late_piece_of_sound_is_a_response_of_its_own(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        await session.fake.sound()
        await session.fake.content(generationComplete=True)
        await session.fake.sound()
        await session.fake.content(turnComplete=True)
        assert [generation_of(event) for event in await session.events(3)] == [1, 2, 2]
        kinds = [type(command) for command in await session.commands(6)]
        assert kinds == [PlayAudio, PlayAudio, EndUtterance, PlayAudio, PlayAudio, EndUtterance]


async def test_calls_words_and_usage_pass_through(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.fake.content(inputTranscription={"text": "hi", "finished": True})
        await session.fake.say(toolCall={"functionCalls": [{"id": "c", "name": "book", "args": {}}]})
        await session.fake.say(toolCallCancellation={"ids": ["c"]}, usageMetadata={"totalTokenCount": 1})
        assert await session.events(4) == [
            CallerTranscript("hi", final=True),
            ToolCallRequested("c", "book", {}),
            ToolCallsCancelled(("c",)),
            UsageReported({"totalTokenCount": 1}),
        ]


async def test_every_uplink_message_reaches_the_stream_in_order(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        for message in (
            Speak(0, "Greet."),
            OpenTurn(1),
            CallerAudio(bytes(800)),
            CallerAudio(bytes(160)),
            CommitTurn(Asked(1), Skipped(1, "x")),
            ToolResult("c", "book", {"status": "ok"}),
            ReportHeard(1, 20.0),
        ):
            await session.uplink.send(message)
        sent = [await session.fake.expect() for _ in range(8)]
        keys = [key for message in sent for body in message.values() for key in body]
        assert keys == [
            "activityStart",
            "text",
            "activityEnd",
            "activityStart",
            "audio",
            "audio",
            "activityEnd",
            "functionResponses",
        ]


async def test_closing_the_uplink_ends_the_session_quietly(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.uplink.aclose()
        await session.done.wait()
        assert session.lost is None
        with pytest.raises(trio.EndOfChannel):
            await session.inbox.receive()
        with pytest.raises(trio.EndOfChannel):
            await session.playout.receive()


async def test_a_call_that_is_gone_ends_the_session_quietly(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.playout.aclose()
        await session.fake.sound()
        await session.done.wait()
        assert session.lost is None


async def test_a_commit_of_another_turn_is_misuse(open_session: Open, autojump_clock: Clock) -> None:
    with pytest.RaisesGroup(MisuseError, flatten_subgroups=True):
        async with open_session() as (stream, fake), run_over(stream, fake) as session:
            await session.uplink.send(OpenTurn(1))
            await session.uplink.send(CommitTurn(Asked(2), Skipped(2, "x")))
            await session.done.wait()
