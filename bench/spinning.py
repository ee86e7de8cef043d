"""Actors that do what no actor may: they compute, or take memory, without end. For ``bench.neighbours``."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter

import structlog
import trio

from engine.messages import CallerAudio, Passage
from engine.model.listener import ListenStream
from engine.retrieval.search import Search
from engine.store.follow_ups import FollowUp, FollowUps

NOISY_ID = "bad-neighbour"
SPINNING = ("retriever", "tool", "listener", "hoard")
HOARDED_MIB = 256


@dataclass
class Spinner:
    """Computes in slices while ``loud``, and says for how long it has."""

    slice_s: float
    on: str = ""
    loud: bool = False
    spun_s: float = 0.0
    _hoarded: deque[bytes] = field(default_factory=lambda: deque(maxlen=HOARDED_MIB))

    async def spin(self, what: str) -> None:
        """Until the trouble is over; shielded, as from an actor that heeds nothing."""
        with trio.CancelScope(shield=True):
            while self.on == what:
                if not self.loud:
                    await trio.sleep(0.02)
                    continue
                began = perf_counter()
                if what == "hoard":
                    self._hoard()
                while (now := perf_counter()) < began + self.slice_s:
                    pass
                self.spun_s += now - began
                await trio.lowlevel.checkpoint()
            self._hoarded.clear()

    def _hoard(self) -> None:
        self._hoarded.append(b"\x01" * 1_048_576)  # written to, so that it is really there


@dataclass(frozen=True)
class SpinningSearch:
    """A retriever's search that spins, for one tenant."""

    inner: Search
    spinner: Spinner

    async def search(self, tenant_id: str, text: str, *, limit: int) -> list[Passage]:
        """See ``Search``."""
        if tenant_id == NOISY_ID:
            await self.spinner.spin("retriever")
        return await self.inner.search(tenant_id, text, limit=limit)


@dataclass(frozen=True)
class SpinningTasks:
    """A tool's storage that spins, for one tenant."""

    inner: FollowUps
    spinner: Spinner

    async def keep_follow_up(self, item: FollowUp) -> bool:
        """See ``FollowUps``."""
        if item.tenant_id == NOISY_ID and item.kind == "message":
            await self.spinner.spin("hoard" if self.spinner.on == "hoard" else "tool")
        return await self.inner.keep_follow_up(item)

    async def follow_ups(self, tenant_id: str) -> list[FollowUp]:
        """See ``FollowUps``."""
        return await self.inner.follow_ups(tenant_id)


@dataclass(frozen=True)
class SpinningListener:
    """A listener that spins on the first sound of one tenant's caller, and never understands anybody."""

    spinner: Spinner
    name: str = "spinning"

    @asynccontextmanager
    async def open_listener(self) -> AsyncIterator[ListenStream]:
        """See ``ListenProvider``."""
        # A listener is not told whose call it hears; what the call's log lines are bound to is known everywhere in it.
        is_noisy = structlog.contextvars.get_contextvars().get("tenant_id") == NOISY_ID
        yield _SpinningStream(self.spinner if is_noisy else None)


@dataclass(frozen=True)
class _SpinningStream:
    spinner: Spinner | None

    async def open_turn(self) -> None:
        """Nothing."""

    async def send_audio(self, window: CallerAudio) -> None:
        """Spin."""
        del window
        if self.spinner is not None:
            await self.spinner.spin("listener")

    def send_audio_now(self, window: CallerAudio) -> bool:  # noqa: ARG002
        """See ``ListenStream``: never."""
        return False

    async def flush(self) -> None:
        """Nothing."""

    async def texts(self) -> AsyncGenerator[str, None]:
        """Never any."""
        while True:
            await trio.sleep(3600.0)
            yield ""
