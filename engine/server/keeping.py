"""Where a gateway keeps things and looks things up: one bundle, made in memory or over PostgreSQL.

In memory: tests under virtual time (whose clock cannot see threads), and load without a database. Over PostgreSQL,
embedded or external: everything else. Both fill the same protocols, so no actor knows which it has.

A database that cannot be reached when a gateway starts is waited for in the background, and the tenants of the local
copy are served meanwhile (``database_opening``, ``tenant_copy``): what they know by words, what calls leave behind in
the spool, what would change the world as a task for a person.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from engine.config import Settings
from engine.errors import ConfigurationError, RemoteError
from engine.log import get_logger
from engine.retrieval.knowledge_search import KnowledgeSearch
from engine.retrieval.lexical import MemorySearch
from engine.retrieval.search import Search
from engine.server.database_opening import DatabaseOpening, StandInSearch
from engine.server.shelf import ServedShelf, Shelf, database_config, open_embedder
from engine.server.tenant_copy import read_cached_tenants
from engine.store.database import Database
from engine.store.diary import Diary, MemoryDiary
from engine.store.files import FileStore
from engine.store.follow_ups import FollowUps
from engine.store.interface import Store
from engine.store.late_database import LateDatabase
from engine.store.ledger import Ledger
from engine.store.live_calls import LiveCalls, MemoryLiveCalls
from engine.store.memory_ledger import MemoryLedger
from engine.store.postgres_diary import PostgresDiary
from engine.store.postgres_ledger import open_ledger
from engine.store.postgres_live_calls import PostgresLiveCalls
from engine.store.postgres_statements import Statements
from engine.store.postgres_store import PostgresStore
from engine.store.split_ledger import SplitLedger
from engine.store.spool import SpooledStore
from engine.store.usage import Usage
from engine.tenants.tenant import Tenant

log = get_logger("server.keeping")


@dataclass(frozen=True, slots=True)
class Keeping:
    """See the module.

    Attributes:
        shelf: None in memory, where tenants do not change.
        live_calls: where other workers, and the next process, find a call that is on the line; in memory nobody does.
        statements: what tenants have used, added up; None in memory.
        parts: a word on each part of it as it is now, for whoever asks whether this gateway is well.
        counts: what it has survived since start, by what it was (``Metrics.watch_store``).
        waiting: records that wait for the database now, by where.
    """

    store: Store
    follow_ups: FollowUps
    usage: Usage
    diary: Diary
    ledger: Ledger
    search: Search
    tenants: tuple[Tenant, ...]
    shelf: Shelf | None = None
    parts: Callable[[], Mapping[str, str]] = dict
    live_calls: LiveCalls = field(default_factory=MemoryLiveCalls)
    counts: Callable[[], Mapping[str, int]] = dict
    waiting: Callable[[], Mapping[str, int]] = dict
    statements: Statements | None = None


@asynccontextmanager
async def keep_in_memory(tenants: Sequence[Tenant], calls_dir: Path) -> AsyncIterator[Keeping]:
    """Nothing outlives the process but what calls leave behind, which goes to files."""
    store = FileStore(calls_dir)
    yield Keeping(store, store, store, MemoryDiary(), MemoryLedger(), MemorySearch(tenants), tuple(tenants))


@asynccontextmanager
async def keep_in_postgres(settings: Settings, documents: Sequence[Tenant] = ()) -> AsyncIterator[Keeping]:
    """Everything in PostgreSQL; what cannot be kept while it is away is spooled, and replayed once it is back.

    Args:
        settings: which database; our own under the data directory where none is named.
        documents: tenants to import first; what their documents say is known is read in as well.

    Raises:
        ConfigurationError: the database cannot be used, or a number belongs to another tenant.
        StoreUnavailable: it cannot be reached, and there is no local copy of its tenants.
    """
    refused: ConfigurationError | RemoteError | None = None
    async with open_embedder(settings) as embedder, trio.open_nursery() as nursery:
        late = LateDatabase()
        shelf = ServedShelf(late, embedder, settings)

        async def prepare(database: Database) -> None:
            await _import(Shelf(database, embedder), documents, strict=opening.refuses_start)

        opening = DatabaseOpening(database_config(settings), late, prepare, shelf.tenants)
        copy = await trio.to_thread.run_sync(read_cached_tenants, settings)
        nursery.start_soon(opening.run)
        try:
            tenants = await opening.first_tenants(_with(documents, copy))
        except (ConfigurationError, RemoteError) as error:
            refused = error  # told once the opening has ended, and so by itself: a nursery would make it a group
        else:
            async with _keep_over(late, shelf, tenants, settings) as keeping:
                yield keeping
        nursery.cancel_scope.cancel()
    if refused is not None:
        raise refused


@asynccontextmanager
async def _keep_over(
    late: LateDatabase, shelf: ServedShelf, tenants: tuple[Tenant, ...], settings: Settings
) -> AsyncIterator[Keeping]:
    """Everything over a database that is there, or will be."""
    search: Search = KnowledgeSearch(shelf.passages, shelf.embedder)
    if not late.is_there:
        shelf.known(tenants)
        search = StandInSearch(search, MemorySearch(tenants), late)
    store = SpooledStore(PostgresStore(late), settings.data_dir / "spool")
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        async with open_ledger(late) as writes:
            # Only what changes the world needs to be durable; reads go on while the database is away.
            ledger = SplitLedger(MemoryLedger(), writes)
            diary = PostgresDiary(late)
            yield Keeping(
                store,
                store,
                store,
                diary,
                ledger,
                search,
                tenants,
                shelf,
                parts=lambda: {"database": "ok" if late.is_there and late.statistics().listening else "away"},
                live_calls=PostgresLiveCalls(late),
                counts=lambda: _counts(store, late),
                waiting=lambda: {"disk": store.statistics().waiting, "memory": store.statistics().held},
                statements=Statements(late),
            )
        nursery.cancel_scope.cancel()


def _counts(store: SpooledStore, late: LateDatabase) -> Mapping[str, int]:
    """What the store has survived since start, by what it was; all of it logged as well."""
    spool = store.statistics()
    found = {
        "spooled": spool.spooled,
        "replayed": spool.replayed,
        "set_aside": spool.set_aside,
        "turned_away": spool.turned_away,
        "refused": spool.refused,
        "disk_refused": spool.disk_refused,
    }
    if late.is_there:
        database = late.statistics()
        found |= {
            "unavailable": database.unavailable,
            "not_asked": database.not_asked,
            "notices_away": database.notices_away,
            "notices_crashed": database.notices_crashed,
            "background_crashed": database.bridge.crashed,
        }
    return found


def _with(documents: Sequence[Tenant], copy: Sequence[Tenant]) -> tuple[Tenant, ...]:
    """The copy, where there is one, as it would be with these documents imported."""
    return tuple({tenant.id: tenant for tenant in (*copy, *documents)}.values()) if copy else ()


async def _import(shelf: Shelf, documents: Sequence[Tenant], *, strict: bool) -> None:
    """``strict``: a document that cannot be put refuses the start; else it is served no longer, and the others are."""
    for tenant in documents:
        try:
            await shelf.put(tenant)
        except ConfigurationError as error:
            if strict:
                raise
            log.error("a tenant document cannot be imported", tenant_id=tenant.id, detail=str(error))
