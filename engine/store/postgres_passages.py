"""``PassageStore`` in PostgreSQL: exact search over half-precision vectors within the tenant."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.errors import MisuseError
from engine.store.database import Database
from engine.store.passages import (
    NewPassage,
    ReplaceReport,
    SourceDocument,
    StoredPassage,
    Vector,
    check_vectors,
    passage_ids,
    unit_vector,
)
from engine.store.sql import Connection, plain, query


class PostgresPassages:
    """Every method may raise ``StoreUnavailable``. Searches may be cancelled at any time and return at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace_source(
        self,
        tenant_id: str,
        source: SourceDocument,
        passages: Sequence[NewPassage],
        vectors: Mapping[str, Sequence[float]],
        model: str,
    ) -> ReplaceReport:
        """See ``PassageStore``."""
        given = {digest: unit_vector(vector, f"the vector of {digest}") for digest, vector in vectors.items()}
        return await self._database.for_tenant(tenant_id, _replace, tenant_id, source, passages, given, model)

    async def known_vectors(self, tenant_id: str, model: str, digests: Iterable[str]) -> set[str]:
        """See ``PassageStore``."""
        return await self._database.for_tenant(tenant_id, _known, tenant_id, model, list(set(digests)))

    async def nearest(self, tenant_id: str, model: str, vector: Vector, limit: int) -> list[StoredPassage]:
        """See ``PassageStore``."""
        wanted = unit_vector(vector, "the vector that is searched for")
        return await self._database.read_for_tenant(tenant_id, _nearest, tenant_id, model, wanted, limit)

    async def lexical(self, tenant_id: str, text: str, limit: int) -> list[StoredPassage]:
        """See ``PassageStore``. English word forms: "opening" finds "open"."""
        return await self._database.read_for_tenant(tenant_id, _lexical, tenant_id, plain(text), limit)

    async def sources(self, tenant_id: str) -> list[SourceDocument]:
        """See ``PassageStore``."""
        return await self._database.for_tenant(tenant_id, _sources, tenant_id)

    async def delete_source(self, tenant_id: str, source_id: str) -> bool:
        """See ``PassageStore``."""
        return await self._database.for_tenant(tenant_id, _delete, tenant_id, source_id)


async def _replace(
    connection: Connection,
    tenant_id: str,
    source: SourceDocument,
    passages: Sequence[NewPassage],
    given: Mapping[str, Any],
    model: str,
) -> ReplaceReport:
    mine = (tenant_id, source.source_id)
    await connection.execute(query("lock_source"), *mine)
    digests = list({passage.digest for passage in passages})
    rows = await connection.fetch(query("vectors_of_digests"), tenant_id, model, digests)
    vectors = {row["digest"]: row["emb"] for row in rows} | dict(given)
    dimensions = {digest: len(vector) for digest, vector in vectors.items()}
    other = await connection.fetchval(query("dimensions"), tenant_id, model)
    check_vectors(passages, dimensions | ({} if other is None else {"": other}), model)
    ids = passage_ids(source.source_id, passages)
    before = {row["passage_id"] for row in await connection.fetch(query("passages_of_source"), *mine)}
    gone = list(before - set(ids))
    await connection.execute(query("put_source"), *mine, plain(source.name), source.kind, source.digest)
    await connection.execute(query("drop_passages"), *mine, gone)
    columns = ([getattr(p, name) for p in passages] for name in ("position", "heading", "body", "digest"))
    positions, headings, bodies, names = columns
    texts = ([plain(text) for text in headings], [plain(text) for text in bodies])
    await connection.execute(query("put_passages"), *mine, ids, positions, *texts, names)
    records = [(tenant_id, pid, model, vectors[p.digest]) for pid, p in zip(ids, passages, strict=True)]
    await connection.executemany(query("put_vector"), records)
    kept = len(before & set(ids))
    return ReplaceReport(len(ids) - kept, kept, len(gone))


async def _known(connection: Connection, tenant_id: str, model: str, digests: list[str]) -> set[str]:
    return {row["digest"] for row in await connection.fetch(query("known_digests"), tenant_id, model, digests)}


async def _nearest(connection: Connection, tenant_id: str, model: str, vector: Any, limit: int) -> list[StoredPassage]:
    try:
        rows = await connection.fetch(query("nearest"), tenant_id, model, vector, limit)
    except Exception as error:
        # pgvector's own complaint; told from others by its words, since its code says only that data are bad.
        if "different halfvec dimensions" in str(error):
            raise MisuseError(f"vectors of {model} are of another length: {error}") from error
        raise
    return [StoredPassage(**dict(row)) for row in rows]


async def _lexical(connection: Connection, tenant_id: str, text: str, limit: int) -> list[StoredPassage]:
    return [StoredPassage(**dict(row)) for row in await connection.fetch(query("lexical"), tenant_id, text, limit)]


async def _sources(connection: Connection, tenant_id: str) -> list[SourceDocument]:
    return [SourceDocument(**dict(row)) for row in await connection.fetch(query("sources"), tenant_id)]


async def _delete(connection: Connection, tenant_id: str, source_id: str) -> bool:
    return await connection.fetchval(query("delete_source"), tenant_id, source_id) is not None
