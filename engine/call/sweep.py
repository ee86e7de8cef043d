"""The process-lived actor that ends calls which were left by their worker and brought back by nobody."""

import random
from collections.abc import Callable

import trio

from engine.errors import RemoteError
from engine.log import get_logger
from engine.store.live_calls import LiveCall, LiveCalls

# Longer than anybody waits for a call to come back (the carrier notices a half-open stream within two minutes), and
# than a few signs of life that were lost.
LEFT_AFTER_S = 150.0
LOOK_EVERY_S = 30.0
# Where the store was away for all, no call has given a sign of life: those that still live have to have had the time.
WELL_FOR_S = 60.0
AT_ONCE = 50

log = get_logger("call.sweep")


async def run_sweep(
    *,
    live: LiveCalls,
    worker: str,
    end: Callable[[LiveCall], None],
    crashed: Callable[[], None],
) -> None:
    """Look now and then, until cancelled.

    Args:
        end: ends a call, which is this worker's now.
        crashed: counts a failure of our own code.
    """
    well_since: float | None = None
    while True:
        await trio.sleep(LOOK_EVERY_S * random.uniform(0.8, 1.2))  # noqa: S311  so that workers do not all look at once
        try:
            await live.keep_many([])  # does it answer?
            now = trio.current_time()
            well_since = now if well_since is None else well_since
            if now - well_since < WELL_FOR_S:
                continue
            for left in await live.abandoned(worker, older_than_s=LEFT_AFTER_S, most=AT_ONCE):
                log.warning("a call was left by its worker", call_sid=left.call_sid, tenant_id=left.tenant_id)
                end(left)
        except (RemoteError, OSError) as error:
            well_since = None
            log.warning("calls left by their workers cannot be looked for", detail=str(error))
        except Exception:
            # It lives as long as the process, beside all calls: whatever it meets in one row, it looks again.
            crashed()
            log.exception("calls left by their workers cannot be ended")
