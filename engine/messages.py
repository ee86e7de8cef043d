"""The vocabulary between actors: frozen, slotted, no behaviour.

Five groups, one per channel of ``call/supervisor.py``:

* what the floor's holder hears from the line (``LineEvent``): speech, keys, playback;
* what the floor's holder says to the line (``PlayoutCommand``): audio by generation, end of utterance, clear;
* what goes up to a model session (``Uplink``): caller audio in windows, and turn commands;
* what comes back from a model session (``ModelEvent``);
* questions to and answers from the slow lane (retrieval, tools).

Units: times in seconds on the call's clock (``trio.current_time()``) where a name ends in ``_at``, milliseconds where
it ends in ``_ms``.  Audio is ``bytes`` of mu-law at 8 kHz (8 bytes per millisecond) unless a name says otherwise.
A *generation* numbers one utterance of one speaker on the way out; it only grows during a call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, TypeAlias


class Floor(StrEnum):
    """Who may speak."""

    NOBODY = "nobody"
    CALLER = "caller"
    AGENT = "agent"
    SCRIPT = "script"
    HUMAN = "human"


class Effect(StrEnum):
    """What a tool does to the world. A ``writes`` tool, once begun, is never cancelled."""

    READS = "reads"
    WRITES = "writes"


# --- from the line -----------------------------------------------------------------------------------------------


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


# --- to the line -------------------------------------------------------------------------------------------------


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


# --- retrieval ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Passage:
    """One piece of a tenant's knowledge. ``score`` grows with relevance (cosine for vectors)."""

    tenant_id: str
    source: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    """A question to the retriever. Several may be asked for one turn; ``final`` says that no better text will come."""

    tenant_id: str
    turn_id: int
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class Notes:
    """Passages found for this turn, best first, never empty."""

    turn_id: int
    query: str
    passages: tuple[Passage, ...]
    search_ms: float


@dataclass(frozen=True, slots=True)
class NothingFound:
    """Retrieval finished and nothing of the tenant's knowledge bears on the question."""

    turn_id: int
    query: str
    search_ms: float


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The turn's budget passed before retrieval had finished."""

    turn_id: int
    query: str
    budget_ms: float


@dataclass(frozen=True, slots=True)
class Skipped:
    """Retrieval was not asked: small talk, no query text, retriever down. ``why`` is counted."""

    turn_id: int
    why: str


RetrievalOutcome: TypeAlias = Notes | NothingFound | TimedOut | Skipped


# --- tools -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish. ``call_id`` is the provider's, synthesised where it gave none; arguments are as received."""

    tenant_id: str
    call_sid: str
    turn_id: int
    call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The one answer to a tool call. ``response`` is a JSON object with at least ``status`` and ``message``.

    Attributes:
        deduplicated: the ledger already had it; nothing was done a second time.
    """

    call_id: str
    name: str
    response: Mapping[str, Any]
    deduplicated: bool = False
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool began that may take a while; the caller should hear ``filler`` (empty: nothing to say)."""

    call_id: str
    name: str
    effect: Effect
    filler: str


# --- up to the model ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallerAudio:
    """A window of what the caller said (100 ms by default; shorter at the end of speech, longer for pre-roll)."""

    mulaw: bytes


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """The caller has begun; windows follow, the first being the pre-roll."""

    turn_id: int


@dataclass(frozen=True, slots=True)
class CommitTurn:
    """Let the model answer the open turn. Only a retrieval outcome for that very turn makes this possible."""

    turn_id: int
    outcome: RetrievalOutcome


@dataclass(frozen=True, slots=True)
class Speak:
    """Let the model speak without a caller's turn (the greeting; going on after a hand-over)."""

    turn_id: int
    instruction: str


@dataclass(frozen=True, slots=True)
class ReportHeard:
    """How much of a response the caller heard before it was cut; told to providers that can take it."""

    generation: int
    heard_ms: float


Uplink: TypeAlias = CallerAudio | OpenTurn | CommitTurn | Speak | ToolResult | ReportHeard


# --- back from the model -----------------------------------------------------------------------------------------


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
    | AgentTranscript
    | CallerTranscript
    | ToolCallRequested
    | ToolCallsCancelled
    | SessionExpiring
    | ResumeHandle
    | UsageReported
)

FloorEvent: TypeAlias = LineEvent | ModelEvent | RetrievalOutcome | ToolStarted | ToolResult
"""All that reaches the one inbox of whoever holds the floor."""
