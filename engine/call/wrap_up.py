"""The process-lived actor that keeps what calls leave behind, after their callers are gone.

A call gives its end away with ``send_nowait`` and is over; nothing of it waits for a disk or a database. What cannot be
kept now is tried again, in order, for as long as the process lives.
"""

import trio

from engine.errors import RemoteError
from engine.log import get_logger
from engine.metrics import Metrics
from engine.store.interface import CallEnd, Store

ENDS_QUEUED = 10_000  # some MiB at most; a store that is away for as long as this many calls take is an outage
RETRY_PAUSES_S = (0.2, 1.0, 5.0, 15.0)

log = get_logger("call.wrap_up")


async def run_wrap_up(*, ends: trio.MemoryReceiveChannel[CallEnd], store: Store) -> None:
    """Keep every end, one after the other, until all senders have let go and nothing is left."""
    async with ends:
        async for end in ends:
            await _keep(end, store)


async def _keep(end: CallEnd, store: Store) -> None:
    attempt = 0
    while True:
        try:
            await store.keep_call(end)
        except (OSError, RemoteError) as error:
            log.error("a call's end could not be kept yet", call_sid=end.call_sid, detail=str(error), attempt=attempt)
            await trio.sleep(RETRY_PAUSES_S[min(attempt, len(RETRY_PAUSES_S) - 1)])
            attempt += 1
        except Exception as error:
            # One end that can never be kept must not cost all other calls theirs.
            log.critical("a call's end was lost: it cannot be kept", call_sid=end.call_sid, exc_info=error)
            return
        else:
            return


def offer_end(ends: trio.MemorySendChannel[CallEnd], end: CallEnd, metrics: Metrics) -> None:
    """Hand over a call's end without waiting; a full queue is counted and logged with the end itself."""
    try:
        ends.send_nowait(end)
    except trio.WouldBlock:
        metrics.dropped_messages.labels("wrap_up").inc()
        log.critical("a call's end was lost: the store has been away too long", call_sid=end.call_sid)
