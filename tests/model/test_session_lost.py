"""When a session is slow, when it is lost, and as what; under virtual time."""

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import trio
import trio.testing

from engine.errors import ModelClosed, ModelGarbled, ModelStalled
from engine.messages import (
    CallerAudio,
    CommitTurn,
    OpenTurn,
    ReportHeard,
    ResponseFinished,
    Speak,
    ToolResult,
)
from engine.model.liveness import COMPANY_EVERY_S
from engine.model.provider import AudioDelta, StreamEvent
from engine.model.stream import SEND_DEADLINE_S
from tests.model.conftest import Open, Run
from tests.model.fake_gemini import FakeGemini
from tests.model.running import FILLER_S, STALL_S, run_over

Clock = trio.testing.MockClock

# --- slow and lost ---------------------------------------------------------------------------------------------------


async def test_a_silent_model_is_slow_until_it_is_stalled(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await trio.sleep(30.0)  # silence while nothing is owed is none
        session.started_at = trio.current_time()
        await session.turn()
        assert isinstance(await session.why(), ModelStalled)
        assert session.elapsed() == pytest.approx(STALL_S)
        assert session.slow_at == pytest.approx([FILLER_S, FILLER_S + COMPANY_EVERY_S])


async def test_only_what_the_caller_notices_keeps_a_model_from_being_slow(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        await trio.sleep(1.0)
        await session.fake.content(inputTranscription={"text": "heard you"})
        await session.fake.content(outputTranscription={"text": "but silent"})
        assert isinstance(await session.why(), ModelStalled)
        assert session.slow_at == pytest.approx([FILLER_S, FILLER_S + COMPANY_EVERY_S])


async def test_a_response_that_breaks_off_is_stalled(running: Run, autojump_clock: Clock) -> None:
    async with running() as session:
        await session.turn()
        for _ in range(5):
            await trio.sleep(1.0)
            await session.fake.sound()
        assert isinstance(await session.why(), ModelStalled)
        assert session.elapsed() == pytest.approx(5.0 + STALL_S)
        assert session.slow_at == pytest.approx([5.0 + FILLER_S, 5.0 + FILLER_S + COMPANY_EVERY_S])


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
        assert session.slow_at == pytest.approx([20.0 + FILLER_S, 20.0 + FILLER_S + COMPANY_EVERY_S])
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

        def commit_turn_now(self, commit: CommitTurn) -> bool:
            return False

        def send_audio_now(self, window: CallerAudio) -> bool:
            return False

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
