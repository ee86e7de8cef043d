"""All calls of one worker: who may come in, who is on the line, how each ended, and drain.

The switchboard owns what must outlive one media stream of a call: its record (transcript, handle, outcome) stays for a
while after the line is gone, so that a recovery request finds the call where it stood. Every call is also written
behind to the live store, where other workers, and the next process, find it (``moves``): whoever is asked for a call
that it does not know takes it over from there, and whoever had it before learns that it has moved.

A call is ended by the worker that it belongs to. Where the store is shared, a worker that goes ends none of the calls
that may come back: another one serves them, or ends them when nobody asks for them any more (``sweep``).
"""

from collections.abc import Callable
from uuid import uuid4

import trio

from engine.call.admission import Admissions, Load
from engine.call.call_ends import CallEnds
from engine.call.entries import Entries, Entry
from engine.call.moves import Moves
from engine.call.outcome import Outcome, Reason
from engine.call.record import CallRecord
from engine.call.services import Services
from engine.call.supervisor import run_call
from engine.call.sweep import run_sweep
from engine.call.switchboard_types import (
    Admission,
    CallSnapshot,
    EndState,
    SwitchboardStatistics,
)
from engine.errors import LineLost
from engine.log import bind_call, get_logger
from engine.store.interface import CallEnd
from engine.store.live_calls import ClaimRefused, LiveCalls, MemoryLiveCalls
from engine.telephony.line import MediaLine
from engine.tenants.tenant import Tenant
from engine.wire.stream_token import StreamClaims
from engine.wire.twilio_media import Start

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
FLUSH_S = 1.0
SNAPSHOTS = 500

log = get_logger("call.switchboard")


class Switchboard:
    """See the module. One per process; methods that are not ``async`` return at once.

    Args:
        live_calls: where other workers find calls; None: nowhere but in this switchboard.
        worker: how this worker is called in what is kept; made unique for this process.
        admissions: judges new calls; None: by ``max_calls`` and the tenants' quotas alone.
        load: how the worker does, asked whenever a call is judged.
    """

    def __init__(
        self,
        *,
        services: Services,
        ends: trio.MemorySendChannel[CallEnd],
        max_calls: int,
        wall_clock: Callable[[], str],
        live_calls: LiveCalls | None = None,
        worker: str = "worker",
        admissions: Admissions | None = None,
        load: Callable[[], Load] = Load,
    ) -> None:
        self._services = services
        self._max_calls = max_calls
        self._live: dict[str, Entry] = {}
        self._admissions = admissions or Admissions(max_calls=max_calls)
        self._load = load
        self._draining = False
        self._nursery: trio.Nursery | None = None
        self._store = live_calls or MemoryLiveCalls()
        self._worker = f"{worker}-{uuid4().hex[:12]}"
        self._entries = Entries(
            is_held=lambda sid: sid in self._live or sid in self._waiting, on_line=lambda: len(self._live)
        )
        self._call_ends = CallEnds(services=services, ends=ends, wall_clock=wall_clock)
        self._moves = Moves(
            live=self._store,
            worker=self._worker,
            metrics=services.metrics,
            entries=self._entries,
            ends=self._call_ends,
        )
        self._waiting = self._moves.waiting

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Wait for the recovery of broken calls, until cancelled; then wrap up those that are ours alone to end."""
        try:
            async with trio.open_nursery() as nursery:
                self._run_in(nursery)
                if self._store.shared:
                    nursery.start_soon(self._sweep)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._run_in(None)

    async def write_behind(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write how each call stands for other workers to find, until cancelled."""
        await self._moves.write_behind.run(task_status=task_status)

    # --- the door ----------------------------------------------------------------------------------------------

    def ring(self, call_sid: str, tenant_id: str, caller: str, called: str) -> None:
        """The carrier says that a call is coming."""
        del called  # the tenant has been found by it
        self._entries.ensure(call_sid, tenant_id, caller, trio.current_time())

    def admission(self, tenant: Tenant, *, call_sid: str = "", recovery: bool = False) -> Admission:
        """May one more call of this tenant be taken now? One that is named, and may, has its place from here on."""
        now, wall = trio.current_time(), self._services.wall_clock()
        found = self._admissions.judge(tenant, now, wall, self._load(), call_sid=call_sid, recovery=recovery)
        if found is Admission.ADMITTED and call_sid:
            self._admissions.expect(call_sid, tenant, now, recovery=recovery)
        return found

    async def claim_line(self, start: Start, claims: StreamClaims) -> ClaimRefused | None:
        """Make the call ours for this stream, before it is served; None where it may be. Takes 0.3 s at most."""
        parameters = start.custom_parameters
        caller = parameters.get("caller", "")
        entry = self._entries.ensure(start.call_sid, claims.tenant_id, caller, trio.current_time())
        return await self._moves.claim_line(entry, parameters.get("token", ""), claims.attempt)

    async def take_line(self, line: MediaLine, start: Start, tenant: Tenant, claims: StreamClaims) -> None:
        """Serve this line to its end. Returns when nothing of the call is left; never raises for the call's sake."""
        now = trio.current_time()
        entry = self._entries.ensure(start.call_sid, tenant.id, "", now)
        if entry.record is None:
            entry.record = CallRecord(
                call_sid=start.call_sid,
                tenant_id=tenant.id,
                caller=entry.caller,
                started_at=now,
                observe=self._services.observe,
            )
        record = entry.record
        record.outcome = None
        record.note(now, "line", attempt=claims.attempt)
        bind_call(call_sid=start.call_sid, tenant_id=tenant.id)
        self._enter(entry, line, tenant)
        try:
            outcome = await run_call(line=line, tenant=tenant, record=record, services=self._services)
        finally:
            # None where it was cancelled: the process ends while the call is on. The carrier will ask for recovery.
            record.outcome = record.outcome or Outcome.of(Reason.DRAINED)
            self._leave(entry)
            self._end_leg(entry, record)
        log.info("call ended", outcome=outcome.outcome, reason=outcome.reason, detail=outcome.detail)
        if entry.left:
            # Before the websocket closes: whoever is asked for the call in the next instant is to find all of it.
            await self.flush()

    def carrier_says_ended(self, call_sid: str, why: str, *, tenant_id: str = "") -> None:
        """The carrier told us by another way than the line: see ``server/ports.py`` for what ``why`` may be.

        A *call status* means that the call is over (``completed`` without our asking is a caller who hung up, and the
        stream's own stop may come after it); everything else is about the line alone, and the call may come back.
        """
        is_over = why.startswith("call status")
        if is_over:
            self._admissions.gone(call_sid)
        entry = self._live.get(call_sid)
        if entry is not None and entry.line is not None:
            reason = "broken" if not is_over else "hang_up" if why.endswith("completed") else "carrier"
            entry.over = entry.over or is_over
            entry.line.end(LineLost(reason, why))
        elif is_over and call_sid in self._waiting:
            if (waited := self._entries.get(call_sid)) is not None:
                waited.over = True
            self._waiting.is_over(call_sid)
        elif is_over and tenant_id:
            self._moves.write_behind.mark_over(tenant_id, call_sid)

    # --- recovery ----------------------------------------------------------------------------------------------

    async def look_up(self, call_sid: str, tenant_id: str, *, within_s: float, patient: bool = True) -> None:
        """Learn how a call stands that another worker may serve, or have served, for ``end_reason`` to say."""
        await self._moves.look_up(call_sid, tenant_id, within_s=within_s, patient=patient)

    def end_reason(self, call_sid: str) -> EndState:
        """How that call stands, as far as it is known here."""
        if call_sid in self._live:
            return self._live[call_sid].stands()
        entry = self._entries.get(call_sid)
        return entry.stands() if entry is not None else EndState.UNKNOWN

    async def take_over(self, call_sid: str) -> int:
        """Make a call ours whose stream is to be invited anew; returns which recovery of it this is, from 1."""
        return await self._moves.take_over(call_sid)

    # --- drain and health --------------------------------------------------------------------------------------

    def begin_drain(self) -> None:
        """Take no new calls from now on."""
        self._draining = True
        self._admissions.begin_drain()

    def move_all(self) -> None:
        """End every line so that the carrier asks for a recovery; what was decided to end or go through, does."""
        for entry in list(self._live.values()):
            if entry.line is not None and entry.outcome is None:
                entry.line.end(LineLost("moved", "this worker goes"))

    async def flush(self) -> None:
        """Write how all calls stand, now; gives up after a second."""
        await self._moves.write_behind.flush(FLUSH_S)

    def end_is_kept(self, call_sid: str) -> None:
        """The end of that call is in the store."""
        self._moves.write_behind.finish(call_sid)
        self._entries.end_is_kept(call_sid)

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

    def _run_in(self, nursery: trio.Nursery | None) -> None:
        self._nursery = self._call_ends.nursery = nursery
        self._moves.run_in(nursery)

    async def _sweep(self) -> None:
        crashed = self._services.metrics.crashes.labels("sweep").inc
        await run_sweep(live=self._store, worker=self._worker, end=self._moves.end_left, crashed=crashed)

    def _enter(self, entry: Entry, line: MediaLine, tenant: Tenant) -> None:
        entry.line, entry.found, entry.left = line, None, False
        self._live[entry.call_sid] = entry
        self._admissions.entered(entry.call_sid, tenant, trio.current_time())
        self._services.metrics.calls_now.set(len(self._live))
        self._waiting.is_back(entry.call_sid)
        self._moves.write_behind.follow(entry)

    def _leave(self, entry: Entry) -> None:
        entry.line = None
        entry.seen_at = trio.current_time()
        if entry.record is not None:
            entry.record.duration_s = entry.seen_at - entry.record.started_at
            entry.record.probe = None  # the record is remembered for a while; who worked for it need not be
        if self._live.get(entry.call_sid) is entry:
            del self._live[entry.call_sid]
        self._entries.seen(entry)
        self._admissions.left(entry.call_sid, entry.seen_at, self._services.wall_clock())
        self._services.metrics.calls_now.set(len(self._live))

    def _end_leg(self, entry: Entry, record: CallRecord) -> None:
        """A line is gone. Its call is over too, unless it has moved, or the carrier may bring the caller back."""
        assert record.outcome is not None, "a line that was served has an outcome"
        reason = record.outcome.reason
        patience_s = None if entry.over else MAY_COME_BACK_S.get(reason)
        if entry.moved:
            return
        may_come_back = patience_s is not None or (reason is Reason.DRAINED and not entry.over)
        if self._store.shared and entry.epoch and may_come_back and (reason is Reason.DRAINED or self._nursery is None):
            entry.left = True
        elif patience_s is not None and self._nursery is not None:
            # Known from this instant on: whoever comes back, or says that the call is over, may do so in the next.
            self._waiting.start(self._nursery, entry, patience_s)
        else:
            self._call_ends.wrap_up(entry, record)
