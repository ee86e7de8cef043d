"""Exactly one end per call leaves here: to the keeper of ends, with everything that the call leaves behind."""

import itertools
from collections.abc import Callable

import trio

from engine.call.entries import Entry
from engine.call.outcome import Outcome, OutcomeClass, Reason
from engine.call.record import CallRecord
from engine.call.record_state import restore
from engine.call.services import Services
from engine.call.wrap_up import offer_end
from engine.errors import RemoteError
from engine.log import get_logger
from engine.store.interface import CallEnd, Message
from engine.store.live_calls import LiveCall

FORGET_PAUSES_S = (1.0, 5.0, 15.0, 60.0)
LEFT = "its worker was lost, and nobody brought the call back"

log = get_logger("call.switchboard")


class CallEnds:
    """One per process. ``nursery`` is None as long as, and as soon as, the switchboard does not run."""

    def __init__(
        self, *, services: Services, ends: trio.MemorySendChannel[CallEnd], wall_clock: Callable[[], str]
    ) -> None:
        self._services, self._ends, self._wall_clock = services, ends, wall_clock
        self.nursery: trio.Nursery | None = None

    def wrap_up(self, entry: Entry, record: CallRecord) -> None:
        """The call is over: hand on its end. A second time is logged, and changes nothing."""
        outcome = record.outcome
        assert outcome is not None, "a call that is over has an outcome"
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
        if self.nursery is not None:
            self.nursery.start_soon(self._forget_effects, record.tenant_id, record.call_sid)
        document = record.document() | {"ended_at": left_at}
        end = CallEnd(record.tenant_id, record.call_sid, outcome.outcome, outcome.reason, document, messages)
        offer_end(self._ends, end, self._services.metrics)

    def restored(self, live: LiveCall) -> CallRecord | None:
        """The record that another worker kept; None where there is none that can be read."""
        if live.snapshot is None:
            return None
        try:
            return restore(
                live.snapshot,
                live.messages,
                call_sid=live.call_sid,
                tenant_id=live.tenant_id,
                now=trio.current_time(),
                saved_ago_s=live.saved_ago_s,
                observe=self._services.observe,
            )
        except ValueError as error:
            log.error("what another worker kept of a call cannot be read", call_sid=live.call_sid, detail=str(error))
            return None

    def end_as_left(self, entry: Entry, record: CallRecord) -> None:
        """Nobody serves the call any more, and nobody will: it ends as its last worker left it."""
        if record.outcome is None or record.outcome.reason is Reason.DRAINED:
            record.outcome = Outcome(OutcomeClass.INDETERMINATE, Reason.LINE_BROKEN, LEFT)
        self.wrap_up(entry, record)

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
