"""A scripted model that writes, a simulated voice beside it, and what a session gets of the two."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
import trio.testing

from engine.errors import ModelClosed, ModelLost
from engine.messages import Asked, CallerAudio, CommitTurn, ReportHeard, Skipped, Speak, ToolResult
from engine.model.elevenlabs import ElevenLabs
from engine.model.openai_realtime import CAPABILITIES
from engine.model.own_voice import OwnVoiceProvider
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    ModelStream,
    SessionSetup,
    StreamEvent,
    TextDelta,
    TranscriptDelta,
    TurnComplete,
)
from engine.sim.elevenlabs import SimElevenLabs
from engine.tenants.tenant import Tenant

VOICE_ID = "voice1234"
TENANT = Tenant.model_validate(
    {"id": "acme", "name": "Acme", "greeting": "Hello, Acme.", "own_voice": {"voice_id": VOICE_ID, "speed": 1.1}}
)
SAID_BY_ITSELF = bytes([7]) * 80
FIRST, SECOND = "We are open until five today.", "Shall I book you a visit for tomorrow morning?"
ANSWER = f"{FIRST} {SECOND}"
Make = Callable[..., SimElevenLabs]


class Writer:
    """A model in writing that says what the test tells it to, and keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self._send, self._receive = trio.open_memory_channel[StreamEvent](1000)
        self.end = ModelClosed("the model hung up", code=1011)

    def does(self, *events: StreamEvent) -> None:
        for event in events:
            self._send.send_nowait(event)

    def writes(self, text: str, *, ends: bool = True) -> None:
        """In pieces that respect neither word nor sentence."""
        self.does(*(TextDelta(text[at : at + 7]) for at in range(0, len(text), 7)))
        if ends:
            self.does(GenerationComplete(), TurnComplete())

    def hangs_up(self) -> None:
        self._send.close()

    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def last(self, name: str) -> Any:
        return [what for told, what in self.told if told == name][-1]

    async def _note(self, name: str, what: Any = None) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append((name, what))

    async def open_turn(self) -> None:
        await self._note("open_turn")

    def send_audio_now(self, window: CallerAudio) -> bool:
        return False

    async def send_audio(self, window: CallerAudio) -> None:
        await self._note("send_audio", window)

    async def commit_turn(self, commit: CommitTurn) -> None:
        await self._note("commit_turn", commit)

    def commit_turn_now(self, commit: CommitTurn) -> bool:
        return False

    async def speak(self, speak: Speak) -> None:
        await self._note("speak", speak)

    async def send_tool_result(self, result: ToolResult) -> None:
        await self._note("send_tool_result", result)

    async def report_heard(self, heard: ReportHeard) -> None:
        await self._note("report_heard", heard)

    async def heard_only(self, text: str) -> None:
        await self._note("heard_only", text)

    async def speak_yourself(self, unsaid: str) -> None:
        await self._note("speak_yourself", unsaid)
        if unsaid:
            self.does(AudioDelta(SAID_BY_ITSELF, 0.0), TranscriptDelta(unsaid), GenerationComplete(), TurnComplete())

    async def events(self) -> AsyncIterator[StreamEvent]:
        async for event in self._receive:
            yield event
        raise self.end


class WriterProvider:
    """Hands out one writer, once it may."""

    name = "openai-realtime"
    capabilities = CAPABILITIES

    def __init__(self) -> None:
        self.writer = Writer()
        self.setups: list[SessionSetup] = []
        self.refusal: ModelLost | None = None
        self.opens_after_s = 0.2

    @asynccontextmanager
    async def open_stream(self, setup: SessionSetup) -> AsyncIterator[Writer]:
        self.setups.append(setup)
        await trio.sleep(self.opens_after_s)
        if self.refusal is not None:
            raise self.refusal
        yield self.writer


@dataclass
class Duet:
    """An open session, from the session actor's side."""

    stream: ModelStream
    writer: Writer
    voice: SimElevenLabs
    turn_id: int = 0
    events: list[StreamEvent] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    lost: ModelLost | None = None

    async def read(self) -> None:
        try:
            async for event in self.stream.events():
                self.events.append(event)
                self.at.append(trio.current_time())
        except ModelLost as lost:
            self.lost = lost

    async def ask(self) -> None:
        """A turn of the caller, committed."""
        await self.open_turn()
        await self.commit()

    async def open_turn(self) -> None:
        self.turn_id += 1
        await self.stream.open_turn()

    async def commit(self) -> None:
        await self.stream.commit_turn(CommitTurn(Asked(self.turn_id), Skipped(self.turn_id, "small talk")))

    async def until(self, kind: type[StreamEvent], times: int = 1, within_s: float = 10.0) -> None:
        with trio.fail_after(within_s):
            while sum(isinstance(event, kind) for event in self.events) < times:
                await trio.sleep(0.01)

    @property
    def sound(self) -> bytes:
        return b"".join(event.mulaw for event in self.events if isinstance(event, AudioDelta))

    @property
    def text(self) -> str:
        return "".join(event.delta for event in self.events if isinstance(event, TranscriptDelta))

    def kinds(self) -> list[str]:
        """What came, with repetitions of sound and of text taken together, and the text left out."""
        names = [type(event).__name__ for event in self.events if not isinstance(event, TranscriptDelta)]
        return [name for at, name in enumerate(names) if not at or names[at - 1] != name or name != "AudioDelta"]


def connected(monkeypatch: Any, nursery: trio.Nursery, voice: SimElevenLabs) -> None:
    """Every connection from here on ends at this voice, over memory."""

    async def connect(host: str, port: int) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(voice.serve_stream, theirs)
        await trio.lowlevel.checkpoint()
        return ours

    monkeypatch.setattr(trio, "open_tcp_stream", connect)


@asynccontextmanager
async def open_duet(
    voice: SimElevenLabs,
    *,
    tenant: Tenant = TENANT,
    inner: WriterProvider | None = None,
    lost: list[str] | None = None,
    reads: bool = True,
) -> AsyncIterator[Duet]:
    """A session through the real provider; ``reads``: what comes is taken at once."""
    inner = inner or WriterProvider()
    provider = OwnVoiceProvider(
        inner, ElevenLabs("ws://voice.test", "key"), on_lost=([] if lost is None else lost).append
    )
    async with provider.open_stream(SessionSetup(tenant, "CA1")) as stream, trio.open_nursery() as reading:
        duet = Duet(stream, inner.writer, voice)
        if reads:
            reading.start_soon(duet.read)
        yield duet
        reading.cancel_scope.cancel()
