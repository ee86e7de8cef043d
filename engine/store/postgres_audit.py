"""Who changed what over the API, when, and how it ended. Written once, never changed."""

from dataclasses import dataclass
from datetime import datetime

from engine.store.database import Database
from engine.store.sql import Connection, plain, query

OPERATOR = "OPERATOR"
"""Whose log an attempt is in that names no tenant. No tenant is called so: their ids have no capitals."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One write. ``who`` is ``operator`` or ``key <id>``; ``status`` is the HTTP status that they were answered."""

    kept_order: int
    at: datetime
    who: str
    method: str
    path: str
    status: int


class AuditLog:
    """Every method may raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, tenant_id: str, *, who: str, method: str, path: str, status: int) -> None:
        """Write it down."""
        row = (tenant_id, plain(who), method, plain(path), status)
        await self._database.for_tenant(tenant_id, _note, row)

    async def page(self, tenant_id: str, *, before: int | None, limit: int) -> list[AuditEntry]:
        """A page, newest first."""
        return await self._database.for_tenant(tenant_id, _page, tenant_id, before, limit)


async def _note(connection: Connection, row: tuple[object, ...]) -> None:
    await connection.execute(query("note_audit"), *row)


async def _page(connection: Connection, tenant_id: str, before: int | None, limit: int) -> list[AuditEntry]:
    rows = await connection.fetch(query("audit_entries"), tenant_id, before, limit)
    return [AuditEntry(**dict(row)) for row in rows]
