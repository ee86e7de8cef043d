"""The ledger's in-memory twin: atomic because nothing waits between looking and writing."""

from dataclasses import dataclass, field

import trio

from engine.messages import Effect
from engine.store.ledger import (
    AlreadyDone,
    Claim,
    Claimed,
    ClaimRequest,
    EffectKey,
    IdReused,
    InFlight,
    OutcomeUnknown,
    Response,
)


@dataclass(frozen=True, slots=True)
class LedgerStatistics:
    """``calls`` and ``in_flight`` are now; the others count since start."""

    calls: int
    in_flight: int
    claimed: int
    deduplicated: int
    unknown: int


@dataclass(slots=True)
class _Entry:
    attempt: str
    lease_until: float
    settled: trio.Event = field(default_factory=trio.Event)
    response: Response | None = None
    done: bool = False


@dataclass(slots=True)
class _Call:
    entries: dict[EffectKey, _Entry] = field(default_factory=dict)
    ids: dict[str, EffectKey] = field(default_factory=dict)
    told: dict[str, Response] = field(default_factory=dict)


class MemoryLedger:
    """One for all calls of a process, and it dies with the process. Leases run on trio's clock."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], _Call] = {}
        self._claimed = self._deduplicated = self._unknown = 0

    async def claim(self, key: EffectKey, request: ClaimRequest) -> Claim:
        """See ``Ledger``."""
        await trio.lowlevel.checkpoint()
        call = self._calls.setdefault((key.tenant_id, key.call_sid), _Call())
        first = call.ids.setdefault(request.call_id, key)
        if (first.tool, first.digest) != (key.tool, key.digest):
            return IdReused()
        if (told := call.told.get(request.call_id)) is not None:
            self._deduplicated += 1
            return AlreadyDone(told)
        entry = call.entries.get(first)
        if entry is not None and entry.done and entry.response is not None:
            self._deduplicated += 1
            return AlreadyDone(entry.response)
        if entry is None or entry.attempt == request.attempt:
            return self._take(call, first, request)
        if entry.lease_until > trio.current_time():
            self._deduplicated += 1
            return InFlight(first)
        claimed = self._take(call, first, request)
        if request.effect is Effect.READS:
            return claimed
        self._unknown += 1
        return OutcomeUnknown(first)

    async def finish(self, key: EffectKey, attempt: str, response: Response) -> bool:
        """See ``Ledger``."""
        await trio.lowlevel.checkpoint()
        if (owned := self._owned(key, attempt)) is None:
            return False
        _, entry = owned
        entry.response, entry.done = response, True
        entry.settled.set()
        return True

    async def abandon(self, key: EffectKey, attempt: str, response: Response | None) -> bool:
        """See ``Ledger``."""
        await trio.lowlevel.checkpoint()
        if (owned := self._owned(key, attempt)) is None:
            return False
        call, entry = owned
        del call.entries[key]
        if response is not None:
            call.told |= {call_id: response for call_id, led_to in call.ids.items() if led_to == key}
        entry.response = response
        entry.settled.set()
        return True

    async def wait_settled(self, key: EffectKey) -> Response | None:
        """See ``Ledger``."""
        call = self._calls.get((key.tenant_id, key.call_sid))
        entry = call.entries.get(key) if call else None
        if entry is None:
            await trio.lowlevel.checkpoint()
            return None
        with trio.move_on_after(max(0.0, entry.lease_until - trio.current_time())):
            await entry.settled.wait()
        return entry.response

    async def forget_call(self, tenant_id: str, call_sid: str) -> None:
        """See ``Ledger``."""
        await trio.lowlevel.checkpoint()
        self._calls.pop((tenant_id, call_sid), None)

    def statistics(self) -> LedgerStatistics:
        """A snapshot."""
        entries = [entry for call in self._calls.values() for entry in call.entries.values()]
        in_flight = sum(not entry.done for entry in entries)
        return LedgerStatistics(len(self._calls), in_flight, self._claimed, self._deduplicated, self._unknown)

    def _take(self, call: _Call, key: EffectKey, request: ClaimRequest) -> Claimed:
        before = call.entries.get(key)
        call.entries[key] = _Entry(request.attempt, trio.current_time() + request.lease_s)
        if before is not None:
            before.settled.set()  # whoever still waits for the lost attempt claims anew
        self._claimed += 1
        return Claimed(key)

    def _owned(self, key: EffectKey, attempt: str) -> tuple[_Call, _Entry] | None:
        call = self._calls.get((key.tenant_id, key.call_sid))
        entry = call.entries.get(key) if call else None
        if call is None or entry is None or entry.attempt != attempt or entry.done:
            return None
        return call, entry
