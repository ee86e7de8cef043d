"""The listener against the simulated transcribe model: text while the caller speaks, and again after a loss."""

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TypeAlias

import pytest
import trio
import trio.testing

from engine.audio import g711
from engine.messages import CallerAudio, CallerPaused, FloorEvent, ListenerInput, OpenTurn, WordsHeard
from engine.metrics import Metrics
from engine.model.gemini_listener import GeminiListenProvider
from engine.model.listener import run_listener
from engine.shortcut import ShortEnd
from engine.sim.brain import GroundedBrain
from engine.sim.ear import PhraseEar
from engine.sim.gemini import SimGemini
from engine.sim.moods import Cut, GoAway, Mood, Refuse, Rule
from engine.voice.cache import VoiceCache

PARKING = "Hi there, is there somewhere I can park?"
WHITENING = "And what does teeth whitening cost?"
WINDOW = 800
Send: TypeAlias = trio.MemorySendChannel[ListenerInput]


@asynccontextmanager
async def listening(
    speech: VoiceCache, *rules: Rule
) -> AsyncIterator[
    tuple[SimGemini, trio.MemorySendChannel[ListenerInput], trio.MemoryReceiveChannel[FloorEvent], Metrics]
]:
    phrases = {text: g711.decode(speech.mulaw(text)) for text in (PARKING, WHITENING)}
    sim = SimGemini(ear=PhraseEar(phrases), brain=GroundedBrain(), rules=rules)
    heard_send, heard = trio.open_memory_channel[ListenerInput](200)
    inbox_send, inbox = trio.open_memory_channel[FloorEvent](200)
    metrics = Metrics()
    async with trio.open_nursery() as nursery:
        url = await nursery.start(sim.serve)
        provider = GeminiListenProvider(url, "key", "gemini-3.5-transcribe-live")
        nursery.start_soon(lambda: run_listener(provider=provider, heard=heard, inbox=inbox_send, metrics=metrics))
        with heard_send:
            yield sim, heard_send, inbox, metrics
        nursery.cancel_scope.cancel()


async def say(send: Send, turn_id: int, mulaw: bytes) -> None:
    await send.send(OpenTurn(turn_id))
    for at in range(0, len(mulaw), WINDOW):
        await send.send(CallerAudio(mulaw[at : at + WINDOW]))
        await trio.sleep(0.1)
    await send.send(CallerPaused(turn_id))


async def last_text(inbox: trio.MemoryReceiveChannel[FloorEvent], turn_id: int) -> list[str]:
    texts = []
    with trio.move_on_after(1):
        async for event in inbox:
            assert isinstance(event, WordsHeard)
            assert event.turn_id == turn_id
            texts.append(event.text)
    return texts


async def test_text_grows_while_the_caller_speaks_and_is_whole_after_the_pause(
    speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with listening(speech) as (sim, send, inbox, _):
        await say(send, 1, speech.mulaw(PARKING))
        first = await last_text(inbox, 1)
        await say(send, 2, speech.mulaw(WHITENING))
        second = await last_text(inbox, 2)
    assert len(first) > 1
    for texts in (first, second):
        words = [len(text.split()) for text in texts]
        assert words == sorted(words), "the end of the sentence is not forgotten for its first half"
    assert PARKING.startswith(first[0].rstrip("."))
    assert first[-1] == PARKING
    assert second[-1] == WHITENING
    assert sim.protocol_faults == []
    assert all(not session.spoken for session in sim.sessions)


@dataclass
class Told:
    """A stream that notes what it is told; at once only where it may."""

    at_once: bool
    told: list[bytes | str] = field(default_factory=list)

    async def open_turn(self) -> None:
        self.told.append("open")

    async def send_audio(self, window: CallerAudio) -> None:
        self.told.append(window.mulaw)

    def send_audio_now(self, window: CallerAudio) -> bool:
        if self.at_once:
            self.told.append(window.mulaw)
        return self.at_once

    async def flush(self) -> None:
        self.told.append("flush")

    async def texts(self) -> AsyncGenerator[str, None]:
        await trio.sleep(math.inf)
        yield ""


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
async def test_windows_go_up_together_in_order_and_a_pause_sends_the_rest(
    short: bool, at_once: bool, autojump_clock: trio.testing.MockClock
) -> None:
    stream = Told(at_once)

    @asynccontextmanager
    async def open_listener() -> AsyncIterator[Told]:
        yield stream

    provider = SimpleNamespace(name="noting", open_listener=open_listener)
    send, heard = trio.open_memory_channel[ListenerInput](200)
    inbox, _ = trio.open_memory_channel[FloorEvent](200)
    end = ShortEnd(send)
    windows = [bytes([number]) * WINDOW for number in range(1, 6)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            lambda: run_listener(
                provider=provider, heard=heard, end=end if short else None, inbox=inbox, metrics=Metrics()
            )
        )
        for turn_id in (1, 2):
            turn: list[ListenerInput] = [OpenTurn(turn_id), *map(CallerAudio, windows), CallerPaused(turn_id)]
            for message in turn:
                end.send_nowait(message)
                await trio.sleep(0.1)
        end.close()
    told = ["open", windows[0] + windows[1], windows[2] + windows[3], windows[4], "flush"]
    assert stream.told == [*told, *told]


async def test_a_refused_listener_is_opened_again_and_again(
    speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    moods: list[Mood] = [Refuse("close"), Refuse("reset"), Refuse("http")]
    rules = [Rule(mood, connection=number) for number, mood in enumerate(moods, start=1)]
    async with listening(speech, *rules) as (sim, send, inbox, metrics):
        await say(send, 1, speech.mulaw(PARKING))  # lost: nobody listens yet
        await trio.sleep(10)
        while True:
            try:
                inbox.receive_nowait()
            except trio.WouldBlock:
                break
        await say(send, 2, speech.mulaw(WHITENING))
        assert (await last_text(inbox, 2))[-1] == WHITENING
        assert metrics.total(metrics.model_lost) == 3
    assert len(sim.sessions) == 4


async def test_a_service_that_opens_and_ends_at_once_is_not_asked_without_a_pause(
    speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with listening(speech, Rule(Cut(1006), turn=0, times=None)) as (sim, _, _, _):
        await trio.sleep(30)
    assert 5 <= len(sim.sessions) <= 9


async def test_after_a_stream_that_lasted_the_next_is_opened_at_once(
    speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    early = [Rule(Cut(1006), connection=number, turn=0) for number in (1, 2, 3)]
    async with listening(speech, *early, Rule(GoAway(12.0), connection=4, turn=0)) as (sim, _, _, _):
        await trio.sleep(25)
    lasted, following = sim.sessions[3:]
    assert lasted.closed_at is not None
    assert following.opened_at - lasted.closed_at < 0.2
