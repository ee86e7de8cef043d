"""Closed months on their way to the operator's biller: which are due, the right to tell one, and what came of that.

The database makes them itself, in the transaction that closes the month (migration 6). What is told is read from the
statement, which never changes, so every try of one has the same bytes and the same id.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import orjson

from engine.store.database import Database
from engine.store.sql import Connection, plain, query

CHANNEL: Final = "bill_due"

BillState: TypeAlias = Literal["waiting", "done", "held"]
BILL_STATES: Final[tuple[BillState, ...]] = ("waiting", "done", "held")


@dataclass(frozen=True, slots=True)
class ClaimedBill:
    """One that is ours to tell for a while. ``document``: the statement as it was written."""

    tenant_id: str
    month: str
    event_id: str
    attempts: int
    document: dict[str, Any]
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class Bill:
    """How the telling stands.

    Attributes:
        state: ``held``: closed before there was anybody to tell; told when somebody asks for it.
        status: of the last answer; None where none came.
        made_at: when the month was closed.
    """

    tenant_id: str
    month: str
    event_id: str
    state: BillState
    attempts: int
    next_at: datetime
    status: int | None
    error: str
    made_at: datetime
    settled_at: datetime | None
    kept_order: int


class Bills:
    """Every method may raise ``StoreUnavailable``; what was claimed then comes back when its lease has ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def watch(self, due: Callable[[str | None], None]) -> Any:
        """Call ``due`` whenever there may be something new. Returns what ends it."""
        return await self._database.listen(CHANNEL, due)

    async def due(self, most: int) -> list[tuple[str, str]]:
        """Tenant and month of so many, the oldest first; of all tenants, also of those that are not there any more."""
        return await self._database.across_tenants(_due, most)

    async def claim(self, tenant_id: str, month: str, *, lease_s: float) -> ClaimedBill | None:
        """The right to tell it; None where somebody else has that, or has done it."""
        return await self._database.for_tenant(tenant_id, _claim, tenant_id, month, lease_s)

    async def settle(self, bill: ClaimedBill, *, again_s: float | None, status: int | None, error: str) -> bool:
        """What came of a try; ``again_s`` None: it has been taken. False where ours was not the last word."""
        row = (bill.tenant_id, bill.month, bill.attempts, again_s, status, plain(error))
        return await self._database.for_tenant(bill.tenant_id, _settle, row)

    async def send(self, tenant_id: str, month: str) -> Bill | None:
        """Have it told, also where it was before; None where that month is not closed."""
        return await self._database.for_tenant(tenant_id, _send, tenant_id, month)

    async def page(self, *, before: int | None, limit: int, state: BillState | None = None) -> list[Bill]:
        """Of all tenants, newest first."""
        return await self._database.across_tenants(_page, before, limit, state)

    async def of_month(self, month: str) -> list[str]:
        """The tenants for whom it was closed, also those that are not there any more."""
        return await self._database.across_tenants(_of_month, month)

    async def standing(self) -> tuple[int, float]:
        """How many wait to be told, and for how many seconds the oldest has."""
        return await self._database.across_tenants(_standing)


async def _due(connection: Connection, most: int) -> list[tuple[str, str]]:
    return [(row["tenant_id"], row["month"]) for row in await connection.fetch(query("bills_due"), most)]


async def _claim(connection: Connection, tenant_id: str, month: str, lease_s: float) -> ClaimedBill | None:
    row = await connection.fetchrow(query("claim_bill"), tenant_id, month, lease_s)
    if row is None:
        return None
    return ClaimedBill(tenant_id, month, **{**dict(row), "document": orjson.loads(row["document"])})


async def _settle(connection: Connection, row: tuple[object, ...]) -> bool:
    return await connection.fetchrow(query("settle_bill"), *row) is not None


async def _send(connection: Connection, tenant_id: str, month: str) -> Bill | None:
    row = await connection.fetchrow(query("send_bill"), tenant_id, month)
    if row is None:
        return None
    await connection.execute(query("bill_due"), tenant_id)
    return _bill(row)


async def _page(connection: Connection, before: int | None, limit: int, state: BillState | None) -> list[Bill]:
    return [_bill(row) for row in await connection.fetch(query("bills_page"), before, limit, state)]


async def _of_month(connection: Connection, month: str) -> list[str]:
    return [row["tenant_id"] for row in await connection.fetch(query("bills_of_month"), month)]


def _bill(row: Any) -> Bill:
    return Bill(**{name: row[name] for name in Bill.__slots__})


async def _standing(connection: Connection) -> tuple[int, float]:
    row = await connection.fetchrow(query("bills_state"))
    assert row is not None, "a count has a row"
    return row["waiting"], row["oldest_s"]
