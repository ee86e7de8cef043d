"""Usage added up, and months closed. A closing is one transaction: what it adds up is marked as in that statement, and
the statement is written, or neither; what comes later is in the next.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from engine.store.database import Database
from engine.store.records import json_text
from engine.store.sql import Connection, Row, query
from engine.store.statements import KeptStatement, UsageSum


class Statements:
    """Every method may raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def used(self, tenant_id: str, begins: datetime, ends: datetime) -> list[UsageSum]:
        """What was used from ``begins`` until before ``ends``, by kind."""
        return await self._database.for_tenant(tenant_id, _sums, "usage_sums", (tenant_id, begins, ends))

    async def open(self, tenant_id: str, begins: datetime, ends: datetime) -> list[UsageSum]:
        """What a statement of that period would have in it now: all before ``ends`` that is in none yet."""
        return await self._database.for_tenant(tenant_id, _sums, "open_usage", (tenant_id, begins, ends))

    async def close(
        self,
        tenant_id: str,
        month: str,
        begins: datetime,
        ends: datetime,
        make: Callable[[Sequence[UsageSum]], tuple[str, Decimal, dict[str, Any]]],
    ) -> tuple[KeptStatement, bool]:
        """The month's statement, and whether it was closed by this very call.

        Args:
            make: what the usage comes to: currency, total, document. Pure: it is called on another thread.
        """
        return await self._database.for_tenant(tenant_id, _close, tenant_id, month, begins, ends, make)

    async def get(self, tenant_id: str, month: str) -> KeptStatement | None:
        """A closed month; None where it is not."""
        return await self._database.for_tenant(tenant_id, _get, tenant_id, month)

    async def page(self, tenant_id: str, *, before: int | None, limit: int) -> list[KeptStatement]:
        """Closed months, the one closed last first."""
        return await self._database.for_tenant(tenant_id, _page, tenant_id, before, limit)


async def _sums(connection: Connection, name: str, row: tuple[object, ...]) -> list[UsageSum]:
    return [_sum(found) for found in await connection.fetch(query(name), *row)]


def _sum(row: Row) -> UsageSum:
    return UsageSum(row["kind"], row["quantity"], row["calls"], row.get("late") or Decimal(0))


async def _close(
    connection: Connection,
    tenant_id: str,
    month: str,
    begins: datetime,
    ends: datetime,
    make: Callable[[Sequence[UsageSum]], tuple[str, Decimal, dict[str, Any]]],
) -> tuple[KeptStatement, bool]:
    await connection.execute(query("lock_statements"), tenant_id)
    if (known := await _get(connection, tenant_id, month)) is not None:
        return known, False
    usage = [_sum(row) for row in await connection.fetch(query("bill_usage"), tenant_id, month, begins, ends)]
    currency, total, document = make(usage)
    text = json_text(document, f"statement {month} of {tenant_id}")
    await connection.fetchval(query("keep_statement"), tenant_id, month, currency, total, text)
    kept = await _get(connection, tenant_id, month)
    assert kept is not None, "it has just been written"
    return kept, True


async def _get(connection: Connection, tenant_id: str, month: str) -> KeptStatement | None:
    row = await connection.fetchrow(query("statement"), tenant_id, month)
    return None if row is None else _kept(row)


async def _page(connection: Connection, tenant_id: str, before: int | None, limit: int) -> list[KeptStatement]:
    return [_kept(row) for row in await connection.fetch(query("statements"), tenant_id, before, limit)]


def _kept(row: Row) -> KeptStatement:
    return KeptStatement(**{**dict(row), "document": orjson.loads(row["document"])})
