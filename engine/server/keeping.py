"""Where a gateway keeps things and looks things up: one bundle, made in memory or over PostgreSQL.

In memory: tests under virtual time (whose clock cannot see threads), and load without a database. Over PostgreSQL,
embedded or external: everything else. Both fill the same protocols, so no actor knows which it has.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio
from pydantic import ValidationError

from engine.config import Settings
from engine.errors import ConfigurationError
from engine.log import get_logger
from engine.retrieval.embed import Embedder
from engine.retrieval.gemini_embed import open_gemini_embedder
from engine.retrieval.ingest import Library
from engine.retrieval.knowledge_search import KnowledgeSearch
from engine.retrieval.lexical import MemorySearch
from engine.retrieval.minilm import load_minilm
from engine.retrieval.search import Search
from engine.store.database import Database, DatabaseConfig, open_database
from engine.store.diary import Diary, MemoryDiary
from engine.store.files import FileStore
from engine.store.follow_ups import FollowUps
from engine.store.interface import Store
from engine.store.ledger import Ledger
from engine.store.memory_ledger import MemoryLedger
from engine.store.postgres_diary import PostgresDiary
from engine.store.postgres_ledger import open_ledger
from engine.store.postgres_passages import PostgresPassages
from engine.store.postgres_store import PostgresStore
from engine.store.postgres_tenants import PostgresTenants
from engine.store.split_ledger import SplitLedger
from engine.store.spool import SpooledStore
from engine.store.tenants import NumberTaken, TenantDocument
from engine.store.usage import Usage
from engine.tenants.tenant import Tenant

log = get_logger("server.keeping")


@dataclass(frozen=True, slots=True)
class Keeping:
    """See the module. ``shelf`` is None in memory, where tenants do not change."""

    store: Store
    follow_ups: FollowUps
    usage: Usage
    diary: Diary
    ledger: Ledger
    search: Search
    tenants: tuple[Tenant, ...]
    shelf: "Shelf | None" = None


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
    """
    async with open_shelf(settings) as shelf, trio.open_nursery() as nursery:
        for tenant in documents:
            await shelf.put(tenant)
        tenants = await shelf.tenants()
        store = SpooledStore(PostgresStore(shelf.database), settings.data_dir / "spool")
        await nursery.start(store.run)
        async with open_ledger(shelf.database) as writes:
            # Only what changes the world needs to be durable; reads go on while the database is away.
            ledger = SplitLedger(MemoryLedger(), writes)
            search = KnowledgeSearch(shelf.passages, shelf.embedder)
            diary = PostgresDiary(shelf.database)
            yield Keeping(store, store, store, diary, ledger, search, tuple(tenants), shelf)
        nursery.cancel_scope.cancel()


class Shelf:
    """Tenants and what they know, in the database: for commands, and for the start of a gateway."""

    def __init__(self, database: Database, embedder: Embedder) -> None:
        self.database = database
        self.embedder = embedder
        self.passages = PostgresPassages(database)
        self.library = Library(self.passages, embedder)
        self._tenants = PostgresTenants(database)
        self.watch = self._tenants.watch

    async def put(self, tenant: Tenant) -> bool:
        """Import a tenant and the notes of its document; False where nothing of it had changed.

        Raises:
            ConfigurationError: one of its numbers belongs to another tenant.
        """
        document = tenant.model_dump(mode="json", by_alias=True)
        outcome = await self._tenants.put(TenantDocument(tenant.id, document, tenant.numbers))
        if isinstance(outcome, NumberTaken):
            raise ConfigurationError(f"tenant {tenant.id}: {outcome}; take it out of one of the two documents")
        await self.library.add_notes(tenant)
        return outcome.changed

    async def tenants(self) -> list[Tenant]:
        """All of them, by id.

        Raises:
            ConfigurationError: a document there is not of this version's form.
        """
        return [_read(kept) for kept in await self._tenants.list()]

    async def tenant(self, tenant_id: str) -> Tenant:
        """One.

        Raises:
            ConfigurationError: there is none of that id, or its document is not of this version's form.
        """
        kept = await self._tenants.get(tenant_id)
        if kept is None:
            raise ConfigurationError(f"no tenant {tenant_id!r}; frontdesk tenant list says which there are")
        return _read(kept)


def _read(kept: TenantDocument) -> Tenant:
    try:
        return Tenant.model_validate(kept.document)
    except ValidationError as error:
        # Another version of the product wrote it, or somebody's own SQL.
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigurationError(f"tenant {kept.tenant_id} in the database: {said}; import it again") from None


@asynccontextmanager
async def open_shelf(settings: Settings) -> AsyncIterator[Shelf]:
    """The database with the embedder that fits the settings: Gemini's with a key, else the offline one."""
    url = settings.database_url.get_secret_value() if settings.database_url else None
    async with open_database(DatabaseConfig(url, settings.data_dir)) as database:
        if settings.gemini_api_key is None or settings.embeddings == "offline":
            yield Shelf(database, await load_minilm())
        else:
            async with open_gemini_embedder(settings.gemini_api_key.get_secret_value()) as embedder:
                yield Shelf(database, embedder)
