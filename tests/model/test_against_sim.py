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
    CommitTurn,
    EndUtterance,
    FloorEvent,
    Notes,
    OpenTurn,
    Passage,
    PlayAudio,
    ResponseFinished,
    ResumeHandle,
    Speak,
    ToolCallRequested,
    ToolResult,
    TurnReplayed,
)
from engine.model.gemini_live import GeminiLiveProvider
from engine.model.gemini_stream import GeminiStream
from engine.model.provider import HistoryItem, SessionSetup
from engine.model.setup import prepare
from engine.sim.brain import EchoBrain, GroundedBrain, ToolWish
from engine.sim.ear import ToneEar
from engine.sim.gemini import SimGemini
from engine.sim.moods import (
    Cut,
    Deaf,
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
from engine.sim.tones import tone_clip
from tests.model.fake_gemini import TENANT, FakeGemini
from tests.model.running import Running, run_over

Clock = trio.testing.MockClock
PROVIDER = GeminiLiveProvider("ws://model.test", "the-key", "gemini-3.8-live")
NOTES = Notes(1, "how much", (Passage("acme", "prices.md", "A visit costs 80.", 0.9),), 1.0)


def simulated(*moods: Mood) -> SimGemini:
    return SimGemini(ear=ToneEar(), brain=EchoBrain(tone_clip(5, 600, 24000)), rules=[Rule(mood) for mood in moods])


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery) -> Callable[[SimGemini], None]:
    prepare()

    def serve(sim: SimGemini) -> None:
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
        assert isinstance(stream, GeminiStream)
        _, unused = trio.testing.memory_stream_pair()
        async with run_over(stream, FakeGemini(unused)) as running:
            yield running


async def one_turn(running: Running, turn_id: int = 1) -> None:
    """Say half a second, in windows, and commit with notes."""
    said = g711.encode(tone_clip(1, 500))
    await running.uplink.send(OpenTurn(turn_id))
    for start in range(0, len(said), 800):
        await running.uplink.send(CallerAudio(said[start : start + 800]))
    await running.uplink.send(CommitTurn(Asked(turn_id), Notes(turn_id, NOTES.query, NOTES.passages, 1.0)))


async def _read_all(inbox: trio.MemoryReceiveChannel[FloorEvent]) -> None:
    async for _ in inbox:
        pass


async def answer(running: Running) -> bytes:
    """What the agent said, up to the end of its utterance."""
    heard = b""
    async for command in running.playout:
        if isinstance(command, EndUtterance):
            return heard
        assert isinstance(command, PlayAudio)
        heard += command.mulaw
    raise AssertionError("the session ended before the utterance did")


async def test_turns_are_grounded_answered_and_faultless(
    served: Callable[[SimGemini], None], autojump_clock: Clock
) -> None:
    sim = simulated()
    served(sim)
    async with session(history=(HistoryItem("agent", "Hello."),)) as running:
        await running.uplink.send(Speak(0, "Greet the caller."))
        assert len(await answer(running)) == pytest.approx(600 * 8, abs=80)
        for turn_id in (1, 2):
            await trio.sleep(1.0)
            await one_turn(running, turn_id)
            assert len(await answer(running)) == pytest.approx(600 * 8, abs=80)
        while not isinstance(await running.inbox.receive(), ResponseFinished):
            pass
    (record,) = sim.sessions
    assert sim.protocol_faults == []
    assert [commit.notes_in_activity for commit in record.commits[1:]] == [True, True]  # the greeting has none
    assert [round(commit.audio_ms) for commit in record.commits] == [0, 500, 500]
    assert record.audio_outside == record.text_outside == 0


async def test_the_answer_is_the_sound_that_was_sent(
    served: Callable[[SimGemini], None], autojump_clock: Clock
) -> None:
    served(simulated())
    async with session() as running:
        await one_turn(running)
        heard = g711.decode(await answer(running)).astype(float)
    sent = tone_clip(5, 600, 8000).astype(float)
    likeness = np.correlate(heard, sent, "full").max() / (np.linalg.norm(heard) * np.linalg.norm(sent))
    assert likeness > 0.97


async def test_a_session_is_resumed_with_its_handle(served: Callable[[SimGemini], None], autojump_clock: Clock) -> None:
    sim = simulated()
    served(sim)
    async with session() as running:
        await one_turn(running)
        async for event in running.inbox:
            if isinstance(event, ResumeHandle):
                break
        else:
            pytest.fail("the session ended without a handle")
    async with session(handle=event.handle) as running:
        await one_turn(running)
        await answer(running)
    assert [record.resumed for record in sim.sessions] == [False, True]
    assert sim.protocol_faults == []


@pytest.mark.parametrize(
    ("mood", "kind"),
    [
        (Silent(), ModelStalled),
        (Cut(1006, after_ms=200), ModelClosed),
        (Cut(1011, after_ms=0), ModelClosed),
        (Cut(1007, after_ms=0), ModelClosed),
        (Deaf(), ModelStalled),
        (Garbled(("invalid_json", "wrong_shape", "bad_base64", "odd_pcm"), repeat=8, instead=True), ModelGarbled),
        (Garbled(("huge_frame",), instead=True), ModelGarbled),
        (Stalls(), ModelStalled),
    ],
)
async def test_every_bad_mood_ends_as_its_kind(
    served: Callable[[SimGemini], None], autojump_clock: Clock, mood: Mood, kind: type[ModelLost]
) -> None:
    sim = simulated(mood)
    served(sim)
    async with session() as running:
        await one_turn(running)
        with trio.fail_after(60):
            assert type(await running.why()) is kind
        assert running.elapsed() < 6.0
        assert sim.moods.left == ()


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_model_without_end_is_lost_within_a_minute_of_its_sound(
    served: Callable[[SimGemini], None], autojump_clock: Clock, repeats: bool, at_once: bool
) -> None:
    sim = SimGemini(
        ear=ToneEar(),
        brain=EchoBrain(tone_clip(5, 3000, 24000), "We are open from nine to five."),
        rules=[Rule(Runaway(repeats=repeats, at_once=at_once))],
    )
    served(sim)
    heard = 0
    async with session() as running, trio.open_nursery() as nursery:

        async def drain() -> None:
            nonlocal heard
            async for command in running.playout:
                heard += len(command.mulaw) if isinstance(command, PlayAudio) else 0

        nursery.start_soon(drain)
        nursery.start_soon(_read_all, running.inbox)
        await one_turn(running)
        with trio.fail_after(100):
            lost = await running.why()
        assert isinstance(lost, ModelRunaway)
        assert not lost.resumable
        nursery.cancel_scope.cancel()
    # Of three minutes: four times the same sentence, or a minute of ever new ones.
    assert heard / 8000 <= (12.2 if repeats else 60.1)


@pytest.mark.parametrize("refusal", [Refuse("close", code=1008), Refuse("http", status=429), Refuse("reset")])
async def test_every_refusal_is_a_refusal(
    served: Callable[[SimGemini], None], autojump_clock: Clock, refusal: Refuse
) -> None:
    served(simulated(refusal))
    with pytest.raises(ModelRefused):
        async with session():
            pytest.fail("there was no session")


async def test_a_stale_handle_is_refused_for_good(served: Callable[[SimGemini], None], autojump_clock: Clock) -> None:
    served(simulated())
    with pytest.raises(ModelRefused) as refused:
        async with session(handle="long gone"):
            pytest.fail("there was no session")
    assert refused.value.code == 1008
    assert not refused.value.resumable


@pytest.mark.parametrize(
    ("mood", "times", "how"),
    [
        (Unanswered(), 1, ["audio"]),
        (Silent(turns=1), 1, ["audio"]),
        (Slow(6.0), 1, ["audio"]),
        (Garbled(("text_only",), instead=True), 1, ["audio"]),
        (Unanswered(), 2, ["audio", "words"]),
        (PhantomMidway(after_ms=200), 1, ["rest"]),
        (PhantomMidway(after_ms=200, ends_turn=False), 1, ["rest"]),
    ],
)
async def test_what_asking_again_mends_costs_no_session(
    served: Callable[[SimGemini], None], autojump_clock: Clock, mood: Mood, times: int, how: list[str]
) -> None:
    sim = simulated()
    sim.schedule(Rule(mood, times=times))
    served(sim)
    async with session() as running:
        await one_turn(running)
        heard, events = 0, list[FloorEvent]()
        with trio.fail_after(30):
            while heard < 500 * 8:
                heard += len(await answer(running))
        await trio.sleep(30)
        with suppress(trio.WouldBlock):
            while True:
                events.append(running.inbox.receive_nowait())
        assert not running.done.is_set()
        # Heard once: nothing more came of the first try, nor a second answer.
        with pytest.raises(trio.WouldBlock):
            running.playout.receive_nowait()
    assert [event.how for event in events if isinstance(event, TurnReplayed)] == how
    assert sim.protocol_faults == []
    (record,) = sim.sessions
    assert record.commits[-1].transcript == (None if how[-1] in {"words", "rest"} else "tone 1")
    if how == ["audio"]:
        assert record.commits[1].audio_ms == record.commits[0].audio_ms == 500
        assert record.commits[1].notes_in_activity


async def test_the_result_of_a_tool_that_was_lost_is_told_once_more_in_writing(
    served: Callable[[SimGemini], None], autojump_clock: Clock
) -> None:
    sim = SimGemini(
        ear=ToneEar(), brain=GroundedBrain({"tone 1": ToolWish("book")}), rules=[Rule(LosesToolResult(), turn=1)]
    )
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
