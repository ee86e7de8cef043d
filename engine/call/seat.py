"""A seat: one model session of a call, from its opening to its end, and the plan of which to try next.

A seat's session runs from the moment it is open, also while the script still holds the floor, so that it answers pings
and keeps its handle fresh; it speaks only when the turn-keeper of its tenure makes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import trio

from engine.call.lineup import Lineup
from engine.call.metering import MeteredStream
from engine.call.use import ModelUse
from engine.errors import MisuseError, ModelLost
from engine.messages import FloorEvent, PlayoutCommand, Uplink
from engine.model.liveness import Liveness
from engine.model.provider import ModelProvider, SessionSetup
from engine.model.session import run_session
from engine.shortcut import SendEnd, ShortEnd
from engine.tenants.tenant import Tenant

UPLINK_QUEUED = 64  # 100 ms windows: 6 s of a model that takes nothing, longer than its stall deadline
PAUSES_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # before each round of attempts to open a session; the last one repeats


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to have a model again: this provider, with that handle or afresh, after a pause."""

    provider: ModelProvider
    handle: str | None
    pause_s: float


def attempts(
    lineup: Lineup, clock: Callable[[], float], handle: str | None = None, of: str = "", *, refused: str = ""
) -> Iterator[Attempt]:
    """Resume with the handle; else afresh; else the tenant's next, at once; then around again, with growing pauses.

    Args:
        clock: says how late it is by then.
        handle: of a session with the provider named ``of``; no other can do anything with it.
        of: whose session was lost; it has the first turn.
        refused: who has just refused; it has the last.
    """
    first, last, number = of, refused, 0
    while models := lineup.round(clock(), first, last=last):
        pause_s = PAUSES_S[min(number, len(PAUSES_S) - 1)]
        for provider in models:
            if number == 0 and handle is not None and provider.name == of and provider.capabilities.resume:
                yield Attempt(provider, handle, pause_s)
            yield Attempt(provider, None, pause_s)
            pause_s = 0.0
        number += 1


class Seat:
    """One session; ``ready`` when it can be given the floor, ``over`` when it never can (again)."""

    def __init__(self, provider: ModelProvider, *, resumes: bool = False) -> None:
        self.provider = provider
        self.resumes = resumes  # it goes on with an earlier session, by handle
        self.ready = trio.Event()
        self.over = trio.Event()
        self.lost: ModelLost | None = None
        self.opened_at = 0.0
        self.expiring = False  # its end has been announced
        self.scope = trio.CancelScope()
        self.on_slow: Callable[[], None] | None = None
        uplink, self._uplink_receive = trio.open_memory_channel[Uplink](UPLINK_QUEUED)
        self.uplink = ShortEnd(uplink)

    async def wait_settled(self) -> bool:
        """Wait until the seat is ready (True) or over (False)."""
        async with trio.open_nursery() as nursery:

            async def first_of(event: trio.Event) -> None:
                await event.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(first_of, self.ready)
            nursery.start_soon(first_of, self.over)
        return not self.over.is_set()

    async def run(
        self,
        setup: SessionSetup,
        *,
        inbox: trio.MemorySendChannel[FloorEvent],
        playout: SendEnd[PlayoutCommand],
        next_generation: Callable[[], int],
        use: ModelUse,
    ) -> None:
        """Open the session and keep it until it is lost or ``scope`` is cancelled; never raises ``ModelLost``."""
        try:
            with self.scope:
                async with inbox, playout, self.provider.open_stream(setup) as stream:
                    self.opened_at = trio.current_time()
                    self.ready.set()
                    await run_session(
                        stream=MeteredStream(stream, use),
                        uplink=self._uplink_receive,
                        end=self.uplink,
                        inbox=inbox,
                        playout=playout,
                        next_generation=next_generation,
                        liveness=_liveness(setup.tenant),
                        on_slow=self._slow,
                    )
        except ModelLost as lost:
            self.lost = lost
        finally:
            self.uplink.close()
            self._uplink_receive.close()
            self.over.set()

    def why(self) -> ModelLost:
        """Why the seat is over."""
        return self.lost or ModelLost("the session ended")

    def leave(self) -> None:
        """End the session: nobody wants it any more."""
        self.scope.cancel()

    def _slow(self) -> None:
        if self.on_slow is not None:
            self.on_slow()


def _liveness(tenant: Tenant) -> Liveness:
    timing = tenant.timing
    if timing.filler_after_ms >= timing.stall_after_ms:
        raise MisuseError("a tenant's filler must come before its stall deadline")
    return Liveness(filler_after_s=timing.filler_after_ms / 1000, stall_after_s=timing.stall_after_ms / 1000)
