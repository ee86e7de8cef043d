"""Appointments, as one protocol with twins. Who may come when is decided above; here a slot is taken once."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Protocol, TypeAlias

import trio


@dataclass(frozen=True, slots=True)
class Appointment:
    """One booked slot.

    Attributes:
        reference: unique within the tenant; the effect's id, so that a repeated booking is the same booking.
        starts: local time of the business, naive, to the minute.
        phone: E.164 or as the caller gave it; empty where unknown.
    """

    tenant_id: str
    reference: str
    starts: datetime
    name: str
    phone: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Booked:
    """It is in the diary (also where this very reference had been there before)."""

    appointment: Appointment


@dataclass(frozen=True, slots=True)
class SlotTaken:
    """Somebody else has it; nothing was written."""

    starts: datetime


Booking: TypeAlias = Booked | SlotTaken


class Diary(Protocol):
    """A tenant's appointments. May raise ``RemoteError`` or ``OSError`` where the diary cannot be reached."""

    async def taken(self, tenant_id: str, day: date) -> frozenset[time]:
        """Start times that are gone on that day."""

    async def book(self, appointment: Appointment) -> Booking:
        """Take the slot, or learn that it is taken: one atomic step (a unique key in the database)."""

    async def find(self, tenant_id: str, phone: str) -> list[Appointment]:
        """Appointments made under exactly this number, soonest first."""


class MemoryDiary:
    """A diary that lives as long as the process."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, datetime], Appointment] = {}
        self._references: dict[tuple[str, str], Appointment] = {}

    async def taken(self, tenant_id: str, day: date) -> frozenset[time]:
        """See ``Diary``."""
        await trio.lowlevel.checkpoint()
        return frozenset(at.time() for owner, at in self._slots if owner == tenant_id and at.date() == day)

    async def book(self, appointment: Appointment) -> Booking:
        """See ``Diary``."""
        await trio.lowlevel.checkpoint()
        # From here to the end nothing waits: that is what makes it atomic.
        if known := self._references.get((appointment.tenant_id, appointment.reference)):
            return Booked(known)
        slot = (appointment.tenant_id, appointment.starts)
        if slot in self._slots:
            return SlotTaken(appointment.starts)
        self._slots[slot] = appointment
        self._references[(appointment.tenant_id, appointment.reference)] = appointment
        return Booked(appointment)

    async def find(self, tenant_id: str, phone: str) -> list[Appointment]:
        """See ``Diary``."""
        await trio.lowlevel.checkpoint()
        mine = (a for (owner, _), a in self._slots.items() if owner == tenant_id and a.phone == phone)
        return sorted(mine, key=lambda a: a.starts)
