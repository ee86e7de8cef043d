"""The session actor over the real stream, against a scripted server, under virtual time."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.testing

from engine.errors import MisuseError, ModelClosed, ModelGarbled, ModelLost, ModelStalled
from engine.messages import (
    AgentTranscript,
    CallerAudio,
    CallerTranscript,
    CommitTurn,
    EndUtterance,
    FloorEvent,
    OpenTurn,
    PlayAudio,
    PlayoutCommand,
    ReportHeard,
    ResponseFinished,
    ResponseInterrupted,
    ResponseStarted,
    Skipped,
    Speak,
    ToolCallRequested,
    ToolCallsCancelled,
    ToolResult,
    Uplink,
    UsageReported,
)
from engine.model.liveness import Liveness
from engine.model.provider import AudioDelta, ModelStream, StreamEvent
from engine.model.session import run_session
from engine.model.stream import SEND_DEADLINE_S
from tests.model.conftest import Open
from tests.model.fake_gemini import FakeGemini

Clock = trio.testing.MockClock

FILLER_S, STALL_S = 1.5, 4.0


@dataclass
class Running:
    """A session at work, seen from the call's side and from the server's."""

    fake: FakeGemini
    uplink: trio.MemorySendChannel[Uplink]
    inbox: trio.MemoryReceiveChannel[FloorEvent]
    playout: trio.MemoryReceiveChannel[PlayoutCommand]
    slow_at: list[float] = field(default_factory=list)
    started_at: float = field(default_factory=trio.current_time)
    lost: ModelLost | None = None
    done: trio.Event = field(default_factory=trio.Event)

    async def turn(self, turn_id: int = 1) -> None:
        await self.uplink.send(OpenTurn(turn_id))
        await self.uplink.send(CommitTurn(turn_id, Skipped(turn_id, "small talk")))
        while await self.fake.expect() != {"realtimeInput": {"activityEnd": {}}}:
            pass

    async def events(self, count: int) -> list[FloorEvent]:
        return [await self.inbox.receive() for _ in range(count)]

    async def commands(self, count: int) -> list[PlayoutCommand]:
        return [await self.playout.receive() for _ in range(count)]

    async def nothing_more(self) -> None:
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.WouldBlock):
            self.inbox.receive_nowait()
        with pytest.raises(trio.WouldBlock):
            self.playout.receive_nowait()

    async def why(self) -> ModelLost:
        await self.done.wait()
        assert self.lost is not None, "the session ended of itself"
        return self.lost

    def elapsed(self) -> float:
        return trio.current_time() - self.started_at


Run = Callable[[], Any]


@pytest.fixture
def running(open_session: Open) -> Run:
    @asynccontextmanager
    async def run() -> AsyncIterator[Running]:
        async with open_session() as (stream, fake), run_over(stream, fake) as session:
            yield session

    return run


@asynccontextmanager
async def run_over(stream: ModelStream, fake: FakeGemini) -> AsyncIterator[Running]:
    uplink_send, uplink = trio.open_memory_channel[Uplink](64)
    inbox, inbox_receive = trio.open_memory_channel[FloorEvent](64)
    playout, playout_receive = trio.open_memory_channel[PlayoutCommand](64)
    session = Running(fake, uplink_send, inbox_receive, playout_receive)
    numbers = itertools.count(1)

    async def actor() -> None:
        try:
            await run_session(
                stream=stream,
                uplink=uplink,
                inbox=inbox,
                playout=playout,
                next_generation=lambda: next(numbers),
                liveness=Liveness(FILLER_S, STALL_S),
                on_slow=lambda: session.slow_at.append(session.elapsed()),
            )
        except ModelLost as lost:
            session.lost = lost
        session.done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor)
        yield session
        nursery.cancel_scope.cancel()


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
        assert start == ResponseStarted(1, start.at)
        assert text == AgentTranscript(1, "Hello")
        assert finish == ResponseFinished(1, "")
        *audio, end = await session.commands(4)
        assert {type(piece) for piece in audio} == {PlayAudio}
        assert {piece.generation for piece in audio} == {1}
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
        assert (await session.events(1))[0].generation == 2


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
        assert (await session.events(1))[0].generation == 2


async def test_a_late_piece_of_sound_is_a_response_of_its_own(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        await session.fake.sound()
        await session.fake.content(generationComplete=True)
        await session.fake.sound()
        await session.fake.content(turnComplete=True)
        assert [event.generation for event in await session.events(3)] == [1, 2, 2]
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
            CommitTurn(1, Skipped(1, "x")),
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
            await session.uplink.send(CommitTurn(2, Skipped(2, "x")))
            await session.done.wait()


# --- slow and lost ---------------------------------------------------------------------------------------------------


async def test_a_silent_model_is_slow_once_and_then_stalled(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await trio.sleep(30.0)  # silence while nothing is owed is none
        session.started_at = trio.current_time()
        await session.turn()
        assert isinstance(await session.why(), ModelStalled)
        assert session.elapsed() == pytest.approx(STALL_S)
        assert session.slow_at == [pytest.approx(FILLER_S)]


async def test_only_what_the_caller_notices_keeps_a_model_from_being_slow(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        await trio.sleep(1.0)
        await session.fake.content(inputTranscription={"text": "heard you"})
        await session.fake.content(outputTranscription={"text": "but silent"})
        assert isinstance(await session.why(), ModelStalled)
        assert session.slow_at == [pytest.approx(FILLER_S)]


async def test_a_response_that_breaks_off_is_stalled(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        for _ in range(5):
            await trio.sleep(1.0)
            await session.fake.sound()
        assert isinstance(await session.why(), ModelStalled)
        assert session.elapsed() == pytest.approx(5.0 + STALL_S)
        assert session.slow_at == []


async def test_a_response_played_back_slowly_is_not_stalled(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        await session.fake.sound()
        await session.fake.content(generationComplete=True)
        await trio.sleep(60.0)  # the service tells the end of the turn when playback should be over
        await session.fake.content(turnComplete=True)
        assert (await session.events(2))[1] == ResponseFinished(1, "")
        assert not session.done.is_set()


async def test_while_a_tool_runs_the_model_may_be_silent_and_must_speak_after_its_result(
    running: Run, autojump_clock: Clock
) -> None:
    async with running() as session:
        await session.turn()
        await session.fake.say(toolCall={"functionCalls": [{"id": "c", "name": "book", "args": {}}]})
        await trio.sleep(20.0)
        assert session.slow_at == []
        await session.uplink.send(ToolResult("c", "book", {"status": "ok"}))
        assert isinstance(await session.why(), ModelStalled)
        assert session.slow_at == [pytest.approx(20.0 + FILLER_S)]
        assert session.elapsed() == pytest.approx(20.0 + STALL_S)


async def test_a_caller_who_goes_on_speaking_stalls_nobody(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        await trio.sleep(1.0)
        await session.uplink.send(OpenTurn(2))
        await trio.sleep(60.0)
        assert not session.done.is_set()
        assert session.slow_at == []


async def test_garbage_is_tolerated_a_little_and_then_garbled(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        for _ in range(4):
            await session.fake.raw(b"garbage")
        await trio.testing.wait_all_tasks_blocked()
        assert not session.done.is_set()
        await session.fake.raw(b"[]")
        assert isinstance(await session.why(), ModelGarbled)


async def test_broken_frames_are_garbled(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.fake.stream.send_all(b"\xff\xff\xff\xff")
        assert isinstance(await session.why(), ModelGarbled)


@pytest.mark.parametrize(("code", "resumable"), [(1011, True), (1007, False), (1008, False)])
async def test_a_close_is_told_with_its_code_also_while_windows_go_up(
    running: Run, code: int, resumable: bool, autojump_clock: Clock
) -> None:
    async with running() as session:
        await session.uplink.send(OpenTurn(1))
        await session.fake.close(code, "why")
        with suppress(trio.BrokenResourceError):  # the session has ended and closed its end
            for _ in range(10):
                await session.uplink.send(CallerAudio(bytes(800)))
        lost = await session.why()
        assert isinstance(lost, ModelClosed)
        assert (lost.code, lost.resumable) == (code, resumable)


async def test_a_reset_is_closed_1006(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.fake.stream.aclose()
        lost = await session.why()
        assert isinstance(lost, ModelClosed)
        assert lost.code == 1006


async def test_a_peer_that_takes_nothing_is_stalled(
    running: Run, open_session: Open, monkeypatch: pytest.MonkeyPatch, autojump_clock: Clock
) -> None:
    async with open_session() as (stream, fake):
        ours, _theirs = trio.testing.lockstep_stream_pair()
        monkeypatch.setattr(stream._socket, "_stream", ours)  # from now on nothing is read
        async with run_over(stream, fake) as session:
            await session.uplink.send(OpenTurn(1))
            assert isinstance(await session.why(), ModelStalled)
            assert session.elapsed() == pytest.approx(SEND_DEADLINE_S)


async def test_failures_of_both_directions_at_once_are_one_plain_error(autojump_clock: Clock) -> None:
    class Failing:
        """Its reader hears a refusal in the same moment in which its sender finds the connection gone."""

        moment = trio.Event()

        async def open_turn(self) -> None:
            await self.moment.wait()
            raise ModelClosed("gone", code=1006)

        async def _events(self) -> AsyncIterator[StreamEvent]:
            yield AudioDelta(b"x")
            await self.moment.wait()
            raise ModelClosed("refused", code=1007, resumable=False)

        def events(self) -> AsyncIterator[StreamEvent]:
            return self._events()

        async def send_audio(self, window: CallerAudio) -> None: ...
        async def commit_turn(self, commit: CommitTurn) -> None: ...
        async def speak(self, speak: Speak) -> None: ...
        async def send_tool_result(self, result: ToolResult) -> None: ...
        async def report_heard(self, heard: ReportHeard) -> None: ...

    _, theirs = trio.testing.memory_stream_pair()
    async with run_over(Failing(), FakeGemini(theirs)) as session:
        await session.uplink.send(OpenTurn(1))
        await trio.testing.wait_all_tasks_blocked()
        Failing.moment.set()
        lost = await session.why()
        assert lost.code == 1007


async def test_cancelling_the_session_is_no_failure(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        await session.fake.sound()
    assert session.lost is None
    assert not session.done.is_set()
    assert await session.fake.wait_closed() == (1000, "")
