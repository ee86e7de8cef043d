"""Questions to and answers from the slow lane: retrieval and tools."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, final


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


@final
@dataclass(frozen=True, slots=True)
class Asked:
    """That retrieval was asked about this turn, or knowingly not; made by ``call/question.py`` alone, as it asks.

    Without one there is no ``CommitTurn``, so no model answers a turn for which nobody asked.
    """

    turn_id: int


class Effect(StrEnum):
    """What a tool does to the world. A ``writes`` tool, once begun, is never cancelled."""

    READS = "reads"
    WRITES = "writes"


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
    """A tool has run for longer than a caller bears in silence; they should hear ``filler`` (empty: nothing to say)."""

    call_id: str
    name: str
    effect: Effect
    filler: str
