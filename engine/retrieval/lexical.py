"""Search by words (BM25) over the notes in the tenants' own documents: needs nothing from outside.

Each tenant has an index of its own, so a question can only ever meet that tenant's passages.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import trio

from engine.errors import MisuseError
from engine.messages import Passage
from engine.retrieval.words import terms
from engine.tenants.tenant import Tenant

_K1 = 1.2  # how fast a repeated word stops counting
_B = 0.6  # how much a long passage is held against it; notes are of like length, so less than the usual 0.75
_SOURCE_WEIGHT = 2  # a word of the source (its heading) counts as if it stood there twice
FLOOR = 0.25
"""The share of the question's weight (rare words weigh more) that a passage must answer to be worth showing."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One document found: its place in the list, its score, and the share (0 to 1) of the question that it covers."""

    index: int
    score: float
    coverage: float


class Bm25:
    """BM25 over a fixed list of documents. PURE."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        """Each document is its terms."""
        self._counts = [Counter(document) for document in documents]
        self._lengths = [len(document) for document in documents]
        self._mean_length = max(sum(self._lengths) / max(len(documents), 1), 1.0)
        self._frequency = Counter(term for counts in self._counts for term in counts)

    def weight(self, term: str) -> float:
        """How much a term tells: the rarer the more; one that no document has tells most."""
        n, seen = len(self._counts), self._frequency[term]
        return math.log(1 + (n - seen + 0.5) / (seen + 0.5))

    def find(self, asked: Iterable[str]) -> list[Hit]:
        """Documents that share a term with the question, best first."""
        weights = {term: self.weight(term) for term in asked}
        total = sum(weights.values())
        hits = []
        for index, counts in enumerate(self._counts):
            met = [term for term in weights if term in counts]
            if not met:
                continue
            length = _K1 * (1 - _B + _B * self._lengths[index] / self._mean_length)
            score = sum(weights[term] * counts[term] * (_K1 + 1) / (counts[term] + length) for term in met)
            hits.append(Hit(index, score, sum(weights[term] for term in met) / total))
        return sorted(hits, key=lambda hit: -hit.score)


class MemorySearch:
    """``Search`` over what the given tenants' documents know."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        """Index every note; a few milliseconds for a hundred of them."""
        self._notes = {tenant.id: tenant.knowledge for tenant in tenants}
        self._indices = {
            tenant_id: Bm25([terms(note.source) * _SOURCE_WEIGHT + terms(note.text) for note in notes])
            for tenant_id, notes in self._notes.items()
        }

    async def search(self, tenant_id: str, text: str, *, limit: int) -> list[Passage]:
        """See ``Search``.

        Raises:
            MisuseError: no such tenant was indexed.
        """
        await trio.lowlevel.checkpoint()
        if tenant_id not in self._indices:
            raise MisuseError(f"tenant {tenant_id!r} has no index here")
        notes = self._notes[tenant_id]
        hits = self._indices[tenant_id].find(terms(text))
        return [
            Passage(tenant_id, notes[hit.index].source, notes[hit.index].text, hit.score)
            for hit in hits[:limit]
            if hit.coverage >= FLOOR
        ]
