"""What a speaking model is to us: the neutral interface that every provider fills.

A provider opens streams; a stream is one connection with one session on it. ``model/session.py`` is the only user of
a stream: it feeds ``Uplink`` messages in and turns what comes back into ``ModelEvent`` and ``PlayoutCommand``.
"""

import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from engine.messages import (
    CallerAudio,
    CallerTranscript,
    CommitTurn,
    ReportHeard,
    ResumeHandle,
    SessionExpiring,
    Speak,
    ToolCallRequested,
    ToolCallsCancelled,
    ToolResult,
    UsageReported,
)
from engine.tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do itself; the engine makes up for what it cannot.

    Attributes:
        server_turn_events: it says when it thinks the caller starts and stops.
        truncation: it can be told how much of an answer was heard.
        forced_tool: a tool can be demanded, not only offered.
        per_turn_context: notes can be given for one turn.
        resume: it hands out handles with which a session outlives its connection.
        text_output: it can answer in text instead of sound.
        g711: it takes and gives mu-law at 8 kHz.
        interim_transcripts: it may say what it understands while the caller still speaks.
        transcripts_within_s: so soon after the caller's end it has said what it understood, every time: worth waiting
            for where no listener is at work, also past the tenant's budget. 0: not every time.
        connection_limit_s: how long a connection lasts at most; a successor is ready before.
    """

    server_turn_events: bool
    truncation: bool
    forced_tool: bool
    per_turn_context: bool
    resume: bool
    text_output: bool
    g711: bool
    interim_transcripts: bool
    transcripts_within_s: float = 0.0
    connection_limit_s: float = math.inf


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One thing said earlier in this call, for seeding a fresh session. Agent text is what was heard."""

    role: Literal["caller", "agent"]
    text: str


@dataclass(frozen=True, slots=True)
class SessionSetup:
    """All that a session is opened with.

    Attributes:
        tenant: persona, voice, tools on offer.
        handle: resume that session; None opens a fresh one.
        history: what was said so far, oldest first; used where no handle resumes it.
        caller: the caller's number, as the carrier says it; empty where it is withheld.
        in_writing: answer with ``TextDelta``, since a voice beside the model says it (``Capabilities.text_output``).
    """

    tenant: Tenant
    call_sid: str
    handle: str | None = None
    history: tuple[HistoryItem, ...] = ()
    caller: str = ""
    in_writing: bool = False


@dataclass(frozen=True, slots=True)
class AudioDelta:
    """Sound of the running response: mu-law at 8 kHz, already resampled.

    Attributes:
        at_ms: where it begins in all the sound of this stream, for one that wants to be told how much of it was heard.
    """

    mulaw: bytes
    at_ms: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    """Text of the running response."""

    delta: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text of the running response that nobody has said yet: of a session ``in_writing``, seen by its voice alone."""

    delta: str


@dataclass(frozen=True, slots=True)
class GenerationComplete:
    """All audio of the running response has been sent."""


@dataclass(frozen=True, slots=True)
class TurnComplete:
    """The model's turn is over."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The provider stopped the running response."""


@dataclass(frozen=True, slots=True)
class Nonsense:
    """A message that could not be used (bad JSON, wrong shape, bad audio); the session judges how many are too many."""

    why: str


StreamEvent: TypeAlias = (
    AudioDelta
    | TranscriptDelta
    | TextDelta
    | GenerationComplete
    | TurnComplete
    | Interrupted
    | Nonsense
    | CallerTranscript
    | ToolCallRequested
    | ToolCallsCancelled
    | SessionExpiring
    | ResumeHandle
    | UsageReported
)


class ModelStream(Protocol):
    """One open session. Every method may raise ``ModelLost`` (and only that, beside misuse)."""

    async def open_turn(self) -> None:
        """The caller began to speak; interrupts a running response."""

    async def send_audio(self, window: CallerAudio) -> None:
        """A window of the open turn; returns when handed to the connection."""

    def send_audio_now(self, window: CallerAudio) -> bool:
        """The same, where that can be done at once; False where it cannot, and nothing has been done.

        A plain call, which raises nothing for a peer's sake.
        """

    async def commit_turn(self, commit: CommitTurn) -> None:
        """Give the notes and let the model answer."""

    def commit_turn_now(self, commit: CommitTurn) -> bool:
        """The same, as ``send_audio_now``."""

    async def speak(self, speak: Speak) -> None:
        """Let the model speak without a caller's turn."""

    async def send_tool_result(self, result: ToolResult) -> None:
        """Answer a tool call."""

    async def report_heard(self, heard: ReportHeard) -> None:
        """Truncate where the provider can; nothing where it cannot."""

    def events(self) -> AsyncIterator[StreamEvent]:
        """What comes back, until the connection ends; then raises ``ModelClosed`` (never just stops)."""


class WritingStream(ModelStream, Protocol):
    """A session opened ``in_writing``: its responses are texts for a voice beside it, until that voice fails."""

    async def heard_only(self, text: str) -> None:
        """Of the response that was broken off the caller heard this; the model is to remember no more of it."""

    async def speak_yourself(self, unsaid: str) -> None:
        """The voice beside it has failed: from here on responses are sound, beginning with this rest of the last one.

        ``unsaid`` is empty where nothing is owed.
        """


class ModelProvider(Protocol):
    """A vendor's realtime interface, configured (key, URL, model) and able to open sessions."""

    @property
    def name(self) -> str:
        """As in a tenant's model order."""

    @property
    def capabilities(self) -> Capabilities:
        """What its streams can do."""

    def open_stream(self, setup: SessionSetup) -> AbstractAsyncContextManager[ModelStream]:
        """Connect, set up, and hand out the stream once the provider says it is ready.

        Raises:
            ModelRefused: no session within the provider's deadline, or a refusal; ``resumable`` is False where the
                handle or history was the reason.
        """
