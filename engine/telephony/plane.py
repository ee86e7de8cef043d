"""One clock for all phone lines of a process.

A frame that crosses a task or a channel costs ten times what the work on it costs, and a sleeper per call costs more
than the call. So one task owns every media socket: each 5 ms it polls them without waiting, calls the members that
have something to read, and gives a quarter of all members their 20 ms tick (calls are spread over four slots, so that
work stays in batches and never comes in bursts). Everything below is plain calls; nothing here awaits but the clock.

Polling on the tick rather than sleeping on readiness is deliberate: it reads what has come for many lines in one
wake-up, and costs a caller at most 5 ms. A member that can let things wait is told of each arrival once, and not in
every poll until it has read: then several frames of it are one read.

Whatever a member throws ends that member, never the plane: the one place where a broad except is right.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from select import EPOLLET, EPOLLIN, EPOLLRDHUP, epoll
from typing import Protocol

import trio

from engine.errors import MisuseError
from engine.log import get_logger

FRAME_S = 0.020
SLOTS = 4
SLOT_S = FRAME_S / SLOTS
LATE_S = 0.015  # a tick that is so late says that others may be
CALMS = 0.99  # per tick: after a third of a second half of it is forgotten
WORST_KEPT = 512  # lateness samples kept for the percentiles: about 2.5 s of ticks

log = get_logger("telephony.plane")


class PlaneMember(Protocol):
    """One socket on the plane. Methods are plain calls and must return at once."""

    def fileno(self) -> int:
        """The socket's descriptor; the same from ``add`` to ``remove``."""

    def on_readable(self, now: float) -> bool | None:
        """Something can be read (or the peer is gone). True: say so again in 5 ms, whether or not more comes."""

    def on_tick(self, now: float) -> None:
        """Every 20 ms; after a late wake-up once, not once for each tick missed."""

    def on_fault(self, error: Exception) -> None:
        """One of the others raised this; the member has been removed and must let go of its socket."""


@dataclass(frozen=True, slots=True)
class PlaneStatistics:
    """How the plane keeps time. Lateness is how long after its due instant a tick ran, over the last seconds.

    A tick that has not been yet counts as punctual: else the one pause of a first call, which loads what later calls
    find loaded, would be most of what a fresh worker is judged by.
    """

    members: int
    ticks: int
    faults: int
    lateness_p50_ms: float
    lateness_p99_ms: float
    lateness_max_ms: float


class MediaPlane:
    """Drives its members; ``run`` in one task, ``add`` and ``remove`` from anywhere in the same thread."""

    def __init__(self, *, on_crash: Callable[[], None] | None = None) -> None:
        self._epoll = epoll()
        self._slots: list[list[PlaneMember]] = [[] for _ in range(SLOTS)]
        self._slot_of: dict[PlaneMember, int] = {}
        self._descriptor_of: dict[PlaneMember, int] = {}
        self._member_of: dict[int, PlaneMember] = {}
        self._again: list[PlaneMember] = []  # asked to be told again
        self._ended: dict[PlaneMember, None] = {}  # their peers are done: told in every poll until they are removed
        self._occupied = trio.Event()
        self._ticks = 0
        self._faults = 0
        self._lateness = [0.0] * WORST_KEPT
        self._worst_lately = 0.0
        self._on_crash = on_crash

    def add(self, member: PlaneMember, *, each_arrival_once: bool = False) -> None:
        """Begin to drive this member, in the emptiest slot.

        Args:
            member: whom to drive.
            each_arrival_once: not in every poll while there is something to read, but once when it comes.

        Raises:
            MisuseError: it is on the plane already.
        """
        if member in self._slot_of:
            raise MisuseError("this member is on the plane already")
        slot = min(range(SLOTS), key=lambda index: len(self._slots[index]))
        descriptor = member.fileno()
        self._epoll.register(descriptor, EPOLLIN | EPOLLRDHUP | EPOLLET if each_arrival_once else EPOLLIN)
        self._descriptor_of[member] = descriptor
        self._member_of[descriptor] = member
        # Lists are replaced, not changed: a tick may be iterating over the old one.
        self._slots[slot] = [*self._slots[slot], member]
        self._slot_of[member] = slot
        self._occupied.set()

    def remove(self, member: PlaneMember) -> None:
        """Stop driving this member; harmless where it is not on the plane. Call before closing its socket."""
        slot = self._slot_of.pop(member, None)
        if slot is None:
            return
        self._slots[slot] = [other for other in self._slots[slot] if other is not member]
        self._ended.pop(member, None)
        # By the number it was added under: a member at fault may have closed its socket. None: the plane has stopped.
        descriptor = self._descriptor_of.pop(member, None)
        if descriptor is not None and self._member_of.get(descriptor) is member:
            del self._member_of[descriptor]
            with suppress(OSError):  # it was closed, and the kernel has forgotten it
                self._epoll.unregister(descriptor)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Turn until cancelled."""
        task_status.started()
        slot = 0
        try:
            while True:
                if not self._slot_of:
                    self._occupied = trio.Event()
                    await self._occupied.wait()
                due = trio.current_time()
                while self._slot_of:
                    await trio.sleep_until(due)
                    now = trio.current_time()
                    self._lateness[self._ticks % WORST_KEPT] = late = now - due
                    self._worst_lately = max(late, CALMS * self._worst_lately)
                    self._ticks += 1
                    self._poll(now)
                    # One turn of all slots makes up for any number of missed ones: members are told the time.
                    for _ in range(min(SLOTS, 1 + int((now - due) / SLOT_S))):
                        self._tick(slot, now)
                        slot = (slot + 1) % SLOTS
                    due = due + SLOT_S if now - due < SLOT_S else now + SLOT_S
        finally:
            self._descriptor_of.clear()
            self._epoll.close()

    @property
    def is_late(self) -> bool:
        """Whether a tick was late lately, by as much as an ear might notice."""
        return self._worst_lately >= LATE_S

    def statistics(self) -> PlaneStatistics:
        """A snapshot."""
        seen = sorted(self._lateness)
        return PlaneStatistics(
            members=len(self._slot_of),
            ticks=self._ticks,
            faults=self._faults,
            lateness_p50_ms=1000 * seen[len(seen) // 2],
            lateness_p99_ms=1000 * seen[int(len(seen) * 0.99)],
            lateness_max_ms=1000 * seen[-1],
        )

    def _poll(self, now: float) -> None:
        for member in self._arrived():
            if member not in self._slot_of:
                continue  # removed by an earlier member of this very batch
            try:
                if member.on_readable(now):
                    self._again.append(member)
            except Exception as error:  # noqa: BLE001  one line's bug must not end the others
                self._fault(member, error)

    def _arrived(self) -> Iterable[PlaneMember]:
        """Who is to be told that something can be read, each once."""
        arrived: list[PlaneMember] = []
        for descriptor, what in self._epoll.poll(0, max(1, len(self._slot_of))):
            member = self._member_of[descriptor]
            arrived.append(member)
            if what != EPOLLIN:
                self._ended[member] = None
        if not self._again and not self._ended:
            return arrived
        again, self._again = self._again, []
        return dict.fromkeys((*again, *self._ended, *arrived))

    def _tick(self, slot: int, now: float) -> None:
        for member in self._slots[slot]:
            if member not in self._slot_of:
                continue
            try:
                member.on_tick(now)
            except Exception as error:  # noqa: BLE001  as above
                self._fault(member, error)

    def _fault(self, member: PlaneMember, error: Exception) -> None:
        self._faults += 1
        log.error("a line's own code failed on the media plane", exc_info=error)
        if self._on_crash is not None:
            self._on_crash()
        self.remove(member)
        try:
            member.on_fault(error)
        except Exception as worse:
            # Its own end failed too; it has been removed and counted, and the other lines need the plane.
            log.error("a line could not be told that it failed", exc_info=worse)
