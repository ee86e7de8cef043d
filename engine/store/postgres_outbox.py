"""The outbox as its senders see it: who has something due, the right to send it, and what came of that."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from engine.log import get_logger
from engine.store.database import Database
from engine.store.postgres_webhooks import endpoint_of
from engine.store.sql import Connection, Row, query
from engine.store.told_events import read_fact
from engine.store.webhooks import Claimed, Endpoint, Tried

CHANNEL = "webhook_due"
FORGET_AFTER_S = 30 * 86400.0  # of an event that nobody waits for: so long it can be looked up, and replayed

_log = get_logger("store.outbox")


@dataclass(frozen=True, slots=True)
class Turn:
    """An endpoint, and what of its events is ours to send now; in their order."""

    endpoint: Endpoint
    events: tuple[Claimed, ...]


class Outbox:
    """Every method may raise ``StoreUnavailable``; what was claimed then comes back when its lease has ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def watch(self, due: Callable[[str | None], None]) -> Any:
        """Call ``due(tenant_id)`` whenever there is something new, ``due(None)`` when that may have been missed."""
        return await self._database.listen(CHANNEL, due)

    async def due(self) -> list[tuple[str, str]]:
        """Tenant and endpoint of all that have something due. A look at every tenant: for now and then."""
        return await self._database.across_tenants(_due)

    async def due_of(self, tenant_id: str) -> list[str]:
        """A tenant's endpoints that have something due."""
        return await self._database.for_tenant(tenant_id, _due_of, tenant_id)

    async def claim(self, tenant_id: str, endpoint_id: str, *, most: int, lease_s: float) -> Turn | None:
        """The right to send some; of each call only the first event that waits. None where nothing is to be sent."""
        return await self._database.for_tenant(tenant_id, _claim, tenant_id, endpoint_id, most, lease_s)

    async def settle(self, tenant_id: str, endpoint_id: str, event: Claimed, tried: Tried) -> float:
        """What came of it; for how many seconds the endpoint has failed now, 0 where it has taken this."""
        return await self._database.for_tenant(tenant_id, _settle, tenant_id, endpoint_id, event, tried)

    async def fail(self, tenant_id: str, endpoint_id: str, why: str) -> bool:
        """Nothing more is sent there; False where that was so before."""
        return await self._database.for_tenant(tenant_id, _fail, tenant_id, endpoint_id, why)

    async def forget(self, tenant_id: str) -> None:
        """Events that are settled, and old."""
        await self._database.for_tenant(tenant_id, _forget, tenant_id)

    async def depth(self, tenant_id: str) -> tuple[int, float]:
        """How many deliveries wait, and for how many seconds the oldest event has."""
        return await self._database.for_tenant(tenant_id, _depth, tenant_id)


async def _due(connection: Connection) -> list[tuple[str, str]]:
    return [(row["tenant_id"], row["endpoint_id"]) for row in await connection.fetch(query("webhooks_due"))]


async def _due_of(connection: Connection, tenant_id: str) -> list[str]:
    return [row["endpoint_id"] for row in await connection.fetch(query("webhooks_due_of"), tenant_id)]


async def _claim(connection: Connection, tenant_id: str, endpoint_id: str, most: int, lease_s: float) -> Turn | None:
    found = await connection.fetchrow(query("webhook"), tenant_id, endpoint_id)
    if found is None or found["state"] != "on":
        return None
    rows = await connection.fetch(query("claim_deliveries"), tenant_id, endpoint_id, most, lease_s)
    if not rows:
        return None
    events = [await _claimed(connection, tenant_id, row) for row in sorted(rows, key=lambda row: row["event_order"])]
    return Turn(endpoint_of(found), tuple(events))


async def _claimed(connection: Connection, tenant_id: str, row: Row) -> Claimed:
    try:
        data = await read_fact(connection, tenant_id, row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # A document of another form than any version's: told as far as it is known, since it must hold nothing up.
        _log.error("an event's fact cannot be read", tenant_id=tenant_id, event_id=row["event_id"], detail=repr(error))
        data = {"call_sid": row["call_sid"]}
    return Claimed(
        event_id=row["event_id"],
        attempts=row["attempts"],
        order=row["event_order"],
        type=row["type"],
        call_sid=row["call_sid"],
        at=row["at"],
        data=None if data is None else orjson.loads(orjson.dumps(data)),
    )


async def _settle(connection: Connection, tenant_id: str, endpoint_id: str, event: Claimed, tried: Tried) -> float:
    where = (tenant_id, endpoint_id)
    # Several of one endpoint settle at once, and each touches the endpoint and its other deliveries: in one order.
    await connection.execute(query("lock_webhook"), *where)
    row = (*where, event.event_id, tried.state, tried.again_s, tried.status, tried.error, event.attempts)
    if await connection.fetchrow(query("settle_delivery"), *row) is None:
        return 0.0  # our lease had ended, and somebody else has it: theirs counts
    followers = (*where, event.call_sid, event.order)
    if tried.state == "waiting":
        if event.call_sid:
            await connection.execute(query("hold_followers"), *followers, tried.again_s)
    elif event.call_sid:
        await connection.execute(query("free_followers"), *followers)
    if tried.state == "done":
        await connection.fetchval(query("webhook_recovered"), *where)
        return 0.0
    if tried.state == "gone":
        return 0.0
    return float(await connection.fetchval(query("webhook_failing"), *where) or 0.0)


async def _fail(connection: Connection, tenant_id: str, endpoint_id: str, why: str) -> bool:
    url = await connection.fetchval(query("fail_webhook"), tenant_id, endpoint_id)
    await connection.execute(query("kill_deliveries"), tenant_id, endpoint_id, why)
    return url is not None


async def _forget(connection: Connection, tenant_id: str) -> None:
    await connection.execute(query("forget_events"), tenant_id, FORGET_AFTER_S)


async def _depth(connection: Connection, tenant_id: str) -> tuple[int, float]:
    row = await connection.fetchrow(query("outbox_depth"), tenant_id)
    assert row is not None, "a count has a row"
    return row["waiting"], row["oldest_s"]
