"""A call as a list of moments: what the caller does, one thing after the other.

A scenario belongs to the call, not to a stream: where the stream is lost and taken up again, it goes on where it
stands. A list that runs out is a caller who hangs up.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Clip:
    """Something a caller says: the words, for reports and simulated ears, and the sound (mu-law, 8 bytes per ms)."""

    text: str
    mulaw: bytes


@dataclass(frozen=True, slots=True)
class Listen:
    """Wait until the agent has said something, and has then been quiet for ``quiet_ms``.

    Something said before this moment does not count, unless it is still sounding. What is heard of a stream that is
    then lost does not count either: the caller waits for the line to come back. After ``timeout_s`` the caller has
    waited long enough and goes on; the report counts it.
    """

    quiet_ms: float = 700.0
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Say:
    """Say this; done when the last of it has been said (waits for the line where there is none).

    Attributes:
        again: where the line is lost in the middle of it, say it once more when the agent is back and has spoken, as
            people do.
    """

    clip: Clip
    again: bool = False


@dataclass(frozen=True, slots=True)
class SayOver:
    """Barge in: say this once the agent has been speaking for ``after_ms``.

    Where the agent does not speak within ``timeout_s``, or not for so long, it is said then: still a turn of the
    caller's, but no barge-in, and not measured as one.
    """

    clip: Clip
    after_ms: float
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing; not counted as waiting for the agent."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys, one every 250 ms: ``0-9 * # A-D``."""

    digits: str


class Ending(Enum):
    """How a stream ends at the carrier's side."""

    STOP_THEN_CLOSE = "stop_then_close"  # the ordinary end: `stop`, then a close with 1000
    STOP_ONLY = "stop_only"  # `stop`, and the server is left to close
    CLOSE_ONLY = "close_only"  # a close with 1000 that no `stop` announced
    RESET = "reset"  # TCP reset, seen as 1006
    HALF_OPEN = "half_open"  # nothing at all: the socket stays open and silent, for a minute at most


@dataclass(frozen=True, slots=True)
class LoseStream:
    """The way between carrier and server breaks while the caller stays on the line: recovery's case."""

    how: Ending = Ending.RESET


@dataclass(frozen=True, slots=True)
class StayOn:
    """Stay on the line until somebody else ends the call; after ``timeout_s`` hang up."""

    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class HangUp:
    """Put the phone down."""


Moment: TypeAlias = Listen | Say | SayOver | Wait | Press | LoseStream | StayOn | HangUp
