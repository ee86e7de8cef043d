"""Calls that come from other workers, and go to them: claims, take-overs, and what is written behind for the next.

Another worker's call is known here by how it was last kept (``Entry.found``). It becomes ours with a claim, for a
recovery or for a stream; with it comes its record, unless what we have is what was kept. A call of ours that another
worker has claimed is let go of without an end: whoever has it ends it.
"""

import hashlib

import trio

from engine.call.call_ends import CallEnds
from engine.call.elsewhere import CLAIM_S, RECOVERY_S, Elsewhere
from engine.call.entries import Entries, Entry
from engine.call.record import CallRecord
from engine.call.record_state import put_before
from engine.call.switchboard_types import EndState
from engine.call.waiting import Waiting
from engine.call.write_behind import WriteBehind
from engine.errors import LineLost
from engine.log import get_logger
from engine.metrics import Metrics
from engine.store.live_calls import ClaimRefused, LiveCall, LiveCalls, StreamProof

INVITED_S = 35.0  # for the stream of a recovery: its token lives 30 s
CONFIRM_S = 2.0

log = get_logger("call.switchboard")


class Moves:
    """One per process, of its switchboard."""

    def __init__(self, *, live: LiveCalls, worker: str, metrics: Metrics, entries: Entries, ends: CallEnds) -> None:
        self._worker, self._entries, self._ends = worker, entries, ends
        crashed = metrics.crashes.labels("claim").inc
        self._elsewhere = Elsewhere(
            live=live, worker=worker, claimed=self.claimed, refused=self._refused, crashed=crashed
        )
        self.write_behind = WriteBehind(
            live=live, worker=worker, metrics=metrics, moved=self.moved, over=self._over, claimed=self.claimed
        )
        self.waiting = Waiting(
            ends=ends, confirm=lambda entry: self.write_behind.confirm(entry, CONFIRM_S), to_others=live.shared
        )
        self._nursery: trio.Nursery | None = None

    def run_in(self, nursery: trio.Nursery | None) -> None:
        """What is waited for and claimed has its tasks there; None: not any more."""
        self._nursery = self._elsewhere.nursery = nursery

    # --- from others -------------------------------------------------------------------------------------------

    async def look_up(self, call_sid: str, tenant_id: str, *, within_s: float, patient: bool) -> None:
        """Learn how the call stands at other workers, where it may not be ours."""
        entry = self._entries.get(call_sid)
        if entry is not None and entry.line is not None:
            return
        found = await self._elsewhere.find(tenant_id, call_sid, within_s=within_s, patient=patient)
        entry = self._entries.get(call_sid)
        if found is None or found.worker == self._worker:
            return
        if entry is not None and entry.record is not None:
            if entry.line is not None or entry.epoch >= found.epoch:
                return
            self.moved(entry)
        entry = self._entries.ensure(call_sid, tenant_id, found.caller, trio.current_time())
        entry.found, entry.attempts = found, found.attempts

    async def take_over(self, call_sid: str) -> int:
        """Make the call ours, for the stream that a recovery is about to invite; returns which one it is, from 1."""
        entry = self._entries.get(call_sid)
        if entry is None:
            return 1
        attempt = entry.attempts + 1
        answer = await self._elsewhere.claim(entry, None, within_s=RECOVERY_S)
        if answer is None and entry.found is not None and entry.line is None:
            self._take_in(entry, entry.found)  # the best that is known
        entry.found = None
        entry.attempts = max(entry.attempts, attempt)
        if entry.record is not None and entry.line is None and not entry.wrapped_up and self._nursery is not None:
            self.waiting.start(self._nursery, entry, INVITED_S)
        return entry.attempts

    async def claim_line(self, entry: Entry, token: str, attempt: int) -> ClaimRefused | None:
        """Claim the call for its stream; None where it may be served, be it for now without a claim."""
        entry.proof = StreamProof(hashlib.sha256(token.encode()).hexdigest()[:32], attempt)
        answer = await self._elsewhere.claim(entry, entry.proof, within_s=CLAIM_S)
        if isinstance(answer, ClaimRefused):
            return answer
        if answer is None:
            # What we have may be out of date: nothing is written under it, until a claim has been answered.
            entry.epoch = 0
            if entry.record is None and entry.found is not None:
                self._take_in(entry, entry.found)
        entry.found = None
        return None

    def claimed(self, entry: Entry, live: LiveCall) -> None:
        """The store's answer, whenever it comes."""
        if live.epoch <= entry.epoch or entry.moved:
            return
        entry.epoch = live.epoch
        entry.caller = entry.caller or live.caller
        entry.attempts = max(entry.attempts, live.attempts)
        if entry.record is None or (live.snapshot is not None and live.snapshot.get("by") != self._worker):
            self._take_in(entry, live)
        self.write_behind.follow(entry)

    def _take_in(self, entry: Entry, live: LiveCall) -> None:
        earlier = self._ends.restored(live)
        if earlier is None:
            return
        if entry.record is None or entry.line is None:
            entry.record = earlier
        elif not entry.has_earlier:
            put_before(entry.record, earlier)
        entry.has_earlier = True

    # --- to others ---------------------------------------------------------------------------------------------

    def moved(self, entry: Entry) -> None:
        """Another worker has it: its line here ends, and nothing else."""
        log.warning("a call is served by another worker now", call_sid=entry.call_sid)
        entry.moved = True
        self.write_behind.let_go(entry)
        self.waiting.is_back(entry.call_sid)
        self._entries.forget(entry)
        if entry.over:
            self.write_behind.mark_over(entry.tenant_id, entry.call_sid)
        if entry.line is not None:
            entry.line.end(LineLost("moved", "another worker serves the call"))

    def _refused(self, entry: Entry, refused: ClaimRefused) -> None:
        if entry.line is not None and not entry.epoch:
            log.warning("a stream was served that is another worker's", call_sid=entry.call_sid, why=str(refused))
            self.moved(entry)

    def _over(self, entry: Entry) -> None:
        """Another worker was told by the carrier."""
        entry.over = True
        if entry.line is not None:
            entry.line.end(LineLost("hang_up", "call status at another worker"))
        else:
            self.waiting.is_over(entry.call_sid)

    # --- left by others ----------------------------------------------------------------------------------------

    def end_left(self, live: LiveCall) -> None:
        """A call that its worker left, and that is ours now: it is over."""
        entry = self._entries.ensure(live.call_sid, live.tenant_id, live.caller, trio.current_time())
        if entry.stands() is EndState.LIVE or (entry.epoch and entry.record is not None):
            entry.epoch = live.epoch  # our own, of which no sign has come through for so long
            return
        record = self._ends.restored(live) or CallRecord(
            call_sid=live.call_sid, tenant_id=live.tenant_id, caller=live.caller, started_at=trio.current_time()
        )
        entry.record, entry.found, entry.epoch, entry.attempts = record, None, live.epoch, live.attempts
        self.write_behind.follow(entry)
        self._ends.end_as_left(entry, record)
