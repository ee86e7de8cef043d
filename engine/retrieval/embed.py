"""What turns text into vectors, for the rest of this room. Twins: ``minilm.py`` offline, ``gemini_embed.py`` remote.

Vectors of two models cannot be compared, so each carries the model's name with it into the store.
"""

from collections.abc import Sequence
from hashlib import blake2b
from math import sqrt
from typing import Protocol

import trio

from engine.retrieval.words import terms
from engine.store.passages import Vector


class Embedder(Protocol):
    """Turns questions and passages into vectors of length 1: near each other where they are about the same."""

    @property
    def model(self) -> str:
        """Names model and recipe: as long as it is the same, vectors may be compared."""

    @property
    def floor(self) -> float:
        """A question whose nearest passage has a lower cosine is about something else. -1 where it was not measured."""

    async def embed_query(self, text: str) -> Vector:
        """The vector of a question. May be cancelled at any time; has a deadline of its own.

        Raises:
            EmbedderUnavailable: not now (away, overloaded, too slow).
        """

    async def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, in order. Takes as long as it takes; never hurries a question out of the way.

        Raises:
            EmbedderUnavailable: not now; none of these texts is to be counted as embedded.
        """


class HashedWords:
    """The twin that needs no model and no thread: texts are near where they share words. For tests and simulators.

    Each word's stem is hashed to one of ``dimensions`` places, so the same text has the same vector on every machine.
    """

    def __init__(self, dimensions: int = 1024) -> None:
        self._dimensions = dimensions

    @property
    def model(self) -> str:
        """See ``Embedder``."""
        return f"hashed-words-{self._dimensions}"

    @property
    def floor(self) -> float:
        """See ``Embedder``. One common word among a dozen is not enough."""
        return 0.1

    async def embed_query(self, text: str) -> list[float]:
        """See ``Embedder``."""
        await trio.lowlevel.checkpoint()
        return self._vector(text)

    async def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        """See ``Embedder``."""
        await trio.lowlevel.checkpoint()
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        places = [0.0] * self._dimensions
        for term in terms(text) or [""]:  # a text without a word has a direction too: a vector of length 0 has none
            digest = blake2b(term.encode(), digest_size=8).digest()
            places[int.from_bytes(digest, "big") % self._dimensions] += 1.0
        length = sqrt(sum(place * place for place in places))
        return [place / length for place in places]
