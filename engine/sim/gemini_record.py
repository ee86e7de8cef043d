"""What a simulated model keeps of its sessions, for tests, demo and reports to judge by. All instants: trio's clock."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from engine.sim.gemini_rules import Said, Setup, ToolAnswer


class Moment(NamedTuple):
    """Something happened: ``what`` is one word (``opened``, ``commit``, ``first_audio``, ``cut`` ...)."""

    at: float
    session: int
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A client did what the service would have refused."""

    at: float
    session: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Text that came for a turn, and how. ``in_activity``: while the activity was open, which is where notes belong."""

    text: str
    channel: Literal["text", "context_update", "client_content"]
    in_activity: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """The client let the model answer.

    Attributes:
        transcript: what was understood (empty: nothing); None for a turn of text alone.
        audio_ms: caller audio inside the activity.
    """

    at: float
    turn: int
    transcript: str | None
    notes: tuple[Note, ...]
    audio_ms: float

    @property
    def notes_in_activity(self) -> bool:
        """Whether the caller's words came with notes, and all of them in time; a turn of text alone has none."""
        return self.transcript is not None and bool(self.notes) and all(note.in_activity for note in self.notes)


@dataclass(slots=True)
class Spoken:
    """One answer, as far as it was sent."""

    turn: int
    text: str
    first_audio_at: float | None = None
    audio_ms: float = 0.0
    interrupted: bool = False
    complete: bool = False


@dataclass(slots=True)
class SessionRecord:
    """One connection, refused ones included. ``closed_code``: by whomever; 1006 where the connection just ended."""

    number: int
    opened_at: float
    path: str = ""
    session_id: str = ""
    resumed: bool = False
    deaf: bool = False
    setup: Setup | None = None
    commits: list[Commit] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)
    tool_calls: list[str] = field(default_factory=list)
    tool_answers: list[ToolAnswer] = field(default_factory=list)
    history: list[Said] = field(default_factory=list)
    late_answers: int = 0
    audio_outside: int = 0
    text_outside: int = 0
    closed_at: float | None = None
    closed_code: int | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """What a handle brings back."""

    session_id: str
    history: tuple[Said, ...]
    at: float
