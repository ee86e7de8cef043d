"""What is kept no longer, and what a caller wants forgotten: deleted, in PostgreSQL, one tenant at a time.

Sums stay (usage, statements), and so do appointments, which are the business's own; of a caller who is forgotten they
go too. What a caller's number stands in that is about others (somebody else's call, in which it was named) is kept with
the number struck out: each of its digits becomes a 9, which fits wherever a number did.

Sound is not here: whoever deletes a recording deletes its file first, and then ``forget_recording``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.metrics import OfficeState
from engine.store.database import Database
from engine.store.sql import Connection, plain, query

AT_ONCE = 500  # rows in one transaction: nobody waits for a lock of it for long
FEWEST_DIGITS = 7  # what is shorter than a telephone's number stands in too much that is none

_EXPIRING: Final = {
    "calls": "expire_calls",
    "follow_ups": "expire_follow_ups",
    "live_calls": "expire_live_calls",
    "tool_answers": "expire_ledger",
    "tool_calls": "expire_tool_calls",
    "cancelled_appointments": "expire_cancelled",
    "events": "expire_events",
}
_IN_PARTS = frozenset({"calls", "follow_ups"})
_STRUCK: Final = (
    "strike_out_of_calls",
    "strike_out_of_live_calls",
    "strike_out_of_follow_ups",
    "strike_out_of_appointments",
    "strike_out_of_usage",
    "strike_out_of_deliveries",
    "strike_out_of_audit",
)


@dataclass(frozen=True, slots=True)
class RecordingKey:
    """Which recording: a call has one for each line that it was on."""

    tenant_id: str
    call_sid: str
    part: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted of a caller, by what it was.

    Attributes:
        struck_out: records about others in which the number stood.
        on_line: calls of theirs that are on the line, and were left alone.
    """

    deleted: Mapping[str, int] = field(default_factory=dict)
    struck_out: int = 0
    on_line: int = 0


class PostgresRetention:
    """Every method may raise ``StoreUnavailable``; all may be repeated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expire(self, tenant_id: str, days: int) -> Counter[str]:
        """Delete what is older than that, recordings excepted; how much, by what it was."""
        gone: Counter[str] = Counter()
        for what, name in _EXPIRING.items():
            args = (tenant_id, days, AT_ONCE) if what in _IN_PARTS else (tenant_id, days)
            while found := await self._database.for_tenant(tenant_id, _count, name, args):
                gone[what] += found
                if what not in _IN_PARTS or found < AT_ONCE:
                    break
        return +gone

    async def old_recordings(self, tenant_id: str, days: int) -> list[RecordingKey]:
        """Some of those that are older than that; ask again until there are none."""
        return await self._database.for_tenant(tenant_id, _recordings, "old_recordings", tenant_id, days, AT_ONCE)

    async def recordings_of(self, tenant_id: str, caller: str) -> list[RecordingKey]:
        """All of this caller's."""
        return await self._database.for_tenant(tenant_id, _recordings, "recordings_of_caller", tenant_id, caller)

    async def forget_recording(self, key: RecordingKey) -> None:
        """Its file is gone."""
        await self._database.for_tenant(key.tenant_id, _forget_recording, key)

    async def forget_caller(self, tenant_id: str, caller: str) -> Forgotten:
        """Delete everything of this number, or nothing; recordings excepted, which have to be gone by then."""
        return await self._database.for_tenant(tenant_id, _forget_caller, tenant_id, plain(caller))

    async def office_state(self, now: float) -> OfficeState:
        """How the webhooks of all tenants stand; ``now`` in seconds since 1970."""
        return await self._database.across_tenants(_office_state, now)


def digits_of(caller: str) -> str:
    """What the number is looked for by in texts; empty where it is too short for that, or none."""
    digits = caller.removeprefix("+")
    return digits if digits.isascii() and digits.isdigit() and len(digits) >= FEWEST_DIGITS else ""


# On the database's thread.


async def _count(connection: Connection, name: str, args: tuple[object, ...]) -> int:
    return len(await connection.fetch(query(name), *args))


async def _recordings(connection: Connection, name: str, *args: object) -> list[RecordingKey]:
    return [
        RecordingKey(str(args[0]), row["call_sid"], row["part"]) for row in await connection.fetch(query(name), *args)
    ]


async def _forget_recording(connection: Connection, key: RecordingKey) -> None:
    await connection.execute(query("forget_recording"), key.tenant_id, key.call_sid, key.part)


async def _forget_caller(connection: Connection, tenant_id: str, caller: str) -> Forgotten:
    on_line = await connection.fetch(query("calls_on_line"), tenant_id)
    busy = [row["call_sid"] for row in on_line]
    digits = digits_of(caller)
    ended = await _column(connection, "forget_calls_of", tenant_id, caller)
    lost = await _column(connection, "forget_live_calls_of", tenant_id, caller, ended, busy)
    calls = list({*ended, *lost})  # a call that a lost worker left has no end yet, and has left things all the same
    deleted = {
        "calls": ended,
        "live_calls": lost,
        "follow_ups": await _column(connection, "forget_follow_ups_of", tenant_id, caller, calls),
        "appointments": await _column(connection, "forget_appointments_of", tenant_id, caller, calls, digits),
        "tool_answers": await _column(connection, "forget_ledger_of", tenant_id, calls, busy, digits),
        "tool_calls": await _column(connection, "forget_tool_calls_of", tenant_id, calls, busy, digits),
    }
    struck = 0
    for name in _STRUCK if digits else ():
        struck += len(await connection.fetch(query(name), tenant_id, digits, "9" * len(digits)))
    return Forgotten(
        {what: len(found) for what, found in deleted.items()}, struck, sum(row["caller"] == caller for row in on_line)
    )


async def _column(connection: Connection, name: str, *args: object) -> Sequence[str]:
    return [next(iter(row.values())) for row in await connection.fetch(query(name), *args)]


async def _office_state(connection: Connection, now: float) -> OfficeState:
    row = await connection.fetchrow(query("office_state"))
    assert row is not None, "a function with output parameters gives one row"
    return OfficeState(now, row["waiting"], row["oldest_s"], row["dead"], row["endpoints_failed"])
