"""The in-memory twin: what tests and a first look use. Forgets everything with the process."""

import trio

from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd
from engine.store.records import (
    decode_call,
    decode_follow_up,
    decode_usage,
    encode_call,
    encode_follow_up,
    encode_usage,
    safe_name,
)
from engine.store.usage import UsageRecord


class MemoryStore:
    """``Store``, ``FollowUps`` and ``Usage`` in dictionaries.

    Records are held as JSON, like in the other twins, so that nobody can change them from outside afterwards.
    """

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], tuple[bytes, list[bytes]]] = {}
        self._follow_ups: dict[tuple[str, str], bytes] = {}
        self._usage: dict[tuple[str, str, str], bytes] = {}

    async def keep_call(self, end: CallEnd) -> bool:
        """See ``Store``."""
        await trio.lowlevel.checkpoint()
        document = encode_call(end)
        key = (end.tenant_id, end.call_sid)
        if key in self._calls:
            return False
        self._calls[key] = (document, [message.mulaw for message in end.messages])
        return True

    async def calls(self, tenant_id: str) -> list[CallEnd]:
        """See ``Store``."""
        await trio.lowlevel.checkpoint()
        safe_name("tenant_id", tenant_id)
        return [decode_call(*kept) for (owner, _), kept in self._calls.items() if owner == tenant_id]

    async def keep_follow_up(self, item: FollowUp) -> bool:
        """See ``FollowUps``."""
        await trio.lowlevel.checkpoint()
        document = encode_follow_up(item)
        key = (item.tenant_id, item.key)
        if key in self._follow_ups:
            return False
        self._follow_ups[key] = document
        return True

    async def follow_ups(self, tenant_id: str) -> list[FollowUp]:
        """See ``FollowUps``."""
        await trio.lowlevel.checkpoint()
        safe_name("tenant_id", tenant_id)
        return [decode_follow_up(kept) for (owner, _), kept in self._follow_ups.items() if owner == tenant_id]

    async def keep_usage(self, record: UsageRecord) -> bool:
        """See ``Usage``."""
        await trio.lowlevel.checkpoint()
        document = encode_usage(record)
        key = (record.tenant_id, record.call_sid, record.kind)
        if key in self._usage:
            return False
        self._usage[key] = document
        return True

    async def usage(self, tenant_id: str) -> list[UsageRecord]:
        """See ``Usage``."""
        await trio.lowlevel.checkpoint()
        safe_name("tenant_id", tenant_id)
        return [decode_usage(kept) for (owner, *_), kept in self._usage.items() if owner == tenant_id]
