"""Tenants and what they know, in the database: for commands, which are told of every mistake, and for gateways, which
go on without what cannot be read.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
from pydantic import ValidationError

from engine.config import Settings
from engine.errors import ConfigurationError
from engine.log import get_logger
from engine.retrieval.embed import Embedder
from engine.retrieval.gemini_embed import open_gemini_embedder
from engine.retrieval.ingest import Library
from engine.retrieval.minilm import load_minilm
from engine.server.tenant_copy import keep_copy
from engine.store.database import Database, DatabaseConfig, open_database
from engine.store.postgres_passages import PostgresPassages
from engine.store.postgres_tenants import PostgresTenants
from engine.store.tenants import NumberTaken, TenantDocument
from engine.tenants.tenant import Tenant

log = get_logger("server.shelf")


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


class ServedShelf(Shelf):
    """A gateway's: a document that cannot be read costs its own tenant, not all; what was read is copied beside it."""

    def __init__(self, database: Database, embedder: Embedder, settings: Settings) -> None:
        super().__init__(database, embedder)
        self._settings = settings
        self._known: dict[str, Tenant] = {}

    def known(self, tenants: Sequence[Tenant]) -> None:
        """These are being served: one of them whose document turns out to be unreadable goes on as it was."""
        self._known = {tenant.id: tenant for tenant in tenants}

    async def tenants(self) -> list[Tenant]:
        """All that can be served, by id: one that was readable before and is not now as it was known, with the numbers
        that are its own now. Logs those that cannot be read.
        """
        found = []
        for kept in await self._tenants.list():
            try:
                found.append(_read(kept))
            except ConfigurationError as error:
                before = self._known.get(kept.tenant_id)
                so = "goes on as it was known" if before else "is not in service"
                log.error("a tenant cannot be read", tenant_id=kept.tenant_id, so_it=so, detail=str(error))
                found += [before.model_copy(update={"numbers": kept.numbers})] if before else []
        self.known(found)
        await trio.to_thread.run_sync(keep_copy, self._settings, found)
        return found


def _read(kept: TenantDocument) -> Tenant:
    try:
        return Tenant.model_validate(kept.document)
    except ValidationError as error:
        # Another version of the product wrote it, or somebody's own SQL.
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigurationError(f"tenant {kept.tenant_id} in the database: {said}; import it again") from None


def database_config(settings: Settings) -> DatabaseConfig:
    """Which database the settings mean."""
    url = settings.database_url.get_secret_value() if settings.database_url else None
    return DatabaseConfig(url, settings.data_dir)


@asynccontextmanager
async def open_embedder(settings: Settings) -> AsyncIterator[Embedder]:
    """The one that fits the settings: Gemini's with a key, else the offline one."""
    if settings.gemini_api_key is None or settings.embeddings == "offline":
        yield await load_minilm()
    else:
        url = None if settings.gemini_embed_url is None else str(settings.gemini_embed_url)
        async with open_gemini_embedder(settings.gemini_api_key.get_secret_value(), url=url) as embedder:
            yield embedder


@asynccontextmanager
async def open_shelf(settings: Settings) -> AsyncIterator[Shelf]:
    """The database with the embedder that fits the settings, for commands: one that is away is an error.

    Raises:
        ConfigurationError: it cannot be used.
        StoreUnavailable: it cannot be reached.
    """
    async with open_database(database_config(settings)) as database, open_embedder(settings) as embedder:
        yield Shelf(database, embedder)
