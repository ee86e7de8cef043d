"""How long does a turn's search take among many tenants? N tenants of 500 passages each, asked one after the other.

    python -m bench.tenants_search                     50 tenants
    python -m bench.tenants_search --tenants 1000      half a million passages, written by COPY; a minute or two

Vectors are random directions around topics that all tenants share: the worst case for whoever would mix tenants up.
Each search is a whole unit of work as a call does it: hop, transaction, tenant set, query, commit, hop.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import trio

from engine import log
from engine.store.database import Database, DatabaseConfig, open_database
from engine.store.postgres_passages import PostgresPassages
from engine.store.sql import Connection

DIMENSIONS = 384
TOPICS = 40
MODEL = "bench-384"
WARM_UP = 50


def main() -> None:
    """Parse, fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--passages", type=int, default=500)
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=1, help="callers who ask at the same time")
    parser.add_argument("--lexical", action="store_true", help="search by words instead of vectors")
    parser.add_argument("--database-url", help="an empty external database; by default an embedded one, thrown away")
    arguments = parser.parse_args()
    log.configure("ERROR")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        trio.run(partial(run, arguments, Path(folder)))


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    """One run of the bench."""
    begun = perf_counter()
    async with open_database(DatabaseConfig(arguments.database_url, folder)) as database:
        print(f"open (initdb and migrations included): {perf_counter() - begun:.2f} s")
        begun = perf_counter()
        await database.as_owner(fill, arguments.tenants, arguments.passages)
        size = await database.as_owner(size_of)
        print(f"{arguments.tenants} tenants x {arguments.passages} passages: {perf_counter() - begun:.1f} s, {size}")
        took = await ask(database, arguments)
        kind = "lexical" if arguments.lexical else f"exact halfvec({DIMENSIONS})"
        p50, p99 = (float(np.percentile(took, p)) for p in (50, 99))
        print(f"{kind}, {arguments.at_once} at once: p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {max(took):.2f} ms")


async def fill(connection: Connection, tenants: int, passages: int) -> None:
    """A source, passages and vectors for each tenant, by COPY."""
    rng = np.random.default_rng(5)
    topics = rng.standard_normal((TOPICS, DIMENSIONS))
    for tenant in range(tenants):
        name = f"tenant-{tenant}"
        about = rng.integers(0, TOPICS, passages)
        vectors = near(rng, topics[about])
        ids = [f"{number:032x}" for number in range(passages)]
        await connection.copy_records_to_table(
            "source",
            records=[(name, "faq", "faq.md", "markdown", "v1")],
            columns=("tenant_id", "source_id", "name", "kind", "digest"),
        )
        await connection.copy_records_to_table(
            "passage",
            records=[
                (name, one, "faq", number, f"Topic {topic}", f"{name} says word{number} about topic{topic}. " * 6, one)
                for number, (one, topic) in enumerate(zip(ids, about, strict=True))
            ],
            columns=("tenant_id", "passage_id", "source_id", "position", "heading", "body", "digest"),
        )
        await connection.copy_records_to_table(
            "passage_vector",
            records=[(name, one, MODEL, vector) for one, vector in zip(ids, vectors, strict=True)],
            columns=("tenant_id", "passage_id", "model", "emb"),
        )
    await connection.execute("analyze")


async def size_of(connection: Connection) -> str:
    """Of the vectors' table with its key."""
    return str(
        await connection.fetchval("select pg_size_pretty(pg_total_relation_size('passage_vector')) || ' of vectors'")
    )


async def ask(database: Database, arguments: argparse.Namespace) -> list[float]:
    """Milliseconds that each search took."""
    rng = np.random.default_rng(6)
    store, took = PostgresPassages(database), list[float]()
    questions = iter(range(arguments.searches + WARM_UP))

    async def caller() -> None:
        for number in questions:
            tenant = f"tenant-{rng.integers(arguments.tenants)}"
            vector = rng.standard_normal(DIMENSIONS)
            begun = perf_counter()
            if arguments.lexical:
                found = await store.lexical(tenant, f"what about topic{number % TOPICS} please", 5)
            else:
                found = await store.nearest(tenant, MODEL, vector.tolist(), 5)
            if number >= WARM_UP:
                took.append((perf_counter() - begun) * 1000)
            assert found if arguments.lexical else len(found) == 5
            assert all(one.body.startswith(f"{tenant} says") for one in found)

    async with trio.open_nursery() as nursery:
        for _ in range(arguments.at_once):
            nursery.start_soon(caller)
    return took


def near(rng: np.random.Generator, topics: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Unit vectors around their topics."""
    vectors = topics + 0.7 * rng.standard_normal(topics.shape)
    unit: npt.NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


if __name__ == "__main__":
    main()
