import pytest

from engine.store.database import Database
from engine.store.passages import PassageStore
from engine.store.postgres_passages import PostgresPassages
from engine.store.sql import Connection, query
from tests.store.suites.passages import *  # noqa: F403
from tests.store.suites.passages import MODEL, filled


@pytest.fixture
def passages(database: Database) -> PassageStore:
    return PostgresPassages(database)


async def test_word_forms_of_a_spoken_question_are_found(passages: PassageStore) -> None:
    await filled(passages)
    assert (await passages.lexical("acme", "so what are your opening hours", 1))[0].body.startswith("We are open")


async def test_the_search_is_exact_and_by_the_tenants_key(database: Database, passages: PassageStore) -> None:
    await filled(passages)

    async def plan(connection: Connection) -> str:
        await connection.execute("set local enable_seqscan = off")
        rows = await connection.fetch(f"explain {query('nearest')}", "acme", MODEL, [1.0, 0.0, 0.0], 3)
        return "\n".join(str(row["QUERY PLAN"]) for row in rows)

    said = await database.for_tenant("acme", plan)
    assert "passage_vector_pkey" in said
    assert "tenant_id = 'acme'" in said
