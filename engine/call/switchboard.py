"""All calls of one worker: who may come in, who is on the line, how each ended, and drain.

The switchboard owns what must outlive one media stream of a call: its record (transcript, handle, outcome) stays for a
while after the line is gone, so that a recovery request finds the call where it stood. Everything here is one process's
memory; ``/twilio/recover`` on another worker starts afresh (until live state is written behind).
"""

import itertools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import trio

from engine.call.outcome import ON_PURPOSE, Outcome, Reason
from engine.call.record import CallRecord
from engine.call.services import Services
from engine.call.supervisor import run_call
from engine.call.switchboard_types import (
    Admission,
    CallSnapshot,
    EndState,
    SwitchboardStatistics,
)
from engine.call.wrap_up import offer_end
from engine.errors import LineLost, RemoteError
from engine.log import bind_call, get_logger
from engine.store.interface import CallEnd, Message
from engine.telephony.line import MediaLine
from engine.tenants.tenant import Tenant
from engine.wire.stream_token import StreamClaims
from engine.wire.twilio_media import Start

REMEMBERED_CALLS = 5_000  # ended or ringing calls kept for recovery; the oldest is forgotten first
REMEMBERED_S = 900.0
MAY_COME_BACK_S = {
    # From a broken line to the carrier's next stream 0.9 s were measured, and recovery backs off; then it is over.
    Reason.LINE_BROKEN: 20.0,
    # Half-open: the carrier itself notices within two minutes, and only then asks for a new stream.
    Reason.LINE_SILENT: 120.0,
    Reason.BAD_MEDIA: 20.0,
    Reason.CRASHED: 20.0,
    # A stop is also what a stream gets whose document was replaced by a repeated webhook's: it is back in 3 s.
    Reason.CALLER_HUNG_UP: 6.0,
}
SNAPSHOTS = 500
FORGET_PAUSES_S = (1.0, 5.0, 15.0, 60.0)

log = get_logger("call.switchboard")


@dataclass(slots=True)
class Entry:
    """One call as the switchboard knows it."""

    call_sid: str
    tenant_id: str
    caller: str
    seen_at: float  # when it rang, or was last on the line
    record: CallRecord | None = None
    line: MediaLine | None = None
    attempts: int = 0
    over: bool = False  # the carrier said so itself
    wrapped_up: bool = False  # its end was handed on


class Switchboard:
    """See the module. One per process; all methods are plain calls but ``run`` and ``take_line``."""

    def __init__(
        self,
        *,
        services: Services,
        ends: trio.MemorySendChannel[CallEnd],
        max_calls: int,
        wall_clock: Callable[[], str],
    ) -> None:
        self._services = services
        self._ends = ends
        self._max_calls = max_calls
        self._wall_clock = wall_clock
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._live: dict[str, Entry] = {}
        self._by_tenant: dict[str, int] = {}
        self._draining = False
        self._broken: dict[str, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Wait for the recovery of broken calls, until cancelled; then wrap up those that were not recovered."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None

    # --- the door ----------------------------------------------------------------------------------------------

    def ring(self, call_sid: str, tenant_id: str, caller: str, called: str) -> None:
        """The carrier says that a call is coming."""
        del called  # the tenant has been found by it
        if call_sid not in self._entries:
            self._remember(Entry(call_sid, tenant_id, caller, trio.current_time()))

    def admission(self, tenant: Tenant) -> Admission:
        """May one more call of this tenant be taken now?"""
        if self._draining:
            return Admission.DRAINING
        if len(self._live) >= self._max_calls:
            return Admission.FULL
        if self._by_tenant.get(tenant.id, 0) >= tenant.quotas.concurrent_calls:
            return Admission.TENANT_FULL
        return Admission.ADMITTED

    async def take_line(self, line: MediaLine, start: Start, tenant: Tenant, claims: StreamClaims) -> None:
        """Serve this line to its end. Returns when nothing of the call is left; never raises for the call's sake."""
        now = trio.current_time()
        call_sid = start.call_sid
        if call_sid not in self._entries:
            self._remember(Entry(call_sid, tenant.id, "", now))
        entry = self._entries[call_sid]
        if entry.record is None:
            entry.record = CallRecord(
                call_sid=call_sid,
                tenant_id=tenant.id,
                caller=entry.caller,
                started_at=now,
                observe=self._services.observe,
            )
        record = entry.record
        record.outcome = None
        record.note(now, "line", attempt=claims.attempt)
        bind_call(call_sid=call_sid, tenant_id=tenant.id)
        self._enter(entry, line)
        try:
            outcome = await run_call(line=line, tenant=tenant, record=record, services=self._services)
        finally:
            # None where it was cancelled: the process ends while the call is on. The carrier will ask for recovery.
            record.outcome = record.outcome or Outcome.of(Reason.DRAINED)
            self._leave(entry)
            self._end_leg(entry, record)
        log.info("call ended", outcome=outcome.outcome, reason=outcome.reason, detail=outcome.detail)

    def carrier_says_ended(self, call_sid: str, why: str) -> None:
        """The carrier told us by another way than the line: see ``server/ports.py`` for what ``why`` may be.

        A *call status* means that the call is over (``completed`` without our asking is a caller who hung up, and the
        stream's own stop may come after it); everything else is about the line alone, and the call may come back.
        """
        is_over = why.startswith("call status")
        entry = self._live.get(call_sid)
        if entry is not None and entry.line is not None:
            reason = "broken" if not is_over else "hang_up" if why.endswith("completed") else "carrier"
            entry.over = entry.over or is_over
            entry.line.end(LineLost(reason, why))
        elif is_over and (waiting := self._broken.get(call_sid)) is not None:
            waiting.cancel()

    # --- recovery ----------------------------------------------------------------------------------------------

    def end_reason(self, call_sid: str) -> EndState:
        """How that call stands."""
        entry = self._entries.get(call_sid)
        if entry is None or entry.record is None:
            return EndState.UNKNOWN
        outcome = entry.record.outcome
        if outcome is not None and outcome.reason is Reason.TRANSFERRED:
            return EndState.TRANSFERRING
        if outcome is not None and outcome.reason in ON_PURPOSE:
            return EndState.ENDED
        return EndState.LIVE if call_sid in self._live else EndState.LOST

    def note_attempt(self, call_sid: str) -> int:
        """Count a recovery of that call; returns which one it is, from 1."""
        entry = self._entries.get(call_sid)
        if entry is None:
            return 1
        entry.attempts += 1
        return entry.attempts

    # --- drain and health --------------------------------------------------------------------------------------

    def begin_drain(self) -> None:
        """Take no new calls from now on."""
        self._draining = True

    def statistics(self) -> SwitchboardStatistics:
        """A snapshot, of at most 500 calls."""
        now = trio.current_time()
        calls = [
            CallSnapshot(
                call_sid=entry.call_sid,
                tenant_id=entry.tenant_id,
                floor=str(entry.record.floor),
                age_s=round(now - entry.record.started_at, 1),
                attempt=entry.attempts,
                queues=entry.record.probe.queues if entry.record.probe else (),
                actors=entry.record.probe.actors if entry.record.probe else (),
            )
            for entry in list(self._live.values())[:SNAPSHOTS]
            if entry.record is not None
        ]
        return SwitchboardStatistics(len(self._live), self._max_calls, self._draining, tuple(calls))

    # --- inside ------------------------------------------------------------------------------------------------

    def _enter(self, entry: Entry, line: MediaLine) -> None:
        entry.line = line
        self._live[entry.call_sid] = entry
        self._by_tenant[entry.tenant_id] = self._by_tenant.get(entry.tenant_id, 0) + 1
        self._services.metrics.calls_now.set(len(self._live))
        if (waiting := self._broken.pop(entry.call_sid, None)) is not None:
            waiting.cancel()  # recovered: the end that waited for this is not the call's end

    def _leave(self, entry: Entry) -> None:
        entry.line = None
        entry.seen_at = trio.current_time()
        if entry.record is not None:
            entry.record.duration_s = entry.seen_at - entry.record.started_at
        self._live.pop(entry.call_sid, None)
        self._entries.move_to_end(entry.call_sid)
        self._by_tenant[entry.tenant_id] -= 1
        if not self._by_tenant[entry.tenant_id]:
            del self._by_tenant[entry.tenant_id]
        self._services.metrics.calls_now.set(len(self._live))

    def _end_leg(self, entry: Entry, record: CallRecord) -> None:
        """A line is gone. Its call is over too, unless the line broke and the carrier may bring the caller back."""
        assert record.outcome is not None, "a line that was served has an outcome"
        patience_s = MAY_COME_BACK_S.get(record.outcome.reason)
        if patience_s is not None and not entry.over and self._nursery is not None:
            # Known from this instant on: whoever comes back, or says that the call is over, may do so in the next.
            scope = self._broken[entry.call_sid] = trio.CancelScope()
            name = f"recovery of {entry.call_sid}"
            self._nursery.start_soon(self._await_recovery, entry, record, scope, patience_s, name=name)
        else:
            self._wrap_up(entry, record)

    async def _await_recovery(
        self, entry: Entry, record: CallRecord, scope: trio.CancelScope, patience_s: float
    ) -> None:
        try:
            with scope:
                await trio.sleep(patience_s)
        finally:
            if self._broken.get(entry.call_sid) is scope:
                del self._broken[entry.call_sid]
                self._wrap_up(entry, record)

    def _wrap_up(self, entry: Entry, record: CallRecord) -> None:
        """The call is over: exactly one end per call leaves here."""
        outcome = record.outcome
        assert outcome is not None
        if entry.wrapped_up:
            # It came back later than anybody waits for; its end was told, and what it said since cannot be added.
            log.warning("a call ended once more after its end was kept", call_sid=entry.call_sid)
            return
        entry.wrapped_up = True
        record.note(trio.current_time(), "ended", outcome.detail, outcome=outcome.outcome, reason=outcome.reason)
        self._services.metrics.calls.labels(outcome.outcome, outcome.reason).inc()
        left_at = self._wall_clock()
        messages = tuple(
            Message(record.tenant_id, record.call_sid, record.caller, mulaw, left_at) for mulaw in record.messages
        )
        if self._nursery is not None:
            self._nursery.start_soon(self._forget_effects, record.tenant_id, record.call_sid)
        document = record.document() | {"ended_at": left_at}
        end = CallEnd(record.tenant_id, record.call_sid, outcome.outcome, outcome.reason, document, messages)
        offer_end(self._ends, end, self._services.metrics)

    async def _forget_effects(self, tenant_id: str, call_sid: str) -> None:
        """Nobody asks for this call's effects again; where the ledger is away, that can wait."""
        for pause_s in itertools.chain(FORGET_PAUSES_S, itertools.repeat(FORGET_PAUSES_S[-1])):
            try:
                await self._services.ledger.forget_call(tenant_id, call_sid)
            except (RemoteError, OSError) as error:
                log.warning("a call's effects could not be forgotten yet", call_sid=call_sid, detail=str(error))
                await trio.sleep(pause_s)
            except Exception:
                # In the nursery that all calls share: a ledger's bug over a call that has ended must end no other.
                self._services.metrics.crashes.labels("forget_effects").inc()
                log.exception("a call's effects could not be forgotten", call_sid=call_sid)
                return
            else:
                return

    def _remember(self, entry: Entry) -> None:
        """Keep it as the newest, and forget the oldest: too many, or too old. Those on the line do not count."""
        self._entries[entry.call_sid] = entry
        oldest = trio.current_time() - REMEMBERED_S
        while (first := next(iter(self._entries.values()))) is not entry:
            if first.call_sid in self._live or first.call_sid in self._broken:
                self._entries.move_to_end(first.call_sid)
            elif len(self._entries) - len(self._live) > REMEMBERED_CALLS or first.seen_at <= oldest:
                del self._entries[first.call_sid]
            else:
                break
