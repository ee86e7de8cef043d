"""The process-lived actor that keeps what calls leave behind, after their callers are gone.

A call gives its end away with ``send_nowait`` and is over; nothing of it waits for a disk or a database. What cannot be
kept now is tried again, in order, for as long as the process lives.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import trio

from engine.call.outcome import Reason
from engine.errors import RemoteError
from engine.log import get_logger
from engine.metrics import Metrics
from engine.store.interface import CallEnd, Store
from engine.store.usage import Usage, UsageRecord

ENDS_QUEUED = 10_000  # some MiB at most; a store that is away for as long as this many calls take is an outage
RETRY_PAUSES_S = (0.2, 1.0, 5.0, 15.0)

log = get_logger("call.wrap_up")


async def run_wrap_up(
    *,
    ends: trio.MemoryReceiveChannel[CallEnd],
    store: Store,
    usage: Usage | None = None,
    kept: Callable[[CallEnd], None] | None = None,
    crashed: Callable[[], None] = lambda: None,
) -> None:
    """Keep every end, one after the other, until all senders have let go and nothing is left.

    Args:
        usage: gets what each call used; None where nobody is billed.
        kept: told of each end that has been kept with all that belongs to it; not of those that were lost.
        crashed: told of each record that was lost, since it can never be kept.
    """
    async with ends:
        async for end in ends:
            keeps: list[Callable[[], Awaitable[object]]] = [partial(store.keep_call, end)]
            if usage is not None:
                keeps += [partial(usage.keep_usage, record) for record in used(end)]
            results = [await _keep(end, keep, crashed) for keep in keeps]
            if kept is not None and all(results):
                kept(end)


def used(end: CallEnd) -> list[UsageRecord]:
    """What an invoice is written from: seconds on the line, and what there was of models, tools and people. Pure.

    Each kind once per call: what was kept of a call is not added to, and changes nothing when it comes again.
    """
    document = end.document
    noted_at = document.get("ended_at", "")
    quantities = {"line-seconds": document.get("duration_s", 0.0), **document.get("used", {})}
    quantities["messages"] = quantities.get("messages", 0) + len(end.messages)
    quantities["transfers"] = int(end.outcome_reason == Reason.TRANSFERRED)
    quantities["recording-seconds"] = document.get("recorded_s", 0.0)
    quantities = {kind: quantity for kind, quantity in quantities.items() if quantity or kind == "line-seconds"}
    return [UsageRecord(end.tenant_id, end.call_sid, kind, quantity, noted_at) for kind, quantity in quantities.items()]


async def _keep(end: CallEnd, keep: Callable[[], Awaitable[object]], crashed: Callable[[], None]) -> bool:
    """False where it is lost."""
    attempt = 0
    while True:
        try:
            await keep()
        except (OSError, RemoteError) as error:
            log.error("a call's end could not be kept yet", call_sid=end.call_sid, detail=str(error), attempt=attempt)
            await trio.sleep(RETRY_PAUSES_S[min(attempt, len(RETRY_PAUSES_S) - 1)])
            attempt += 1
        except Exception as error:
            # One end that can never be kept must not cost all other calls theirs.
            crashed()
            log.critical("a call's end was lost: it cannot be kept", call_sid=end.call_sid, exc_info=error)
            return False
        else:
            return True


def offer_end(ends: trio.MemorySendChannel[CallEnd], end: CallEnd, metrics: Metrics) -> None:
    """Hand over a call's end without waiting; a full queue is counted and logged with the end itself."""
    try:
        ends.send_nowait(end)
    except trio.WouldBlock:
        metrics.dropped_messages.labels("wrap_up").inc()
        log.critical("a call's end was lost: the store has been away too long", call_sid=end.call_sid)
