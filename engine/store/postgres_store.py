"""``Store``, ``FollowUps`` and ``Usage`` in PostgreSQL."""

from datetime import datetime

from engine.store.database import Database
from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd
from engine.store.records import (
    decode_call,
    decode_follow_up,
    decode_usage,
    encode_call,
    encode_follow_up,
    encode_usage,
)
from engine.store.sql import Connection, plain, query
from engine.store.usage import UsageRecord


class PostgresStore:
    """Every method may raise ``StoreUnavailable``; repeating what may have been done changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep_call(self, end: CallEnd) -> bool:
        """See ``Store``: the call and its messages, or nothing."""
        return await self._database.for_tenant(end.tenant_id, _keep_call, end, encode_call(end).decode())

    async def calls(self, tenant_id: str) -> list[CallEnd]:
        """See ``Store``."""
        return await self._database.for_tenant(tenant_id, _calls, tenant_id)

    async def keep_follow_up(self, item: FollowUp) -> bool:
        """See ``FollowUps``."""
        document = encode_follow_up(item).decode()
        row = (item.tenant_id, item.key, plain(item.call_sid), plain(item.kind), document, plain(item.caller))
        return await self._database.for_tenant(item.tenant_id, _keep, "keep_follow_up", row)

    async def follow_ups(self, tenant_id: str) -> list[FollowUp]:
        """See ``FollowUps``."""
        documents = await self._database.for_tenant(tenant_id, _documents, "follow_ups", tenant_id)
        return [decode_follow_up(document) for document in documents]

    async def keep_usage(self, record: UsageRecord) -> bool:
        """See ``Usage``."""
        document = encode_usage(record).decode()
        noted_at = _moment(record.noted_at)
        row = (record.tenant_id, record.call_sid, record.kind, float(record.quantity), document, noted_at)
        return await self._database.for_tenant(record.tenant_id, _keep, "keep_usage", row)

    async def usage(self, tenant_id: str) -> list[UsageRecord]:
        """See ``Usage``."""
        documents = await self._database.for_tenant(tenant_id, _documents, "usage", tenant_id)
        return [decode_usage(document) for document in documents]


async def _keep_call(connection: Connection, end: CallEnd, document: str) -> bool:
    # The document keeps what was said to the byte; the other columns are what calls are found by.
    outcome = (plain(end.outcome_class), plain(end.outcome_reason))
    found_by = (plain(str(end.document.get("caller") or "")), _moment(end.document.get("ended_at")))
    row = (end.tenant_id, end.call_sid, *outcome, document, *found_by)
    if await connection.fetchval(query("keep_call_end"), *row) is None:
        return False
    if end.messages:
        audio = [message.mulaw for message in end.messages]
        await connection.execute(query("keep_messages"), end.tenant_id, end.call_sid, audio)
    return True


def _moment(said: object) -> datetime | None:
    """When a call ended, as its document has it; None where that is no instant."""
    try:
        moment = datetime.fromisoformat(str(said))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


async def _calls(connection: Connection, tenant_id: str) -> list[CallEnd]:
    rows = await connection.fetch(query("call_ends"), tenant_id)
    return [decode_call(row["document"].encode(), row["audio"]) for row in rows]


async def _keep(connection: Connection, name: str, row: tuple[object, ...]) -> bool:
    return await connection.fetchval(query(name), *row) is not None


async def _documents(connection: Connection, name: str, tenant_id: str) -> list[bytes]:
    return [row["document"].encode() for row in await connection.fetch(query(name), tenant_id)]
