"""A speaking model that does as a test says: no network, no vendor; only the neutral interface of a provider."""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import trio

from engine.errors import ModelClosed, ModelLost
from engine.messages import (
    CallerAudio,
    CallerTranscript,
    CommitTurn,
    ReportHeard,
    Speak,
    ToolResult,
)
from engine.model.provider import (
    AudioDelta,
    Capabilities,
    GenerationComplete,
    SessionSetup,
    StreamEvent,
    TranscriptDelta,
    TurnComplete,
)

CAPABILITIES = Capabilities(
    server_turn_events=False,
    truncation=True,
    forced_tool=False,
    per_turn_context=True,
    resume=True,
    text_output=False,
    g711=True,
    interim_transcripts=True,
)


Step: TypeAlias = StreamEvent | Exception | float
"""What a session does next: say this, be lost by that, or pause for so many seconds."""


def says(text: str, ms: int = 400, byte: int = 0x20) -> list[Step]:
    """One whole answer."""
    return [TranscriptDelta(text), AudioDelta(bytes([byte]) * (8 * ms)), GenerationComplete(), TurnComplete()]


@dataclass
class Session:
    """One open session, and all that went up to it."""

    model: "FakeModel"
    setup: SessionSetup
    spoke: list[Speak] = field(default_factory=list)
    opened: int = 0
    heard: bytes = b""
    commits: list[CommitTurn] = field(default_factory=list)
    results: list[ToolResult] = field(default_factory=list)
    reports: list[ReportHeard] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Step](math.inf)

    def emit(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._send.send_nowait(step)

    async def open_turn(self) -> None:
        await trio.lowlevel.checkpoint()
        self.opened += 1
        if self.model.hears:
            self.emit([CallerTranscript(self.model.hears.pop(0), final=True)])

    def send_audio_now(self, window: CallerAudio) -> bool:
        return False

    async def send_audio(self, window: CallerAudio) -> None:
        await trio.lowlevel.checkpoint()
        self.heard += window.mulaw

    async def commit_turn(self, commit: CommitTurn) -> None:
        await trio.lowlevel.checkpoint()
        self.commits.append(commit)
        self.emit(self.model.answer(self))

    def commit_turn_now(self, commit: CommitTurn) -> bool:
        return False

    async def speak(self, speak: Speak) -> None:
        await trio.lowlevel.checkpoint()
        self.spoke.append(speak)
        self.emit(says("Hello."))

    async def send_tool_result(self, result: ToolResult) -> None:
        await trio.lowlevel.checkpoint()
        self.results.append(result)
        self.emit(self.model.after_tool(self))

    async def report_heard(self, heard: ReportHeard) -> None:
        await trio.lowlevel.checkpoint()
        self.reports.append(heard)

    async def events(self) -> AsyncIterator[StreamEvent]:
        async for step in self._receive:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, float):
                await trio.sleep(step)
            else:
                yield step
        raise ModelClosed("closed")


@dataclass
class FakeModel:
    """A provider; ``refusals`` come before any session, ``hears`` is what the caller says, turn by turn."""

    name: str = "gemini-live"
    capabilities: Capabilities = CAPABILITIES
    refusals: list[ModelLost] = field(default_factory=list)
    hears: list[str] = field(default_factory=list)
    answer: Callable[[Session], Sequence[Step]] = lambda session: says("An answer.")
    after_tool: Callable[[Session], Sequence[Step]] = lambda session: says("It is done.")
    sessions: list[Session] = field(default_factory=list)
    opens_after_s: float = 0.0

    @asynccontextmanager
    async def open_stream(self, setup: SessionSetup) -> AsyncIterator[Session]:
        await trio.sleep(self.opens_after_s)
        if self.refusals:
            raise self.refusals.pop(0)
        session = Session(self, setup)
        self.sessions.append(session)
        try:
            yield session
        finally:
            session.closed = True
