"""The pacer's vocabulary: what it wants sent, and what it reports. Frozen, slotted, no behaviour."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class CutHow(Enum):
    """How audio is taken back."""

    NOW = "now"  # the carrier's queue is cleared too
    SOON = "soon"  # what the carrier already holds plays out


@dataclass(frozen=True, slots=True)
class Media:
    """Send this audio: whole frames."""

    mulaw: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """Ask to be told when everything before it has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Let the carrier drop what it has not played."""


Send: TypeAlias = Media | Mark | Clear


@dataclass(frozen=True, slots=True)
class Played:
    """The caller has heard all of this generation."""

    generation: int
    heard_ms: float


@dataclass(frozen=True, slots=True)
class CutReport:
    """Of this generation's ``queued_ms``, ``heard_ms`` were heard, or will be before the carrier falls silent.

    ``whole``: what was queued is all that there was to be of it.
    """

    generation: int
    heard_ms: float
    queued_ms: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class PacerStatistics:
    """What a pacer has done; an underrun is the carrier's queue run dry inside an utterance that went on later.

    Attributes:
        sent_ms: audio sent, with the silence that fills up an utterance's last frame.
        cleared_ms: of that, taken back before it was played.
        cut_ms: audio accepted and then cut, sent or not.
        refused_ms: audio refused because the backlog was full.
        stale_ms: audio dropped because its generation was over.
        backlog_ms: audio accepted and not yet sent.
        pauses: how often it fell silent and kept what was to come.
        repeated_ms: audio said twice after such a pause.
        slipped_ms: silence at the carrier that marks told of afterwards: audio was stuck on its way.
    """

    sent_ms: float
    cleared_ms: float
    cut_ms: float
    refused_ms: float
    stale_ms: float
    backlog_ms: float
    peak_backlog_ms: float
    underruns: int
    underrun_ms: float
    longest_underrun_ms: float
    slipped_ms: float
    marks_waiting: int
    pauses: int = 0
    repeated_ms: float = 0.0
