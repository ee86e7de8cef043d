"""Between the phone's line and whoever holds the floor: what the caller did, and what the caller is to hear."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began to speak; ``at`` is when the first sound of it arrived (before detection)."""

    at: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The caller is done, judged by silence; every window up to here has already been sent up.

    Attributes:
        at: when the caller's last sound arrived.
        decided_at: when the endpointer decided; the difference is the endpointing delay.
        speech_ms: how long the utterance was.
    """

    at: float
    decided_at: float
    speech_ms: float


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """One DTMF digit: ``0-9 * # A-D``."""

    digit: str


@dataclass(frozen=True, slots=True)
class UtterancePlayed:
    """The caller has heard all of this generation (its end mark came back and it was not cleared)."""

    generation: int
    heard_ms: float


@dataclass(frozen=True, slots=True)
class UtteranceCleared:
    """This generation was cut off after ``heard_ms`` of ``queued_ms`` had been heard."""

    generation: int
    heard_ms: float
    queued_ms: float


LineEvent: TypeAlias = SpeechStarted | SpeechEnded | KeyPressed | UtterancePlayed | UtteranceCleared


@dataclass(frozen=True, slots=True)
class PlayAudio:
    """Play this after everything of the same generation; a newer generation waits for the older to end."""

    generation: int
    mulaw: bytes


@dataclass(frozen=True, slots=True)
class EndUtterance:
    """Nothing more of this generation will come: mark its end, so that we learn when it was heard."""

    generation: int


class Cut(Enum):
    """How audio is taken back."""

    NOW = "now"  # the carrier's buffer is cleared too: barge-in
    SOON = "soon"  # what the carrier already holds plays out, the rest is dropped: hand-over without a click


@dataclass(frozen=True, slots=True)
class CutPlayout:
    """Drop audio of every generation up to and including this one, also what is still to come of it."""

    through_generation: int
    how: Cut


PlayoutCommand: TypeAlias = PlayAudio | EndUtterance | CutPlayout
