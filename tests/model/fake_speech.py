"""Speech and a dialogue as a test wants them: what is heard, how long it takes, what is decided."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import numpy as np
import trio

from engine.audio import g711
from engine.dialogue.acts import Act, Say
from engine.errors import ModelLost, ModelRefused
from engine.messages import Asked, CallerAudio, CommitTurn, Notes, Passage, Skipped
from engine.model.local_stream import LocalStream, open_local_stream
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    HistoryItem,
    SessionSetup,
    StreamEvent,
    TranscriptDelta,
    TurnComplete,
)
from tests.model.fake_gemini import TENANT

LOUD = g711.encode((6000 * np.sin(np.arange(800) * 2 * np.pi * 300 / 8000)).astype(np.int16))
QUIET = g711.silence(100)
MS_PER_LETTER = 10
END = [GenerationComplete(), TurnComplete()]


class FakeSpeech:
    """Hears "wordN ..." where N is how many loud windows there were; a letter takes 10 ms to say."""

    def __init__(self, *, places: int = 1, hear_s: float = 0.15, say_s: float = 0.05) -> None:
        self.places = places
        self.hear_s, self.say_s = hear_s, say_s
        self.heard: list[bytes] = []
        self.said: list[str] = []
        self.at_work = self.most_at_work = 0
        self.fails: ModelLost | None = None
        self.understand: Callable[[bytes], str] = loud_windows

    @contextmanager
    def admit(self) -> Iterator[None]:
        if not self.places:
            raise ModelRefused("every place is taken")
        self.places -= 1
        try:
            yield
        finally:
            self.places += 1

    async def recognise(self, mulaw: bytes) -> str:
        self.heard.append(mulaw)
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        await self._take(self.hear_s)
        self.at_work -= 1
        return self.understand(mulaw)

    async def say(self, text: str) -> bytes:
        self.said.append(text)
        await self._take(self.say_s)
        return b"\x10" * (len(text) * MS_PER_LETTER * g711.BYTES_PER_MS)

    async def _take(self, seconds: float) -> None:
        await trio.sleep(seconds)
        if self.fails is not None:
            raise self.fails


def loud_windows(mulaw: bytes) -> str:
    """``3 words`` where three windows were loud; nothing where none was."""
    count = mulaw.count(LOUD)
    return f"{count} words" if count else ""


class FakeMind:
    """Answers each text with what the test put there; remembers what it was told."""

    def __init__(self, *answers: Sequence[Act]) -> None:
        self.answers = list(answers)
        self.results: list[Sequence[Act]] = []
        self.told: list[tuple[Any, ...]] = []

    def hear(self, text: str, passages: Sequence[Passage]) -> tuple[Act, ...]:
        self.told.append(("hear", text, *(passage.text for passage in passages)))
        return tuple(self.answers.pop(0)) if self.answers else (Say(f"You said {text}."),)

    def tool_result(self, call_id: str, response: Mapping[str, Any]) -> tuple[Act, ...]:
        self.told.append(("result", call_id, response["message"]))
        return tuple(self.results.pop(0)) if self.results else (Say(response["message"]),)

    def told_to_say(self, text: str) -> tuple[Act, ...]:
        return (Say(text),) if text else ()

    def cut(self, heard: str) -> None:
        self.told.append(("cut", heard))


@asynccontextmanager
async def local_session(
    speech: FakeSpeech, mind: FakeMind, *history: HistoryItem
) -> AsyncIterator[tuple[LocalStream, AsyncIterator[StreamEvent]]]:
    async with open_local_stream(speech, mind, SessionSetup(TENANT, "CA1", history=history)) as stream:
        yield stream, stream.events()


async def hear(stream: LocalStream, *windows: bytes) -> None:
    """Windows as they come from the line: one every 100 ms, or the length that they have."""
    for window in windows:
        await trio.sleep(len(window) / 8000)
        await stream.send_audio(CallerAudio(window))


def spoken(events: Sequence[StreamEvent]) -> str:
    """The text among them; each piece of it must come with its sound."""
    sounds = sum(isinstance(event, AudioDelta) for event in events)
    texts = [event.delta for event in events if isinstance(event, TranscriptDelta)]
    assert sounds == len(texts)
    return "".join(texts).strip()


def committed(turn_id: int, *passages: Passage) -> CommitTurn:
    outcome = Notes(turn_id, "q", passages, 1.0) if passages else Skipped(turn_id, "small talk")
    return CommitTurn(Asked(turn_id), outcome)


def passage(text: str, tenant_id: str = TENANT.id) -> Passage:
    return Passage(tenant_id, "a source", text, 0.5)


async def until_end(events: AsyncIterator[StreamEvent]) -> list[StreamEvent]:
    told: list[StreamEvent] = []
    while not (told and isinstance(told[-1], TurnComplete)):
        told.append(await anext(events))
    return told


async def take(events: AsyncIterator[StreamEvent], count: int) -> list[StreamEvent]:
    return [await anext(events) for _ in range(count)]


async def nothing_more(events: AsyncIterator[StreamEvent]) -> None:
    with trio.move_on_after(60) as patience:
        await anext(events)
    assert patience.cancelled_caught
