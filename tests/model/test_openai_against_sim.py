"""Provider and session actor against the shipped simulator, which refuses what the service would refuse."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing

from engine.audio import g711
from engine.errors import ModelClosed, ModelGarbled, ModelLost, ModelRefused, ModelRunaway, ModelStalled
from engine.messages import (
    Asked,
    CallerAudio,
    CallerTranscript,
    CommitTurn,
    EndUtterance,
    FloorEvent,
    Notes,
    OpenTurn,
    Passage,
    PlayAudio,
    ReportHeard,
    ResponseFinished,
    ResponseStarted,
    Speak,
    ToolCallRequested,
    ToolResult,
    TurnReplayed,
)
from engine.model.openai_realtime import OpenAIRealtimeProvider
from engine.model.provider import HistoryItem, SessionSetup
from engine.sim.brain import EchoBrain, GroundedBrain, ToolWish
from engine.sim.ear import ToneEar
from engine.sim.moods import (
    Cut,
    Deaf,
    DoubleToolCall,
    Garbled,
    LosesToolResult,
    Mood,
    PhantomMidway,
    Refuse,
    Rule,
    Runaway,
    Silent,
    Slow,
    Stalls,
    Unanswered,
)
from engine.sim.openai import SimOpenAI
from engine.sim.tones import tone_clip
from tests.model.fake_gemini import TENANT, FakeGemini
from tests.model.running import Running, run_over

Clock = trio.testing.MockClock
Serve = Callable[[SimOpenAI], None]
PROVIDER = OpenAIRealtimeProvider(
    "ws://model.test/v1/realtime", "the-key", "gpt-realtime-2.1", transcribe_model="gpt-live-transcribe"
)
PRICES = Passage("acme", "prices.md", "A visit costs 80.", 0.9)
SILENCE = b"\xff" * 800


def simulated(*moods: Mood) -> SimOpenAI:
    return SimOpenAI(ear=ToneEar(), brain=EchoBrain(tone_clip(5, 600, 24000)), rules=[Rule(mood) for mood in moods])


def with_tools(*rules: Rule) -> SimOpenAI:
    return SimOpenAI(ear=ToneEar(), brain=GroundedBrain({"tone 1": ToolWish("book")}), rules=rules)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery) -> Serve:
    def serve(sim: SimOpenAI) -> None:
        async def connect(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(sim.serve_stream, theirs)
            await trio.lowlevel.checkpoint()
            return ours

        monkeypatch.setattr(trio, "open_tcp_stream", connect)

    return serve


@asynccontextmanager
async def session(**changes: Any) -> AsyncIterator[Running]:
    async with PROVIDER.open_stream(SessionSetup(TENANT, "CA1", **changes)) as stream:
        _, unused = trio.testing.memory_stream_pair()
        async with run_over(stream, FakeGemini(unused)) as running:
            yield running


async def one_turn(running: Running, turn_id: int = 1, *, pause: bool = True) -> None:
    """Say half a second and be silent for another, in windows, in real time; then commit with notes."""
    said = g711.encode(tone_clip(1, 500))
    await running.uplink.send(OpenTurn(turn_id))
    for window in (*(said[at : at + 800] for at in range(0, len(said), 800)), *([SILENCE] * 5 if pause else [])):
        await trio.sleep(0.1)
        await running.uplink.send(CallerAudio(window))
    await running.uplink.send(CommitTurn(Asked(turn_id), Notes(turn_id, "how much", (PRICES,), 1.0)))


async def answer(running: Running) -> bytes:
    """What the agent said, up to the end of its utterance."""
    heard = b""
    async for command in running.playout:
        if isinstance(command, EndUtterance):
            return heard
        assert isinstance(command, PlayAudio)
        heard += command.mulaw
    raise AssertionError("the session ended before the utterance did")


async def said_so_far(running: Running) -> list[FloorEvent]:
    events = list[FloorEvent]()
    await trio.testing.wait_all_tasks_blocked()
    with suppress(trio.WouldBlock):
        while True:
            events.append(running.inbox.receive_nowait())
    return events


@pytest.mark.parametrize("pause", [True, False])
async def test_turns_are_grounded_answered_and_faultless(served: Serve, autojump_clock: Clock, pause: bool) -> None:
    sim = simulated()
    served(sim)
    async with session(history=(HistoryItem("agent", "Hello."), HistoryItem("caller", "Hi."))) as running:
        await running.uplink.send(Speak(0, "Greet the caller."))
        assert len(await answer(running)) == pytest.approx(600 * 8, abs=80)
        for turn_id in (1, 2):
            await one_turn(running, turn_id, pause=pause)
            assert len(await answer(running)) == pytest.approx(600 * 8, abs=80)
        await trio.sleep(1)
        events = await said_so_far(running)
    (record,) = sim.sessions
    assert sim.protocol_faults == []
    assert [commit.notes_in_activity for commit in record.commits[1:]] == [True, True]
    assert [commit.transcript for commit in record.commits] == [None, "tone 1", "tone 1"]
    assert [said.role for said in record.history[:2]] == ["model", "user"]
    assert [event for event in events if isinstance(event, CallerTranscript) and event.final] == [
        CallerTranscript("tone 1", final=True)
    ] * 2
    assert sum(isinstance(event, ResponseFinished) for event in events) == 3


async def test_the_answer_is_the_sound_that_was_sent(served: Serve, autojump_clock: Clock) -> None:
    served(simulated())
    async with session() as running:
        await one_turn(running)
        heard = g711.decode(await answer(running)).astype(float)
    sent = tone_clip(5, 600, 8000).astype(float)
    likeness = np.correlate(heard, sent, "full").max() / (np.linalg.norm(heard) * np.linalg.norm(sent))
    assert likeness > 0.97


async def test_a_barge_in_stops_the_answer_and_leaves_what_was_heard(served: Serve, autojump_clock: Clock) -> None:
    sim = SimOpenAI(ear=ToneEar(), brain=EchoBrain(tone_clip(5, 4000, 24000)))
    served(sim)
    async with session() as running:
        await one_turn(running)
        heard = 0
        while heard < 8000:
            command = await running.playout.receive()
            assert isinstance(command, PlayAudio)
            assert command.generation == 1
            heard += len(command.mulaw)
        await running.uplink.send(OpenTurn(2))
        await running.uplink.send(ReportHeard(1, 700.0))
        for _ in range(5):
            await running.uplink.send(CallerAudio(g711.encode(tone_clip(1, 100))))
        await running.uplink.send(CommitTurn(Asked(2), Notes(2, "how much", (PRICES,), 1.0)))
        while not isinstance(event := await running.inbox.receive(), ResponseStarted) or event.generation == 1:
            pass
    (record,) = sim.sessions
    assert [response.status for response in record.responses] == ["cancelled", "in_progress"]
    assert list(record.truncated.values()) == [700]
    assert sim.protocol_faults == []


@pytest.mark.parametrize(
    "double", [None, DoubleToolCall("part"), DoubleToolCall("same_id", one_frame=True), DoubleToolCall("new_id")]
)
async def test_a_tools_result_is_told_and_followed_by_one_answer(
    served: Serve, autojump_clock: Clock, double: DoubleToolCall | None
) -> None:
    sim = with_tools(*([] if double is None else [Rule(double, turn=1)]))
    served(sim)
    calls = list[str]()
    async with session() as running, trio.open_nursery() as nursery:

        async def execute() -> None:
            async for event in running.inbox:
                if isinstance(event, ToolCallRequested):
                    calls.append(event.call_id)
                    result = ToolResult(event.call_id, "book", {"status": "ok", "message": "You are booked."})
                    await running.uplink.send(result)

        nursery.start_soon(execute)
        await one_turn(running)
        with trio.fail_after(30):
            await answer(running)
        await trio.sleep(20)
        with pytest.raises(trio.WouldBlock):
            running.playout.receive_nowait()
        assert not running.done.is_set()
        nursery.cancel_scope.cancel()
    (record,) = sim.sessions
    assert record.spoken[-1].text.startswith("You are booked.")
    assert len(calls) == len(set(calls)) == len(record.tool_answers)
    assert len(record.responses) == 2
    assert sim.protocol_faults == []


@pytest.mark.parametrize(
    ("mood", "kind"),
    [
        (Silent(), ModelStalled),
        (Cut(1006, after_ms=200), ModelClosed),
        (Cut(1011, after_ms=0), ModelClosed),
        (Deaf(), ModelStalled),
        (Garbled(("invalid_json", "wrong_shape", "bad_base64"), repeat=8, instead=True), ModelGarbled),
        (Garbled(("huge_frame",), instead=True), ModelGarbled),
        (Stalls(), ModelStalled),
    ],
)
async def test_every_bad_mood_ends_as_its_kind(
    served: Serve, autojump_clock: Clock, mood: Mood, kind: type[ModelLost]
) -> None:
    sim = simulated(mood)
    served(sim)
    async with session() as running:
        await one_turn(running)
        asked = running.elapsed()
        with trio.fail_after(60):
            assert type(await running.why()) is kind
        assert running.elapsed() - asked < 6.0
        assert sim.moods.left == ()


async def test_a_model_that_repeats_itself_without_end_is_lost(served: Serve, autojump_clock: Clock) -> None:
    brain = EchoBrain(tone_clip(5, 3000, 24000), "We are open from nine to five.")
    served(SimOpenAI(ear=ToneEar(), brain=brain, rules=[Rule(Runaway(repeats=True, at_once=False))]))
    async with session() as running, trio.open_nursery() as nursery:

        async def drain(channel: trio.MemoryReceiveChannel[Any]) -> None:
            async for _ in channel:
                pass

        nursery.start_soon(drain, running.playout)
        nursery.start_soon(drain, running.inbox)
        await one_turn(running)
        with trio.fail_after(100):
            assert isinstance(await running.why(), ModelRunaway)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("refusal", [Refuse("close", code=1008), Refuse("http", status=429), Refuse("reset")])
async def test_every_refusal_is_a_refusal(served: Serve, autojump_clock: Clock, refusal: Refuse) -> None:
    served(simulated(refusal))
    with pytest.raises(ModelRefused):
        async with session():
            pytest.fail("there was no session")


@pytest.mark.parametrize(
    ("mood", "times", "how"),
    [
        (Unanswered(), 1, ["audio"]),
        (Silent(turns=1), 1, ["audio"]),
        (Slow(6.0), 1, ["audio"]),
        (Slow(6.0), 2, ["audio", "words"]),
        (PhantomMidway(after_ms=200), 1, ["rest"]),
    ],
)
async def test_what_asking_again_mends_costs_no_session(
    served: Serve, autojump_clock: Clock, mood: Mood, times: int, how: list[str]
) -> None:
    sim = simulated()
    sim.schedule(Rule(mood, times=times))
    served(sim)
    async with session() as running:
        await one_turn(running)
        events, heard = list[FloorEvent](), 0
        with trio.fail_after(30):
            while heard < 500 * 8:
                heard += len(await answer(running))
        await trio.sleep(30)
        events = await said_so_far(running)
        assert not running.done.is_set()
        # Heard once: nothing more came of the first try, nor a second answer.
        with pytest.raises(trio.WouldBlock):
            running.playout.receive_nowait()
    assert [event.how for event in events if isinstance(event, TurnReplayed)] == how
    assert sim.protocol_faults == []


async def test_the_result_of_a_tool_that_was_lost_is_told_once_more_in_writing(
    served: Serve, autojump_clock: Clock
) -> None:
    sim = with_tools(Rule(LosesToolResult(), turn=1))
    served(sim)
    async with session() as running:
        await one_turn(running)
        with trio.fail_after(30):
            while not isinstance(call := await running.inbox.receive(), ToolCallRequested):
                pass
            await running.uplink.send(ToolResult(call.call_id, "book", {"status": "ok", "message": "You are booked."}))
            await answer(running)
        assert not running.done.is_set()
    assert sim.sessions[0].spoken[-1].text == "You are booked."
    assert sim.sessions[0].tool_calls == [call.call_id]
    assert sim.protocol_faults == []
