"""What is left for people: things to do, appointments; and what the business knows, in pages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.store.database import Database
from engine.store.follow_ups import FollowUp
from engine.store.records import decode_follow_up
from engine.store.sql import Connection, Row, plain, query

FIRST = (datetime(1, 1, 1), "")  # noqa: DTZ001 - the business's own time, as all starts are


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do, and whether it has been done: when, and by whom (``operator`` or ``key <id>``)."""

    item: FollowUp
    kept_order: int
    done_at: datetime | None
    done_by: str | None


@dataclass(frozen=True, slots=True)
class Slot:
    """An appointment that stands, or stood. ``starts`` is the business's own time, naive."""

    reference: str
    starts: datetime
    name: str
    phone: str
    reason: str
    booked_at: datetime
    cancelled_at: datetime | None
    cancelled_by: str | None


@dataclass(frozen=True, slots=True)
class SlotFilter:
    """Which appointments; None: all. Times are the business's own, naive, ``until`` excluded."""

    since: datetime | None = None
    until: datetime | None = None
    cancelled: bool | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Something that was read in. ``passages`` is how many it is."""

    source_id: str
    name: str
    kind: str
    digest: str
    updated_at: datetime
    passages: int


class Work:
    """Every method may raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tasks(
        self,
        tenant_id: str,
        *,
        before: int | None,
        limit: int,
        done: bool | None = None,
        kind: str | None = None,
        caller: str | None = None,
    ) -> list[Task]:
        """A page, newest first."""
        row = (tenant_id, before, limit, done, kind, caller)
        return [_task(found) for found in await self._database.for_tenant(tenant_id, _fetch, "tasks_page", row)]

    async def task(self, tenant_id: str, key: str) -> Task | None:
        """One."""
        rows = await self._database.for_tenant(tenant_id, _fetch, "task", (tenant_id, key))
        return _task(rows[0]) if rows else None

    async def settle(self, tenant_id: str, key: str, *, done: bool, who: str) -> Task | None:
        """It has been done, or has not after all; None where there is none. Safe to repeat."""
        rows = await self._database.for_tenant(tenant_id, _fetch, "settle_task", (tenant_id, key, done, plain(who)))
        return _task(rows[0]) if rows else None

    async def appointments(
        self, tenant_id: str, which: SlotFilter, *, after: tuple[datetime, str] | None, limit: int
    ) -> list[Slot]:
        """A page, soonest first, from after that start and reference on."""
        by = (which.since, which.until, which.cancelled, which.phone)
        rows = await self._database.for_tenant(
            tenant_id, _fetch, "appointments_page", (tenant_id, *(after or FIRST), limit, *by)
        )
        return [Slot(**dict(row)) for row in rows]

    async def appointment(self, tenant_id: str, reference: str) -> Slot | None:
        """One."""
        rows = await self._database.for_tenant(tenant_id, _fetch, "appointment_of", (tenant_id, reference))
        return Slot(**dict(rows[0])) if rows else None

    async def cancel(self, tenant_id: str, reference: str, *, who: str) -> Slot | None:
        """Free the slot; None where there was none. Safe to repeat: the first time counts."""
        return await self._database.for_tenant(tenant_id, _cancel, tenant_id, reference, plain(who))

    async def sources(self, tenant_id: str, *, after: str, limit: int) -> list[Source]:
        """A page, by name."""
        rows = await self._database.for_tenant(tenant_id, _fetch, "sources_page", (tenant_id, plain(after), limit))
        return [Source(**dict(row)) for row in rows]

    async def forget_tries(self, tenant_id: str, older_than_s: float) -> None:
        """What the ledger knows of tools that were tried out so long ago."""
        await self._database.for_tenant(tenant_id, _forget_tries, tenant_id, older_than_s)


async def _fetch(connection: Connection, name: str, row: tuple[Any, ...]) -> list[Row]:
    return await connection.fetch(query(name), *row)


async def _cancel(connection: Connection, tenant_id: str, reference: str, who: str) -> Slot | None:
    row = await connection.fetchrow(query("cancel_appointment"), tenant_id, reference, who)
    # A statement of its own sees what was committed while the one before waited for it.
    row = row or await connection.fetchrow(query("appointment_of"), tenant_id, reference)
    return None if row is None else Slot(**dict(row))


async def _forget_tries(connection: Connection, tenant_id: str, older_than_s: float) -> None:
    await connection.execute(query("forget_tries"), tenant_id, older_than_s)
    await connection.execute(query("forget_tried_ids"), tenant_id)


def _task(row: Row) -> Task:
    item = decode_follow_up(row["document"].encode())
    return Task(item, row["kept_order"], row["done_at"], row["done_by"])
