"""What all of the back office works with, made once and in one place. Nothing is made when a module is imported.

database ............. shared with the gateways; embedded or external
├─ ledger ............ hears what other processes settle
└─ HTTP tools ........ a client of their own, for trying tools out
"""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import ValidationError

from engine.backoffice.live import Live, open_live
from engine.backoffice.problems import Problem
from engine.backoffice.reaching import reached_sooner_or_later
from engine.backoffice.watch import Watch
from engine.config import Settings
from engine.server.compose import voice_cache
from engine.server.shelf import Shelf, database_config, open_embedder
from engine.sim.caller import Exchange
from engine.store.database import Database, open_database
from engine.store.ledger import Ledger
from engine.store.postgres_api_keys import ApiKeys
from engine.store.postgres_audit import AuditLog
from engine.store.postgres_diary import PostgresDiary
from engine.store.postgres_history import History
from engine.store.postgres_idempotency import Answers
from engine.store.postgres_ledger import open_ledger
from engine.store.postgres_store import PostgresStore
from engine.store.postgres_tenants import PostgresTenants
from engine.store.postgres_work import Work
from engine.tenants.tenant import Tenant
from engine.tools.catalog import Catalog, standard_catalog
from engine.tools.http_signing import ToolSecrets
from engine.tools.http_tool import open_http_tools
from engine.voice.cache import VoiceCache


@dataclass(frozen=True, slots=True)
class Office:
    """See the module.

    Attributes:
        shelf: tenants with what they know; ``tenants`` are their documents as they are kept, with versions.
        exchange: a simulated carrier that is to know of calls from browsers; None where there is a real one.
        secret: seals cookies and kept answers; told by the settings, else of this process alone.
    """

    settings: Settings
    database: Database
    shelf: Shelf
    tenants: PostgresTenants
    store: PostgresStore
    diary: PostgresDiary
    history: History
    work: Work
    keys: ApiKeys
    audit: AuditLog
    answers: Answers
    ledger: Ledger
    catalog: Catalog
    voice: VoiceCache
    live: Live
    secret: bytes
    now: Callable[[], datetime]
    watch: Watch = field(default_factory=Watch)
    exchange: Exchange | None = None

    async def tenant(self, tenant_id: str) -> Tenant:
        """One tenant's document.

        Raises:
            Problem: 404 there is none; 409 it was written by another version and cannot be read by this one.
        """
        return (await self.versioned(tenant_id))[0]

    async def versioned(self, tenant_id: str) -> tuple[Tenant, int]:
        """The same with its version."""
        kept = await self.tenants.get(tenant_id)
        if kept is None:
            raise Problem(404, "no such tenant")
        try:
            return Tenant.model_validate(kept.document), kept.version
        except ValidationError:
            raise Problem(409, "this document is of another version's form: put it again", kind="unreadable") from None


@asynccontextmanager
async def open_office(
    settings: Settings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC), waits: bool = False
) -> AsyncIterator[Office]:
    """Open the database and everything that stands on it.

    Args:
        waits: for a database that cannot be reached, with an office that is open meanwhile (``reaching.py``).

    Raises:
        ConfigurationError: the database cannot be used.
        StoreUnavailable: it cannot be reached, and is not waited for.
    """
    key = settings.secret_key.get_secret_value() if settings.secret_key else None
    tool_secrets = ToolSecrets(settings.tool_secrets, secret_key=key)
    watch, config = Watch(), database_config(settings)
    async with (
        reached_sooner_or_later(config, watch) if waits else open_database(config) as database,
        open_embedder(settings) as embedder,
        open_ledger(database) as ledger,
        open_live(settings, lambda: now().timestamp()) as live,
        open_http_tools(tool_secrets, allow_private=settings.tools_allow_private) as http_tools,
    ):
        yield Office(
            settings=settings,
            database=database,
            shelf=Shelf(database, embedder),
            tenants=PostgresTenants(database),
            store=PostgresStore(database),
            diary=PostgresDiary(database),
            history=History(database),
            work=Work(database),
            keys=ApiKeys(database),
            audit=AuditLog(database),
            answers=Answers(database),
            ledger=ledger,
            catalog=standard_catalog(http_tools),
            voice=voice_cache(settings),
            live=live,
            secret=(key or secrets.token_hex(32)).encode(),
            now=now,
            watch=watch,
        )
