"""Reads in the process, writes in the database: a question about opening hours needs no durable claim.

So reads cost no round trip and go on while the database is away. Whatever must be one across both (a call id stands for
one effect) is looked at here, for this process; across processes only writes are kept, and only they need to be.
"""

from engine.messages import Effect
from engine.store.ledger import Claim, ClaimRequest, EffectKey, IdReused, Ledger, Response
from engine.store.memory_ledger import MemoryLedger


class SplitLedger:
    """``Ledger`` of two: ``reads`` dies with the process, ``writes`` does not."""

    def __init__(self, reads: MemoryLedger, writes: Ledger) -> None:
        self._reads, self._writes = reads, writes
        self._read_keys: dict[tuple[str, str], set[EffectKey]] = {}
        self._ids: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}

    async def claim(self, key: EffectKey, request: ClaimRequest) -> Claim:
        """See ``Ledger``."""
        call = (key.tenant_id, key.call_sid)
        stands_for = self._ids.setdefault(call, {}).setdefault(request.call_id, (key.tool, key.digest))
        if stands_for != (key.tool, key.digest):
            return IdReused()
        if request.effect is Effect.READS:
            self._read_keys.setdefault(call, set()).add(key)
            return await self._reads.claim(key, request)
        return await self._writes.claim(key, request)

    async def finish(self, key: EffectKey, attempt: str, response: Response) -> bool:
        """See ``Ledger``."""
        return await self._of(key).finish(key, attempt, response)

    async def abandon(self, key: EffectKey, attempt: str, response: Response | None) -> bool:
        """See ``Ledger``."""
        return await self._of(key).abandon(key, attempt, response)

    async def wait_settled(self, key: EffectKey) -> Response | None:
        """See ``Ledger``."""
        return await self._of(key).wait_settled(key)

    async def forget_call(self, tenant_id: str, call_sid: str) -> None:
        """See ``Ledger``."""
        self._ids.pop((tenant_id, call_sid), None)
        self._read_keys.pop((tenant_id, call_sid), None)
        await self._reads.forget_call(tenant_id, call_sid)
        await self._writes.forget_call(tenant_id, call_sid)

    def _of(self, key: EffectKey) -> Ledger:
        is_read = key in self._read_keys.get((key.tenant_id, key.call_sid), ())
        return self._reads if is_read else self._writes
