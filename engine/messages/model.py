"""Between a model session and whoever holds the floor: caller audio and turn commands up, what it says back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from engine.errors import MisuseError
from engine.messages.slow_lane import Asked, RetrievalOutcome, ToolResult


@dataclass(frozen=True, slots=True)
class CallerAudio:
    """A window of what the caller said (100 ms by default; shorter at the end of speech, longer for pre-roll)."""

    mulaw: bytes


@dataclass(frozen=True, slots=True)
class CallerPaused:
    """The caller pauses, and may be done: the listener is to say at once what it has. Never sent to a model session."""

    turn_id: int


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """The caller has begun; windows follow, the first being the pre-roll."""

    turn_id: int


@dataclass(frozen=True, slots=True)
class CommitTurn:
    """Let the model answer the open turn. Having asked about that very turn, and its outcome, make this possible.

    Raises:
        MisuseError: the outcome is another turn's.
    """

    asked: Asked
    outcome: RetrievalOutcome

    def __post_init__(self) -> None:
        if self.outcome.turn_id != self.asked.turn_id:
            raise MisuseError(f"turn {self.asked.turn_id} cannot be answered with notes of turn {self.outcome.turn_id}")

    @property
    def turn_id(self) -> int:
        """Which turn is answered."""
        return self.asked.turn_id


@dataclass(frozen=True, slots=True)
class Speak:
    """Let the model speak without a caller's turn (the greeting; going on after a hand-over).

    Attributes:
        instruction: for a model that makes sentences of its own; everything below is in it too.
        say: for one that does not: these words.
        answer: the caller's words that are to be answered after that; empty where none are.
        notes: reference text for that answer, as ``model/setup.py`` fences it.
    """

    turn_id: int
    instruction: str
    say: str = ""
    answer: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class ReportHeard:
    """How much of a response the caller heard before it was cut; told to providers that can take it.

    Attributes:
        at_ms: as the stream marked the first piece of it (``AudioDelta``); filled in by the session that passed it on.
    """

    generation: int
    heard_ms: float
    at_ms: float | None = None


ListenerInput: TypeAlias = OpenTurn | CallerAudio | CallerPaused
"""What a listener is given, in order: a turn opens, windows (pre-roll first), a pause in it."""

Uplink: TypeAlias = CallerAudio | OpenTurn | CommitTurn | Speak | ToolResult | ReportHeard


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """First audio of a response; its audio goes to the playout under this generation."""

    generation: int
    at: float


@dataclass(frozen=True, slots=True)
class ResponseFinished:
    """The model's turn is over. ``generation`` is None where it ended without a sound (then the turn is unanswered)."""

    generation: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ResponseInterrupted:
    """The provider says that it stopped the running response."""

    generation: int | None


@dataclass(frozen=True, slots=True)
class TurnReplayed:
    """The model let an answer wait, or stopped in the middle of one, so the session has asked once more.

    Attributes:
        how: with what the caller said (``audio``), the same in writing (``words``), the instruction that it was given
            (``instruction``), what its tools answered (``result``), or for the ``rest`` of an answer.
    """

    turn_id: int
    how: Literal["audio", "words", "instruction", "result", "rest"]


@dataclass(frozen=True, slots=True)
class AgentTranscript:
    """Text of what the agent is saying, as a delta with its own spacing; runs ahead of the sound."""

    generation: int | None
    delta: str


@dataclass(frozen=True, slots=True)
class CallerTranscript:
    """What the provider understood. A partial (``final`` False) is the whole text so far and may be replaced."""

    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class WordsHeard:
    """What the listener understood of this turn so far: the whole text, which the next one replaces."""

    turn_id: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallRequested:
    """The model wants something done; ``arguments`` as received."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCallsCancelled:
    """The model no longer waits for these; a ``writes`` tool goes on all the same."""

    call_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionExpiring:
    """The provider will close this session in ``time_left_s``."""

    time_left_s: float


@dataclass(frozen=True, slots=True)
class ResumeHandle:
    """With this a later session of the same provider can go on where this one stands."""

    handle: str


@dataclass(frozen=True, slots=True)
class UsageReported:
    """Tokens by the provider's own count, cumulative for its turn."""

    tokens: Mapping[str, int] = field(default_factory=dict)


ModelEvent: TypeAlias = (
    ResponseStarted
    | ResponseFinished
    | ResponseInterrupted
    | TurnReplayed
    | AgentTranscript
    | CallerTranscript
    | WordsHeard
    | ToolCallRequested
    | ToolCallsCancelled
    | SessionExpiring
    | ResumeHandle
    | UsageReported
)
