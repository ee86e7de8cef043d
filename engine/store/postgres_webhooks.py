"""A tenant's webhook endpoints, and the deliveries to them, as their owner sees them."""

from collections.abc import Sequence

from engine.store.database import Database
from engine.store.sql import Connection, Row, plain, query
from engine.store.webhooks import TEST, Delivery, DeliveryState, Endpoint, EndpointState

MOST_ENDPOINTS = 20  # of one tenant
BEFORE_S = 24 * 3600.0  # for which a secret that was replaced goes on signing beside the new one


class Webhooks:
    """Every method may raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, tenant_id: str, endpoint_id: str, *, url: str, description: str, events: Sequence[str], secret: bytes
    ) -> Endpoint | None:
        """A new one; None where the tenant has as many as it may, or is not there."""
        row = (tenant_id, endpoint_id, url, plain(description), list(events), secret, MOST_ENDPOINTS)
        return await self._database.for_tenant(tenant_id, _one, "add_webhook", row)

    async def get(self, tenant_id: str, endpoint_id: str) -> Endpoint | None:
        """One."""
        return await self._database.for_tenant(tenant_id, _one, "webhook", (tenant_id, endpoint_id))

    async def endpoints(self, tenant_id: str, *, before: int | None, limit: int) -> list[Endpoint]:
        """A page, newest first."""
        return await self._database.for_tenant(tenant_id, _endpoints, tenant_id, before, limit)

    async def change(
        self,
        tenant_id: str,
        endpoint_id: str,
        *,
        url: str | None = None,
        description: str | None = None,
        events: Sequence[str] | None = None,
        state: EndpointState | None = None,
    ) -> Endpoint | None:
        """What is not None is changed. Turned off, what waits for it becomes dead letters, which can be replayed."""
        said = None if description is None else plain(description)
        wanted = None if events is None else list(events)
        row = (tenant_id, endpoint_id, url, said, wanted, state)
        return await self._database.for_tenant(tenant_id, _change, row)

    async def rotate(self, tenant_id: str, endpoint_id: str, secret: bytes) -> Endpoint | None:
        """A new secret; the one before it signs too for ``BEFORE_S``."""
        return await self._database.for_tenant(
            tenant_id, _one, "rotate_webhook", (tenant_id, endpoint_id, secret, BEFORE_S)
        )

    async def drop(self, tenant_id: str, endpoint_id: str) -> bool:
        """With everything that was on its way there; False where there was none."""
        return await self._database.for_tenant(tenant_id, _drop, tenant_id, endpoint_id)

    async def send_test(self, tenant_id: str, endpoint_id: str, event_id: str) -> bool:
        """Have an event of type ``test`` sent; False where there is no such endpoint."""
        return await self._database.for_tenant(tenant_id, _test, tenant_id, endpoint_id, event_id)

    async def deliveries(
        self,
        tenant_id: str,
        *,
        before: int | None,
        limit: int,
        endpoint_id: str | None = None,
        state: DeliveryState | None = None,
        call_sid: str | None = None,
    ) -> list[Delivery]:
        """A page, newest first."""
        row = (tenant_id, before, limit, endpoint_id, state, call_sid)
        return await self._database.for_tenant(tenant_id, _deliveries, row)

    async def replay(self, tenant_id: str, endpoint_id: str, event_id: str | None = None) -> int:
        """Send it once more, or every dead letter of the endpoint; how many. None of an endpoint that is not on."""
        return await self._database.for_tenant(tenant_id, _replay, tenant_id, endpoint_id, event_id)


def endpoint_of(row: Row) -> Endpoint:
    """A row of ``webhook_endpoint``."""
    return Endpoint(**{**dict(row), "events": tuple(row["events"])})


async def _one(connection: Connection, name: str, row: tuple[object, ...]) -> Endpoint | None:
    found = await connection.fetchrow(query(name), *row)
    return None if found is None else endpoint_of(found)


async def _endpoints(connection: Connection, tenant_id: str, before: int | None, limit: int) -> list[Endpoint]:
    return [endpoint_of(row) for row in await connection.fetch(query("webhooks"), tenant_id, before, limit)]


async def _change(connection: Connection, row: tuple[object, ...]) -> Endpoint | None:
    changed = await _one(connection, "change_webhook", row)
    if changed is not None and changed.state != "on":
        await connection.execute(query("kill_deliveries"), *row[:2], "the endpoint was turned off")
    return changed


async def _drop(connection: Connection, tenant_id: str, endpoint_id: str) -> bool:
    return await connection.fetchval(query("drop_webhook"), tenant_id, endpoint_id) is not None


async def _test(connection: Connection, tenant_id: str, endpoint_id: str, event_id: str) -> bool:
    if await connection.fetchrow(query("webhook"), tenant_id, endpoint_id) is None:
        return False
    await connection.execute(query("add_event"), tenant_id, endpoint_id, event_id, TEST)
    await connection.execute(query("webhook_due"), tenant_id)
    return True


async def _deliveries(connection: Connection, row: tuple[object, ...]) -> list[Delivery]:
    names = Delivery.__slots__
    return [
        Delivery(**{name: found[name] for name in names}) for found in await connection.fetch(query("deliveries"), *row)
    ]


async def _replay(connection: Connection, tenant_id: str, endpoint_id: str, event_id: str | None) -> int:
    if event_id is None:
        found = await connection.fetch(query("replay_dead"), tenant_id, endpoint_id)
    else:
        found = await connection.fetch(query("replay_delivery"), tenant_id, endpoint_id, event_id)
    if found:
        await connection.execute(query("webhook_due"), tenant_id)
    return len(found)
