"""What a business knows, in passages with vectors, as one protocol with twins. Both answer exactly: no approximation.

A passage is known by its source, its digest and how many of that digest came before it there. Vectors are kept by model
and scaled to length one; they go with the digest, so that what did not change is not embedded again.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import trio

from engine.errors import MisuseError
from engine.store.records import safe_name

_WORD = re.compile(r"\w+")

Vector: TypeAlias = Sequence[float] | npt.NDArray[np.floating[Any]]
"""Of any length but zero, and finite; an array is of shape ``(dimensions,)`` and costs no step per number."""


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """Where passages come from. ``digest`` is of the whole; ``name`` is what people call it."""

    source_id: str
    name: str
    kind: str
    digest: str


@dataclass(frozen=True, slots=True)
class NewPassage:
    """One piece of a source; ``digest`` is of what is embedded."""

    position: int
    heading: str
    body: str
    digest: str


@dataclass(frozen=True, slots=True)
class ReplaceReport:
    """How a source changed, in passages."""

    added: int
    kept: int
    removed: int


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """One that was found; ``source`` is the source's name, ``score`` grows with relevance (cosine for vectors)."""

    source: str
    heading: str
    body: str
    score: float


class PassageStore(Protocol):
    """Where they are. May raise ``RemoteError`` where that cannot be reached."""

    async def replace_source(
        self,
        tenant_id: str,
        source: SourceDocument,
        passages: Sequence[NewPassage],
        vectors: Mapping[str, Sequence[float]],
        model: str,
    ) -> ReplaceReport:
        """Make the source consist of these passages: wholly or not at all.

        Args:
            vectors: by digest; those of digests that ``known_vectors`` named may be left out.

        Raises:
            MisuseError: a vector is missing, empty, zero, not finite or of another length than its model's others.
        """

    async def known_vectors(self, tenant_id: str, model: str, digests: Iterable[str]) -> set[str]:
        """Which of these the tenant has vectors of already."""

    async def nearest(self, tenant_id: str, model: str, vector: Vector, limit: int) -> list[StoredPassage]:
        """By cosine, best first. Raises ``MisuseError`` for a vector that is not of the model's."""

    async def lexical(self, tenant_id: str, text: str, limit: int) -> list[StoredPassage]:
        """Those that share words with the text, best first."""

    async def sources(self, tenant_id: str) -> list[SourceDocument]:
        """By name."""

    async def delete_source(self, tenant_id: str, source_id: str) -> bool:
        """With its passages and vectors; False where there was none."""


def passage_ids(source_id: str, passages: Iterable[NewPassage]) -> list[str]:
    """One for each, the same for the same piece of the same source whatever its position."""
    seen: Counter[str] = Counter()
    found = []
    for passage in passages:
        name = "\x00".join((source_id, passage.digest, str(seen[passage.digest])))
        seen[passage.digest] += 1
        found.append(sha256(name.encode()).hexdigest()[:32])
    return found


def unit_vector(vector: Vector, what: str) -> npt.NDArray[np.float32]:
    """The vector at length one.

    Raises:
        MisuseError: it has no direction.
    """
    array = np.asarray(vector, dtype=np.float64)
    length = math.sqrt(float(array @ array)) if array.ndim == 1 else math.nan
    if not array.size or not math.isfinite(length) or length == 0:
        raise MisuseError(f"{what} is empty, zero or not finite, and has no direction")
    return (array / length).astype(np.float32)


@dataclass(slots=True)
class _Source:
    document: SourceDocument
    passages: dict[str, NewPassage] = field(default_factory=dict)


@dataclass(slots=True)
class _Tenant:
    sources: dict[str, _Source] = field(default_factory=dict)
    vectors: dict[tuple[str, str], npt.NDArray[np.float32]] = field(default_factory=dict)  # by model and passage


class MemoryPassages:
    """Passages that live as long as the process."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}

    async def replace_source(
        self,
        tenant_id: str,
        source: SourceDocument,
        passages: Sequence[NewPassage],
        vectors: Mapping[str, Sequence[float]],
        model: str,
    ) -> ReplaceReport:
        """See ``PassageStore``."""
        await trio.lowlevel.checkpoint()
        tenant = self._of(tenant_id)
        known = {
            passage.digest: tenant.vectors[model, pid]
            for pid, passage in _all(tenant)
            if (model, pid) in tenant.vectors
        }
        known |= {digest: unit_vector(vector, f"the vector of {digest}") for digest, vector in vectors.items()}
        check_vectors(passages, {digest: len(vector) for digest, vector in known.items()}, model)
        fresh = dict(zip(passage_ids(source.source_id, passages), passages, strict=True))
        before = tenant.sources.get(source.source_id, _Source(source)).passages
        # From here to the end nothing can fail: that is what makes it atomic.
        for key in [key for key in tenant.vectors if key[1] in before and key[1] not in fresh]:
            del tenant.vectors[key]
        tenant.vectors |= {(model, pid): known[passage.digest] for pid, passage in fresh.items()}
        tenant.sources[source.source_id] = _Source(source, fresh)
        kept = len(before.keys() & fresh.keys())
        return ReplaceReport(len(fresh) - kept, kept, len(before) - kept)

    async def known_vectors(self, tenant_id: str, model: str, digests: Iterable[str]) -> set[str]:
        """See ``PassageStore``."""
        await trio.lowlevel.checkpoint()
        tenant = self._of(tenant_id)
        return {p.digest for pid, p in _all(tenant) if (model, pid) in tenant.vectors} & set(digests)

    async def nearest(self, tenant_id: str, model: str, vector: Vector, limit: int) -> list[StoredPassage]:
        """See ``PassageStore``."""
        await trio.lowlevel.checkpoint()
        tenant, wanted = self._of(tenant_id), unit_vector(vector, "the vector that is searched for")
        found = []
        for source, pid, passage in _with_source(tenant):
            if (kept := tenant.vectors.get((model, pid))) is not None:
                if kept.shape != wanted.shape:
                    raise MisuseError(f"vectors of {model} have {kept.size} numbers, this one {wanted.size}")
                found.append((float(kept @ wanted), pid, source, passage))
        return _best(found, limit)

    async def lexical(self, tenant_id: str, text: str, limit: int) -> list[StoredPassage]:
        """See ``PassageStore``. Without a language's word forms, which the database's twin knows."""
        await trio.lowlevel.checkpoint()
        everything = list(_with_source(self._of(tenant_id)))
        bags = [set(_words(f"{passage.heading} {passage.body}")) for _, _, passage in everything]
        often = Counter(word for bag in bags for word in bag)
        found = []
        for (source, pid, passage), bag in zip(everything, bags, strict=True):
            score = sum(math.log(1 + len(bags) / often[word]) for word in bag & set(_words(text)))
            if score > 0:
                found.append((score, pid, source, passage))
        return _best(found, limit)

    async def sources(self, tenant_id: str) -> list[SourceDocument]:
        """See ``PassageStore``."""
        await trio.lowlevel.checkpoint()
        documents = (source.document for source in self._of(tenant_id).sources.values())
        return sorted(documents, key=lambda document: (document.name, document.source_id))

    async def delete_source(self, tenant_id: str, source_id: str) -> bool:
        """See ``PassageStore``."""
        await trio.lowlevel.checkpoint()
        tenant = self._of(tenant_id)
        if (gone := tenant.sources.pop(source_id, None)) is None:
            return False
        tenant.vectors = {key: vector for key, vector in tenant.vectors.items() if key[1] not in gone.passages}
        return True

    def _of(self, tenant_id: str) -> _Tenant:
        return self._tenants.setdefault(safe_name("tenant_id", tenant_id), _Tenant())


def check_vectors(passages: Iterable[NewPassage], lengths: Mapping[str, int], model: str) -> None:
    """Is there one for each, and are all of one length?

    Raises:
        MisuseError: no.
    """
    for passage in passages:
        if passage.digest not in lengths:
            raise MisuseError(f"passage {passage.position} ({passage.digest[:16]}) has no vector of {model}")
    if len(set(lengths.values())) > 1:
        raise MisuseError(f"vectors of {model} are of different lengths: {sorted(set(lengths.values()))}")


def _all(tenant: _Tenant) -> Iterable[tuple[str, NewPassage]]:
    return ((pid, passage) for _, pid, passage in _with_source(tenant))


def _with_source(tenant: _Tenant) -> Iterable[tuple[SourceDocument, str, NewPassage]]:
    return ((s.document, pid, passage) for s in tenant.sources.values() for pid, passage in s.passages.items())


def _best(found: list[tuple[float, str, SourceDocument, NewPassage]], limit: int) -> list[StoredPassage]:
    ranked = sorted(found, key=lambda one: (-one[0], one[1]))[:limit]
    return [StoredPassage(source.name, passage.heading, passage.body, score) for score, _, source, passage in ranked]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
