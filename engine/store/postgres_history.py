"""What calls have left behind, for reading: calls, voice messages, callers; in pages, newest first.

Documents come back as they were kept. What they are found by stands in columns beside them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from engine.store.database import Database
from engine.store.sql import Connection, Row, query


@dataclass(frozen=True, slots=True)
class EndedCall:
    """One call. ``document`` is what ``CallRecord.document`` made of it."""

    call_sid: str
    outcome_class: str
    outcome_reason: str
    caller: str
    ended_at: datetime
    kept_order: int
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls; None: all. Times are of their ends, ``until`` excluded."""

    since: datetime | None = None
    until: datetime | None = None
    outcome: str | None = None
    reason: str | None = None
    caller: str | None = None


@dataclass(frozen=True, slots=True)
class VoiceMessage:
    """A message in a list: where its audio is, and how many bytes (8000 a second) that is."""

    call_sid: str
    position: int
    caller: str
    left_at: datetime
    size: int
    kept_order: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who called; ``kept_order`` is their newest call's."""

    caller: str
    calls: int
    first_at: datetime
    last_at: datetime
    kept_order: int


class History:
    """Every method may raise ``StoreUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def calls(self, tenant_id: str, which: CallFilter, *, before: int | None, limit: int) -> list[EndedCall]:
        """A page."""
        by = (which.since, which.until, which.outcome, which.reason, which.caller)
        rows = await self._database.for_tenant(tenant_id, _fetch, "calls_page", (tenant_id, before, limit, *by))
        return [_call(row) for row in rows]

    async def call(self, tenant_id: str, call_sid: str) -> EndedCall | None:
        """One; None where there is none, or it has not ended."""
        rows = await self._database.for_tenant(tenant_id, _fetch, "call_of_sid", (tenant_id, call_sid))
        return _call(rows[0]) if rows else None

    async def messages(
        self, tenant_id: str, *, before: int | None, limit: int, caller: str | None = None
    ) -> list[VoiceMessage]:
        """Those of so many calls."""
        row = (tenant_id, before, limit, caller)
        found = []
        for of_call in await self._database.for_tenant(tenant_id, _fetch, "messages_page", row):
            for position, size in zip(of_call["positions"], of_call["sizes"], strict=True):
                found.append(
                    VoiceMessage(
                        of_call["call_sid"],
                        position,
                        of_call["caller"],
                        of_call["ended_at"],
                        size,
                        of_call["kept_order"],
                    )
                )
        return found

    async def audio(self, tenant_id: str, call_sid: str, position: int) -> bytes | None:
        """A message's mu-law at 8 kHz."""
        rows = await self._database.for_tenant(tenant_id, _fetch, "message_audio", (tenant_id, call_sid, position))
        return bytes(rows[0]["mulaw"]) if rows else None

    async def callers(self, tenant_id: str, *, before: int | None, limit: int) -> list[Caller]:
        """A page, by newest call."""
        rows = await self._database.for_tenant(tenant_id, _fetch, "callers_page", (tenant_id, before, limit))
        return [Caller(**dict(row)) for row in rows]

    async def caller(self, tenant_id: str, caller: str) -> Caller | None:
        """One; None where they never called."""
        rows = await self._database.for_tenant(tenant_id, _fetch, "caller", (tenant_id, caller))
        return Caller(**dict(rows[0])) if rows else None


async def _fetch(connection: Connection, name: str, row: tuple[object, ...]) -> list[Row]:
    return await connection.fetch(query(name), *row)


def _call(row: Row) -> EndedCall:
    kept = dict(row)
    # The whole end was kept; the call's own document is one part of it.
    document = orjson.loads(kept.pop("document")).get("document") or {}
    return EndedCall(**kept, document=document)
