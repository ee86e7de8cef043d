"""The list of recordings in PostgreSQL."""

from dataclasses import dataclass
from datetime import datetime

from engine.store.database import Database
from engine.store.recordings import Recording
from engine.store.sql import Connection, Row, plain, query


@dataclass(frozen=True, slots=True)
class Listed:
    """A recording, and its place among all."""

    recording: Recording
    kept_order: int


class PostgresRecordings:
    """Every method may raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, one: Recording) -> bool:
        """Keep it; False where it had been kept before."""
        row = (one.call_sid, one.part, plain(one.caller), datetime.fromisoformat(one.started_at))
        sizes = (one.duration_ms, one.bytes)
        return await self._database.for_tenant(one.tenant_id, _keep, (one.tenant_id, *row, *sizes))

    async def page(self, tenant_id: str, *, call_sid: str | None, before: int | None, limit: int) -> list[Listed]:
        """Newest first; of one call, or of all."""
        return await self._database.for_tenant(tenant_id, _page, (tenant_id, call_sid, before, limit))

    async def get(self, tenant_id: str, call_sid: str, part: int) -> Recording | None:
        """One of them."""
        return await self._database.for_tenant(tenant_id, _get, (tenant_id, call_sid, part))


async def _keep(connection: Connection, row: tuple[object, ...]) -> bool:
    return await connection.fetchval(query("keep_recording"), *row) is not None


async def _page(connection: Connection, args: tuple[object, ...]) -> list[Listed]:
    return [Listed(_read(row), row["kept_order"]) for row in await connection.fetch(query("recordings_page"), *args)]


async def _get(connection: Connection, args: tuple[object, ...]) -> Recording | None:
    row = await connection.fetchrow(query("recording_of"), *args)
    return None if row is None else _read(row)


def _read(row: Row) -> Recording:
    return Recording(
        row["tenant_id"],
        row["call_sid"],
        row["part"],
        row["caller"],
        row["started_at"].isoformat(),
        row["duration_ms"],
        row["bytes"],
    )
