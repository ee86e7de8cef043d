"""What any simulated model keeps of a session, for tests, demo and reports to judge by. All instants: trio's clock."""

from dataclasses import dataclass
from typing import Literal, NamedTuple


class Moment(NamedTuple):
    """Something happened: ``what`` is one word (``opened``, ``commit``, ``first_audio``, ``cut`` ...)."""

    at: float
    session: int
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A client did what the service would have refused; ``code`` is how it says so: a close code, or a word."""

    at: float
    session: int
    code: int | str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Text that came for a turn, and how. ``in_activity``: where notes belong.

    With Gemini that is while the activity is open, with OpenAI between the caller's words and the request to answer.
    """

    text: str
    channel: Literal["text", "context_update", "client_content", "item", "instructions"]
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
