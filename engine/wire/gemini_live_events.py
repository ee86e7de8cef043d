"""What a Gemini Live server can say: frozen, slotted, no behaviour. Made by ``wire.gemini_live.decode``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class SetupComplete:
    """The session is ready."""


@dataclass(frozen=True, slots=True)
class ModelAudio:
    """16-bit little-endian mono PCM, never empty, a whole number of samples."""

    pcm: bytes
    rate_hz: int


@dataclass(frozen=True, slots=True)
class InputTranscript:
    """A delta, with its own spacing, of what the model understood; ``finished`` is rarely set."""

    text: str
    finished: bool


@dataclass(frozen=True, slots=True)
class InterimTranscript:
    """What the model understands so far; the next one replaces it."""

    text: str


@dataclass(frozen=True, slots=True)
class OutputTranscript:
    """A delta, with its own spacing, of what the model says."""

    text: str


@dataclass(frozen=True, slots=True)
class GenerationComplete:
    """All content of the response has been sent; absent where it was interrupted."""


@dataclass(frozen=True, slots=True)
class TurnComplete:
    """The model's turn is over; told only once playback should have ended."""

    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The response was stopped by caller activity."""


@dataclass(frozen=True, slots=True)
class WaitingForInput:
    """The model stays silent because it expects the caller to go on."""


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One call; ``call_id`` is made up where the service gave none."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallsCancelled:
    """These calls no longer need an answer."""

    call_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GoAway:
    """The connection will be cut in ``time_left_s``."""

    time_left_s: float


@dataclass(frozen=True, slots=True)
class ResumptionUpdate:
    """A newer handle. Only one with ``resumable`` is worth keeping."""

    handle: str
    resumable: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts by the service's own names (``promptTokenCount`` …)."""

    tokens: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """The service says what is wrong, usually just before it closes. ``code`` is an HTTP-like status, 0 if absent."""

    code: int
    message: str


Event: TypeAlias = (
    SetupComplete
    | ModelAudio
    | InputTranscript
    | InterimTranscript
    | OutputTranscript
    | GenerationComplete
    | TurnComplete
    | Interrupted
    | WaitingForInput
    | FunctionCall
    | CallsCancelled
    | GoAway
    | ResumptionUpdate
    | Usage
    | ErrorFrame
)
