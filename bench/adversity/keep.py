"""Where a run's gateway keeps things: in memory, without a thread (which a virtual clock cannot see), countable."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, time
from pathlib import Path

import trio

from engine.config import Settings
from engine.server.keeping import Keeping, keep_in_memory
from engine.store.diary import Appointment, Booked, Booking
from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd
from engine.store.usage import UsageRecord
from engine.tenants.tenant import Tenant


class MemoryStore:
    """Ends, follow-ups and usage, each in the order in which they came; repetitions are kept out, as by contract."""

    def __init__(self) -> None:
        self.ends: list[CallEnd] = []
        self.tasks: list[FollowUp] = []
        self.used: list[UsageRecord] = []

    async def keep_call(self, end: CallEnd) -> bool:
        await trio.lowlevel.checkpoint()
        if any((one.tenant_id, one.call_sid) == (end.tenant_id, end.call_sid) for one in self.ends):
            return False
        self.ends.append(end)
        return True

    async def calls(self, tenant_id: str) -> list[CallEnd]:
        await trio.lowlevel.checkpoint()
        return [end for end in self.ends if end.tenant_id == tenant_id]

    async def keep_follow_up(self, item: FollowUp) -> bool:
        await trio.lowlevel.checkpoint()
        if any((one.tenant_id, one.key) == (item.tenant_id, item.key) for one in self.tasks):
            return False
        self.tasks.append(item)
        return True

    async def follow_ups(self, tenant_id: str) -> list[FollowUp]:
        await trio.lowlevel.checkpoint()
        return [item for item in self.tasks if item.tenant_id == tenant_id]

    async def keep_usage(self, record: UsageRecord) -> bool:
        await trio.lowlevel.checkpoint()
        if any(
            (one.tenant_id, one.call_sid, one.kind) == (record.tenant_id, record.call_sid, record.kind)
            for one in self.used
        ):
            return False
        self.used.append(record)
        return True

    async def usage(self, tenant_id: str) -> list[UsageRecord]:
        await trio.lowlevel.checkpoint()
        return [record for record in self.used if record.tenant_id == tenant_id]


class CountingDiary:
    """A diary that gives a slot to anybody who asks: whoever books twice is found out, not forgiven."""

    def __init__(self) -> None:
        self.booked: list[Appointment] = []
        self.takes_s = 0.0

    async def taken(self, tenant_id: str, day: date) -> frozenset[time]:
        await trio.lowlevel.checkpoint()
        return frozenset(
            one.starts.time() for one in self.booked if (one.tenant_id, one.starts.date()) == (tenant_id, day)
        )

    async def book(self, appointment: Appointment) -> Booking:
        await trio.sleep(self.takes_s)
        for known in self.booked:
            if (known.tenant_id, known.reference) == (appointment.tenant_id, appointment.reference):
                return Booked(known)  # asked for again, not a second time
        self.booked.append(appointment)
        return Booked(appointment)

    async def find(self, tenant_id: str, phone: str) -> list[Appointment]:
        await trio.lowlevel.checkpoint()
        return [one for one in self.booked if (one.tenant_id, one.phone) == (tenant_id, phone)]


class Kept:
    """What one run's gateway kept; ``keep`` is what ``open_world`` asks for."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.diary = CountingDiary()

    @asynccontextmanager
    async def keep(self, settings: Settings, tenants: Sequence[Tenant]) -> AsyncIterator[Keeping]:
        async with keep_in_memory(tenants, Path(settings.data_dir) / "calls") as keeping:
            yield replace(keeping, store=self.store, follow_ups=self.store, usage=self.store, diary=self.diary)
