"""What a simulated Gemini keeps of its sessions, for tests and reports to judge by. All instants: trio's clock."""

from dataclasses import dataclass, field

from engine.sim.brain import Said, ToolAnswer
from engine.sim.gemini_rules import Setup
from engine.sim.model_record import Commit, Spoken


@dataclass(slots=True)
class SessionRecord:
    """One connection, refused ones included. ``closed_code``: by whomever; 1006 where the connection just ended.

    ``heard_ms``: caller audio inside activities. ``tokens_in``, ``tokens_out``: as they were told the client.
    """

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
    seeded_chars: int = 0  # of the history, what the client told it at the beginning
    late_answers: int = 0
    audio_outside: int = 0
    text_outside: int = 0
    heard_ms: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    closed_at: float | None = None
    closed_code: int | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """What a handle brings back."""

    session_id: str
    history: tuple[Said, ...]
    at: float
