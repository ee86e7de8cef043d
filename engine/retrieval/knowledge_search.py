"""The ``Search`` of a running gateway: the question's vector against the tenant's passages, within a deadline.

By vector alone, because the measurement says so: callers do not use a note's words. Fused by rank, or added to the
cosine with any weight to speak of, word matching put the right passage among the first three less often; with a very
small weight it made no difference beyond chance (``bench/retrieval_quality.py`` prints the table). Words only serve
while there is no vector to be had: then a passage that shares enough of the question's words is better than none.
"""

from dataclasses import dataclass

import trio

from engine.errors import EmbedderUnavailable, MisuseError
from engine.log import get_logger
from engine.messages import Passage
from engine.retrieval.embed import Embedder
from engine.retrieval.ingest import NOTES_NAME
from engine.retrieval.words import terms
from engine.store.passages import PassageStore, StoredPassage

DEADLINE_S = 1.5  # well above a turn's budget, below the retriever's own patience
WORDS_FLOOR = 0.4  # the share of the question's words that a passage found by words must have

_log = get_logger("retrieval")


@dataclass(frozen=True, slots=True)
class SearchStatistics:
    """Since the start: searches by vector, searches by words because no vector was to be had, and those too late."""

    by_vector: int
    by_words: int
    too_late: int


class KnowledgeSearch:
    """``Search`` over stored passages. One per process; every question names its tenant."""

    def __init__(self, passages: PassageStore, embedder: Embedder, *, deadline_s: float = DEADLINE_S) -> None:
        self._store = passages
        self._embedder = embedder
        self._deadline_s = deadline_s
        self._by_vector = self._by_words = self._too_late = 0

    async def search(self, tenant_id: str, text: str, *, limit: int) -> list[Passage]:
        """See ``Search``. Scores are cosines, except in a search by words: there, the share of words found.

        Raises:
            MisuseError: no tenant, or a limit below 1: a search without them could find anything.
            trio.TooSlowError: the deadline passed.
            RemoteError: the store cannot be reached.
        """
        if not tenant_id or limit < 1:
            raise MisuseError(f"a search for tenant {tenant_id!r} with limit {limit}")
        try:
            with trio.fail_after(self._deadline_s):
                found = await self._find(tenant_id, text, limit)
        except trio.TooSlowError:
            self._too_late += 1
            raise
        return [Passage(tenant_id, _source_of(passage), passage.body, passage.score) for passage in found]

    async def _find(self, tenant_id: str, text: str, limit: int) -> list[StoredPassage]:
        try:
            vector = await self._embedder.embed_query(text)
        except EmbedderUnavailable as error:
            _log.warning("no vector for a question; searching by words", error=str(error), tenant_id=tenant_id)
            self._by_words += 1
            return await self._find_by_words(tenant_id, text, limit)
        self._by_vector += 1
        nearest = await self._store.nearest(tenant_id, self._embedder.model, vector, limit)
        # The floor is for the best one: where that bears on the question, one after it may be what was meant.
        return nearest if nearest and nearest[0].score >= self._embedder.floor else []

    async def _find_by_words(self, tenant_id: str, text: str, limit: int) -> list[StoredPassage]:
        """The store's order, but scored alike for every store: by the share of the question's words."""
        asked = set(terms(text))
        found = []
        for passage in await self._store.lexical(tenant_id, text, limit):
            share = len(asked & set(terms(f"{passage.heading} {passage.body}"))) / max(len(asked), 1)
            if share >= WORDS_FLOOR:
                found.append(StoredPassage(passage.source, passage.heading, passage.body, share))
        return found

    def statistics(self) -> SearchStatistics:
        """A frozen record of now."""
        return SearchStatistics(self._by_vector, self._by_words, self._too_late)


def _source_of(passage: StoredPassage) -> str:
    """What an answer can be traced to: a note by its own name, a file's passage by file and headings."""
    if passage.source == NOTES_NAME:
        return passage.heading
    return f"{passage.source}: {passage.heading}" if passage.heading else passage.source
