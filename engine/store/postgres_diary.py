"""``Diary`` in PostgreSQL: a slot is taken once because it is the primary key."""

from datetime import date, datetime, time, timedelta

from engine.store.database import Database
from engine.store.diary import Appointment, Booked, Booking, SlotTaken
from engine.store.sql import Connection, Row, plain, query


class PostgresDiary:
    """Every method may raise ``StoreUnavailable``; a booking may then have been made, and is found by its reference."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def taken(self, tenant_id: str, day: date) -> frozenset[time]:
        """See ``Diary``."""
        return await self._database.read_for_tenant(tenant_id, _taken, tenant_id, day)

    async def book(self, appointment: Appointment) -> Booking:
        """See ``Diary``."""
        return await self._database.for_tenant(appointment.tenant_id, _book, appointment)

    async def find(self, tenant_id: str, phone: str) -> list[Appointment]:
        """See ``Diary``."""
        return await self._database.read_for_tenant(tenant_id, _find, tenant_id, phone)


async def _taken(connection: Connection, tenant_id: str, day: date) -> frozenset[time]:
    begins = datetime.combine(day, time())
    rows = await connection.fetch(query("taken_slots"), tenant_id, begins, begins + timedelta(days=1))
    return frozenset(row["starts"].time() for row in rows)


async def _book(connection: Connection, wanted: Appointment) -> Booking:
    mine = (wanted.tenant_id, wanted.reference)
    said = [plain(value) for value in (wanted.name, wanted.phone, wanted.reason)]
    if await connection.fetchval(query("book"), wanted.tenant_id, wanted.starts, wanted.reference, *said) is not None:
        return Booked(wanted)
    # A statement of its own sees what was committed while the one before waited for it.
    known = await connection.fetchrow(query("appointment_by_reference"), *mine)
    return SlotTaken(wanted.starts) if known is None else Booked(_appointment(known))


async def _find(connection: Connection, tenant_id: str, phone: str) -> list[Appointment]:
    return [_appointment(row) for row in await connection.fetch(query("appointments_of_phone"), tenant_id, phone)]


def _appointment(row: Row) -> Appointment:
    return Appointment(**dict(row))
