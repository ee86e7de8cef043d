"""What other workers know of a call, asked while a caller waits: bounded, and not at all where it is known to be slow.

A claim is never called off: one that comes late is applied all the same, and until then the call goes on without it.
"""

from collections.abc import Callable

import trio

from engine.call.entries import Entry
from engine.errors import RemoteError
from engine.log import get_logger
from engine.store.live_calls import ClaimRefused, LiveCall, LiveCalls, StreamProof

CLAIM_S = 0.3  # for the right to serve a stream: its caller hears nothing meanwhile
RECOVERY_S = 1.0  # for a call that has lost its stream: what was said in it is worth the silence
SKIPPED_S = 5.0  # after an answer that did not come in time, a new call does not wait for one

log = get_logger("call.elsewhere")


class Elsewhere:
    """One per process. ``claimed`` and ``refused`` are called once for each claim that was answered."""

    def __init__(
        self,
        *,
        live: LiveCalls,
        worker: str,
        claimed: Callable[[Entry, LiveCall], None],
        refused: Callable[[Entry, ClaimRefused], None],
        crashed: Callable[[], None],
    ) -> None:
        self._live, self._worker, self._crashed = live, worker, crashed
        self._claimed, self._refused = claimed, refused
        self._skipped_until = 0.0
        self.nursery: trio.Nursery | None = None

    async def find(self, tenant_id: str, call_sid: str, *, within_s: float, patient: bool) -> LiveCall | None:
        """How the call was last kept; None also where that cannot be known now.

        Args:
            patient: ask also where the last answer did not come in time.
        """
        if not patient and trio.current_time() < self._skipped_until:
            return None
        with trio.move_on_after(within_s):
            try:
                return await self._live.find(tenant_id, call_sid)
            except (RemoteError, OSError) as error:
                log.warning("live calls cannot be asked", call_sid=call_sid, detail=str(error))
        self._skipped_until = trio.current_time() + SKIPPED_S
        return None

    async def claim(
        self, entry: Entry, stream: StreamProof | None, *, within_s: float
    ) -> LiveCall | ClaimRefused | None:
        """Take the call over; None where the answer has not come in time, or cannot come now."""
        answered = trio.Event()
        answer: list[LiveCall | ClaimRefused] = []
        if self.nursery is None:
            return None
        self.nursery.start_soon(self._ask, entry, stream, answer, answered, name=f"claim of {entry.call_sid}")
        if stream is None or trio.current_time() >= self._skipped_until:
            with trio.move_on_after(within_s):
                await answered.wait()
            if not answer:
                self._skipped_until = trio.current_time() + SKIPPED_S
        if not answer:
            log.warning("a call is served without a claim for now", call_sid=entry.call_sid)
        return answer[0] if answer else None

    async def _ask(
        self, entry: Entry, stream: StreamProof | None, answer: list[LiveCall | ClaimRefused], answered: trio.Event
    ) -> None:
        try:
            found = await self._live.claim(
                entry.tenant_id, entry.call_sid, self._worker, stream=stream, caller=entry.caller
            )
        except (RemoteError, OSError) as error:
            log.warning("a call cannot be claimed", call_sid=entry.call_sid, detail=str(error))
        except Exception:
            # In the nursery that all calls share: a bug over one claim must end no call.
            self._crashed()
            log.exception("a call cannot be claimed", call_sid=entry.call_sid)
        else:
            answer.append(found)
            if isinstance(found, LiveCall):
                self._claimed(entry, found)
            else:
                self._refused(entry, found)
        finally:
            answered.set()
