"""The process-lived actor that writes behind how each call stands, so that another worker can go on with it.

It looks instead of being told: a call's record is set in many places, and whoever forgot to tell would cost a turn.
Twice a second the mark of each call's record (``record_state.mark``) is compared with the one last written; what
differs is written, all of it in one batch and one round trip. A call that says nothing new gives a sign of life now
and then, and is asked about once a second: another worker may have taken it over, or heard from the carrier that it is
over. Nothing of this is waited for by a call: a store that is slow or away costs rounds, which are counted, and what
was not written is written later, as it stands then.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import orjson
import trio

from engine.call.entries import Entry
from engine.call.record_state import Mark, mark, snapshot
from engine.errors import RemoteError
from engine.log import get_logger
from engine.metrics import Metrics
from engine.store.live_calls import CallKey, KeptCall, LiveCall, LiveCalls, Standing

PACE_S = 0.5
ASK_S = 1.0
ALIVE_S = 20.0  # between signs of life; well below the time after which a call counts as left by its worker
ROUND_S = 5.0  # a round that takes longer is given up, and tried anew
PAUSES_S = (0.5, 1.0, 2.0, 4.0)  # after a round that failed; a store that is away is not hammered
AT_ONCE = 100  # calls written in one round; the others have the next
TOGETHER = 5  # snapshots between two breaths of the loop: one of a long call takes a fraction of a millisecond
OVERS_KEPT = 10_000
KEPT_AT_LAST_S = 900.0

log = get_logger("call.write_behind")


@dataclass(slots=True, eq=False)
class _Own:
    """A call of this worker. ``finished``: its end has been kept, and no more than that is to be written."""

    entry: Entry
    alive_at: float
    written: Mark | None = None
    messages: int = 0
    asked_at: float = -math.inf
    finished: bool = False
    unfit: bool = False

    @property
    def key(self) -> CallKey:
        return self.entry.tenant_id, self.entry.call_sid

    @property
    def is_over(self) -> bool:
        """Nothing new can come of it."""
        return self.entry.wrapped_up or self.entry.left

    def state(self) -> Mark | None:
        """Of all that is written; None where there is nothing to write, or nothing that it could be written under."""
        if self.entry.record is None or not self.entry.epoch:
            return None
        return (*mark(self.entry.record), self.entry.attempts, self.entry.live_state())

    @property
    def is_done(self) -> bool:
        """Only its ``finish`` is still to come, or nothing at all."""
        return self.is_over and not self.finished and (self.unfit or self.state() in (None, self.written))


class WriteBehind:
    """One per process. Plain calls but ``run``, ``flush`` and ``confirm``.

    Args:
        moved: another worker has taken this call over.
        over: the carrier has told another worker that this call is over.
        claimed: a call that had to be served without a claim has one now; this is what was kept of it.
    """

    def __init__(
        self,
        *,
        live: LiveCalls,
        worker: str,
        metrics: Metrics,
        moved: Callable[[Entry], None],
        over: Callable[[Entry], None],
        claimed: Callable[[Entry, LiveCall], None],
    ) -> None:
        self._live, self._worker, self._metrics = live, worker, metrics
        self._moved, self._over, self._claimed = moved, over, claimed
        self._own: dict[str, _Own] = {}
        self._overs: dict[CallKey, None] = {}
        self._wake = trio.Event()
        self._one_round = trio.Lock()
        self._failed = 0

    # --- what is to be written ---------------------------------------------------------------------------------

    def follow(self, entry: Entry) -> None:
        """Write this call behind from now on: it is this worker's."""
        known = self._own.get(entry.call_sid)
        if known is None or known.entry is not entry:
            self._own[entry.call_sid] = _Own(entry, alive_at=trio.current_time() - ALIVE_S)
        self._wake.set()

    def let_go(self, entry: Entry) -> None:
        """It is not this worker's any more."""
        known = self._own.get(entry.call_sid)
        if known is not None and known.entry is entry:
            del self._own[entry.call_sid]

    def finish(self, call_sid: str) -> None:
        """The call's end has been kept: nothing that was said in it need stay here."""
        own = self._own.get(call_sid)
        if own is not None and own.state() is None:
            self.let_go(own.entry)
        elif own is not None:
            own.finished = True
            self._wake.set()

    def mark_over(self, tenant_id: str, call_sid: str) -> None:
        """Tell whoever serves that call that it is over."""
        if len(self._overs) < OVERS_KEPT:
            self._overs[tenant_id, call_sid] = None
            self._wake.set()

    # --- when --------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. Sleeps where there is nothing to write or to ask."""
        task_status.started()
        while True:
            if not self._overs and all(own.is_done for own in self._own.values()):
                self._wake = trio.Event()
                await self._wake.wait()
            began = trio.current_time()
            await self._round(ROUND_S)
            pause_s = PAUSES_S[min(self._failed, len(PAUSES_S)) - 1] if self._failed else PACE_S
            await trio.sleep_until(began + pause_s)

    async def flush(self, within_s: float = 1.0) -> bool:
        """Write all that is new, now; False where it could not be done in this time."""
        return await self._round(within_s, everything=True)

    async def confirm(self, entry: Entry, within_s: float) -> None:
        """Make as sure as can be within this time that the call is still this worker's: else ``moved`` was called."""
        if (own := self._own.get(entry.call_sid)) is not None:
            own.asked_at = -math.inf
            await self._round(within_s)

    async def _round(self, within_s: float, *, everything: bool = False) -> bool:
        done = False
        with trio.move_on_after(within_s):
            async with self._one_round:
                try:
                    done = await self._write(everything=everything)
                except (RemoteError, OSError) as error:
                    log.warning("live calls could not be written", calls=len(self._own), detail=str(error))
                except Exception:
                    # A bug in what is written behind must not end the calls that it is written for.
                    self._metrics.crashes.labels("write_behind").inc()
                    log.exception("live calls could not be written")
        self._metrics.live_state.labels("round" if done else "skipped").inc()
        self._failed = 0 if done else self._failed + 1
        return done

    async def _write(self, *, everything: bool) -> bool:
        for key in list(self._overs):
            await self._live.mark_over(*key)
            self._overs.pop(key, None)
        await self._claim_missing()
        while True:
            now = trio.current_time()
            batch = await self._due(now, AT_ONCE)
            ask = [own.key for own in self._own.values() if self._is_to_be_asked(own, now)]
            if not batch and not ask:
                return True
            standings = await self._live.keep_many([one for _, one, _ in batch], ask)
            for own, one, state in batch:
                self._was_written(own, one, state, now)
            for standing in standings:
                self._judge(standing, now)
            if not everything or len(batch) < AT_ONCE:
                return True

    async def _claim_missing(self) -> None:
        """Calls that had to be served before the store answered: the same claim again is the same claim."""
        for own in list(self._own.values()):
            if own.entry.epoch or own.entry.proof is None or own.entry.line is None:
                continue
            found = await self._live.claim(*own.key, self._worker, stream=own.entry.proof, caller=own.entry.caller)
            if isinstance(found, LiveCall):
                self._claimed(own.entry, found)
            else:
                self._fenced(own)

    # --- what --------------------------------------------------------------------------------------------------

    async def _due(self, now: float, most: int) -> list[tuple[_Own, KeptCall, Mark]]:
        batch: list[tuple[_Own, KeptCall, Mark]] = []
        snapshots = 0
        for own in list(self._own.values()):
            if len(batch) >= most:
                break
            if own.is_over and now - own.alive_at > KEPT_AT_LAST_S:
                self.let_go(own.entry)  # its end could not be kept: left to whoever sweeps
                continue
            if (state := own.state()) is None:
                continue
            is_new = state != own.written and not own.unfit
            if is_new and not own.finished:
                snapshots += 1
                if snapshots % TOGETHER == 0:
                    await trio.lowlevel.checkpoint()
            if is_new or own.finished or (now - own.alive_at >= ALIVE_S and not own.is_over):
                batch.append((own, self._kept(own, now, with_snapshot=is_new and not own.finished), state))
        return batch

    def _kept(self, own: _Own, now: float, *, with_snapshot: bool) -> KeptCall:
        entry, record = own.entry, own.entry.record
        assert record is not None, "only what has a record is written"
        written: str | None = None
        if with_snapshot:
            try:
                written = orjson.dumps(snapshot(record, now) | {"by": self._worker}).decode()
            except TypeError as error:
                # Something in it is not fit for JSON: it stays so, and everything else of all calls is still written.
                own.unfit = True
                self._metrics.crashes.labels("write_behind").inc()
                log.error("a call's state cannot be written", call_sid=entry.call_sid, detail=str(error))
        fresh = with_snapshot and len(record.messages) != own.messages
        return KeptCall(
            *own.key,
            worker=self._worker,
            epoch=entry.epoch,
            attempts=entry.attempts,
            state=entry.live_state(),
            reason=str(record.outcome.reason) if record.outcome else "",
            caller=entry.caller,
            snapshot=written,
            messages=tuple(record.messages) if fresh else None,
            finished=own.finished,
        )

    def _was_written(self, own: _Own, one: KeptCall, state: Mark, now: float) -> None:
        if one.epoch != own.entry.epoch:
            return  # claimed anew while it was on its way: it was refused, and is written again
        own.alive_at = now
        if one.messages is not None:
            own.messages = len(one.messages)
        if one.snapshot is not None:
            own.written = state
        if one.finished:
            self.let_go(own.entry)

    def _is_to_be_asked(self, own: _Own, now: float) -> bool:
        return bool(own.entry.epoch) and not own.is_over and now - own.asked_at >= ASK_S

    def _judge(self, standing: Standing, now: float) -> None:
        own = self._own.get(standing.call_sid)
        if own is None or not own.entry.epoch:
            return
        own.asked_at = now
        if standing.worker != self._worker and standing.epoch > own.entry.epoch:
            # Not where it is older than our own claim made meanwhile, nor where our claim's answer is on its way.
            self._fenced(own)
        elif standing.carrier_over and not own.entry.over and not own.is_over:
            self._over(own.entry)

    def _fenced(self, own: _Own) -> None:
        self._metrics.live_state.labels("moved").inc()
        self.let_go(own.entry)
        if not own.is_over:
            self._moved(own.entry)
