"""Webhooks over a real PostgreSQL, in real time, with pauses made short."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import trio

from engine.store.database import Database
from engine.store.postgres_outbox import Outbox
from engine.store.postgres_store import PostgresStore
from engine.store.postgres_tenants import PostgresTenants
from engine.store.postgres_webhooks import Webhooks
from engine.store.tenants import TenantDocument
from engine.store.webhooks import Endpoint
from engine.tools.http_guard import AddressGuard
from engine.tools.http_transport import tool_client
from engine.webhooks import attempt, schedule, sender
from engine.webhooks.seal import Sealer, new_secret
from engine.webhooks.sender import Sender
from tests.postgres.conftest import cluster, database, made, url
from tests.webhooks.receiver import Receiver

__all__ = ["cluster", "database", "made", "url"]  # the fixtures of the store's own tests
SOON_S = 20.0


@dataclass
class Post:
    """What a test of webhooks works with."""

    database: Database
    client: httpx.AsyncClient
    sealer: Sealer = field(default_factory=lambda: Sealer("a secret of these tests"))
    turned_off: list[tuple[str, str]] = field(default_factory=list)
    crashes: int = 0

    @property
    def webhooks(self) -> Webhooks:
        return Webhooks(self.database)

    @property
    def store(self) -> PostgresStore:
        return PostgresStore(self.database)

    async def tenant(self, tenant_id: str) -> None:
        await PostgresTenants(self.database).put(TenantDocument(tenant_id, {}))

    async def endpoint(self, tenant_id: str, receiver: Receiver, *events: str, name: str = "main") -> Endpoint:
        secret = new_secret()
        receiver.secrets.insert(0, secret)
        sealed = self.sealer.seal(tenant_id, name, secret)
        added = await self.webhooks.add(tenant_id, name, url=receiver.url, description="", events=events, secret=sealed)
        assert added is not None
        return added

    def sender(self) -> Sender:
        async def on_failed(tenant_id: str, endpoint: Endpoint, why: str) -> None:
            await trio.lowlevel.checkpoint()
            self.turned_off.append((tenant_id, why))

        def crashed() -> None:
            self.crashes += 1

        return Sender(Outbox(self.database), self.client, self.sealer, on_failed=on_failed, crashed=crashed)

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Sender]:
        at_work = self.sender()
        async with trio.open_nursery() as nursery:
            await nursery.start(at_work.run)
            yield at_work
            nursery.cancel_scope.cancel()


@pytest.fixture
async def post(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    monkeypatch.setattr(schedule, "FIRST_S", 0.1)
    monkeypatch.setattr(schedule, "FACTOR", 1.2)
    monkeypatch.setattr(schedule, "LONGEST_S", 0.5)
    monkeypatch.setattr(schedule, "MOST_ATTEMPTS", 1000)
    monkeypatch.setattr(attempt, "ATTEMPT_S", 0.4)
    monkeypatch.setattr(sender, "LOOK_S", 0.5)
    async with tool_client(AddressGuard(allow_private=True)) as client:
        yield Post(database, client)
