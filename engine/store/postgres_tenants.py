"""``Tenants`` in PostgreSQL. Writers take turns, so that a number cannot be given to two at once."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from engine.store.database import Database
from engine.store.records import json_text, safe_name
from engine.store.sql import Connection, Row, query
from engine.store.tenants import Changed, NumberTaken, Put, TenantDocument, TenantPut

CHANNEL = "tenant_changed"


@dataclass(frozen=True, slots=True)
class Stale:
    """It is of this version meanwhile (0: it is not there); nothing was written."""

    version: int


class PostgresTenants:
    """Every method may raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, tenant: TenantDocument) -> Put:
        """See ``Tenants``."""
        safe_name("tenant_id", tenant.tenant_id)
        text = json_text(dict(tenant.document), f"tenant {tenant.tenant_id}")
        numbers = sorted(set(tenant.numbers))
        return await self._database.across_tenants(_put, tenant.tenant_id, text, numbers)

    async def put_if(self, tenant: TenantDocument, version: int) -> Put | Stale:
        """Write it where it is still of that version; 0: where there is none."""
        safe_name("tenant_id", tenant.tenant_id)
        text = json_text(dict(tenant.document), f"tenant {tenant.tenant_id}")
        numbers = sorted(set(tenant.numbers))
        return await self._database.across_tenants(_put_if, version, tenant.tenant_id, text, numbers)

    async def get(self, tenant_id: str) -> TenantDocument | None:
        """See ``Tenants``."""
        return await self._database.for_tenant(tenant_id, _get, tenant_id)

    async def page(self, *, after: str, limit: int) -> list[TenantDocument]:
        """So many of all, by id, from after that one on."""
        return await self._database.across_tenants(_page, after, limit)

    async def list(self) -> list[TenantDocument]:
        """See ``Tenants``."""
        return await self._database.across_tenants(_list)

    async def delete(self, tenant_id: str) -> bool:
        """See ``Tenants``."""
        return await self._database.for_tenant(tenant_id, _delete, tenant_id)

    async def delete_if(self, tenant_id: str, version: int) -> bool | Stale:
        """The same where it is still of that version."""
        return await self._database.for_tenant(tenant_id, _delete_if, version, tenant_id)

    async def watch(self, changed: Changed) -> Any:
        """See ``Tenants``: a change made anywhere is heard within milliseconds of its commit."""
        return partial(await self._database.listen(CHANNEL, changed))


async def _put(connection: Connection, tenant_id: str, document: str, numbers: list[str]) -> Put:
    await connection.execute(query("lock_tenants"))
    taken = await connection.fetchrow(query("number_owners"), tenant_id, numbers)
    if taken is not None:
        return NumberTaken(taken["number"], taken["tenant_id"], tenant_id)
    before = await connection.fetchrow(query("tenant"), tenant_id)
    version = await connection.fetchval(query("put_tenant"), tenant_id, document, _numbers_changed(before, numbers))
    if version is None:
        assert before is not None
        return TenantPut(before["version"], changed=False)
    await connection.execute(query("drop_numbers"), tenant_id, numbers)
    await connection.execute(query("add_numbers"), tenant_id, numbers)
    await connection.execute(query("tenant_changed"), tenant_id)
    return TenantPut(version, changed=True)


async def _put_if(
    connection: Connection, expected: int, tenant_id: str, document: str, numbers: list[str]
) -> Put | Stale:
    await connection.execute(query("lock_tenants"))
    version = await _version(connection, tenant_id)
    return Stale(version) if version != expected else await _put(connection, tenant_id, document, numbers)


async def _version(connection: Connection, tenant_id: str) -> int:
    row = await connection.fetchrow(query("tenant"), tenant_id)
    return 0 if row is None else int(row["version"])


def _numbers_changed(before: Row | None, numbers: list[str]) -> bool:
    return before is not None and sorted(before["numbers"]) != numbers


async def _get(connection: Connection, tenant_id: str) -> TenantDocument | None:
    row = await connection.fetchrow(query("tenant"), tenant_id)
    return None if row is None else _document(row)


async def _list(connection: Connection) -> list[TenantDocument]:
    return [_document(row) for row in await connection.fetch(query("tenants"))]


async def _delete(connection: Connection, tenant_id: str) -> bool:
    await connection.execute(query("delete_knowledge"), tenant_id)
    if await connection.fetchval(query("delete_tenant"), tenant_id) is None:
        return False
    await connection.execute(query("tenant_changed"), tenant_id)
    return True


async def _delete_if(connection: Connection, expected: int, tenant_id: str) -> bool | Stale:
    await connection.execute(query("lock_tenants"))
    version = await _version(connection, tenant_id)
    return Stale(version) if version != expected else await _delete(connection, tenant_id)


async def _page(connection: Connection, after: str, limit: int) -> list[TenantDocument]:
    return [_document(row) for row in await connection.fetch(query("tenants_page"), after, limit)]


def _document(row: Row) -> TenantDocument:
    return TenantDocument(row["tenant_id"], orjson.loads(row["document"]), tuple(row["numbers"]), row["version"])
