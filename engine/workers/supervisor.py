"""Keep N workers serving one port: a dead one is started again, all can be replaced one by one, and all end together.

    Supervisor.run
    ├─ keep(slot) x N ...... one worker at a time, again and again, with backoff
    ├─ replace ............. on ``roll``: a successor for each slot in turn, then its predecessor may go
    └─ stand by ............ while nobody serves: the stand-in, which leaves when a worker is ready again

Nothing here knows a call. That none is dropped when a worker goes rests on the shared socket (what is not yet accepted
waits for the next), on ``server/app.py`` (what was accepted is answered) and on recovery (what was on the line moves).
"""

import math
import random
import signal
from dataclasses import dataclass, field

import trio

from engine.log import get_logger
from engine.workers.child import Child, Launch
from engine.workers.link import Order
from engine.workers.policy import Backoff, Outage
from engine.workers.pulse import Patience, Pulse

MISTAKE = 2  # the exit status of whoever was set up wrongly, and has said so in one line

log = get_logger("workers.supervisor")


@dataclass(slots=True)
class _Slot:
    """A worker's place: who has it, and who is about to."""

    index: int
    backoff: Backoff = field(default_factory=Backoff)
    incarnation: int = 0
    current: Child | None = None
    successor: Child | None = None


class Supervisor:
    """See the module. ``run`` it once; the other methods return at once and may be called at any time."""

    def __init__(self, *, count: int, worker: Launch, stand_in: Launch | None, patience: Patience) -> None:
        """``stand_in`` None: callers wait in the backlog for as long as it takes."""
        self._slots = [_Slot(index) for index in range(count)]
        self._worker, self._stand_in, self._patience = worker, stand_in, patience
        self._pulse = Pulse(patience)
        self._jitter = random.Random()  # noqa: S311 - of pauses
        self._outage = Outage()
        self._children: dict[str, Child] = {}
        self._standing_in: Child | None = None
        self._order: Order | None = None
        self._stopping, self._changed, self._roll_wanted = trio.Event(), trio.Event(), trio.Event()
        self.ever_ready = False
        self.mistaken = False  # nobody could ever start, for a reason that they have told

    async def run(self) -> None:
        """Until ``stop`` was asked for and all have ended, or nobody can start; where cancelled, all are killed."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stand_by, nursery)
            first, *others = self._slots
            nursery.start_soon(self._keep, first, nursery)
            # The first one migrates and renders for all; the others then find it done.
            while not (self._order or (first.current and first.current.settled.is_set())):
                await self._changed.wait()
            for slot in others:
                nursery.start_soon(self._keep, slot, nursery)
            nursery.start_soon(self._replace, nursery)
            while not self._order or self._children:
                await self._changed.wait()
            nursery.cancel_scope.cancel()

    def stop(self, order: Order = Order.END) -> None:
        """End the service: every worker is told so. ``NOW`` may follow."""
        self._order = order
        self._stopping.set()
        self._wake()
        for child in self._children.values():
            child.tell(order)

    def roll(self) -> None:
        """Replace every worker, one after the other; asked for meanwhile, it is done once more afterwards."""
        self._roll_wanted.set()

    def children(self) -> list[Child]:
        """Everybody who lives, predecessors and the stand-in too."""
        return list(self._children.values())

    async def _keep(self, slot: _Slot, nursery: trio.Nursery) -> None:
        """Have a worker in this slot, whatever becomes of it."""
        while not self._stopping.is_set():
            slot.current = self._make(slot)
            await self._launch(slot.current, nursery)
            last = await self._last_of(slot)
            if self._stopping.is_set():
                return
            pause_s = slot.backoff.pause_s(served_s=last.served_s, chance=self._jitter.random())
            log.warning("a worker will be started again", worker=last.name, in_s=round(pause_s, 2))
            with trio.move_on_after(pause_s):
                await self._stopping.wait()

    async def _last_of(self, slot: _Slot) -> Child:
        """Wait until nobody is left in this slot: whoever was replaced has an heir."""
        while True:
            child = slot.current
            assert child is not None, "set before anybody waits"
            await child.ended.wait()
            if (heir := slot.successor) is not None:  # the old one died before it was told to go
                await heir.settled.wait()
                if heir.ready:
                    slot.current = heir
            if slot.current is child:
                return child

    async def _replace(self, nursery: trio.Nursery) -> None:
        while True:
            await self._roll_wanted.wait()
            self._roll_wanted = trio.Event()
            log.info("rolling restart begins", workers=len(self._slots))
            done = True
            for slot in self._slots:
                done = done and not self._stopping.is_set() and await self._replace_one(slot, nursery)
            if done:
                log.info("rolling restart done")

    async def _replace_one(self, slot: _Slot, nursery: trio.Nursery) -> bool:
        """A successor first, then the old one may go. False: it did not come up, and the old one stays."""
        old = slot.current
        if old is None or old.ended.is_set():
            return True  # whoever comes there next is new anyway
        heir = slot.successor = self._make(slot)
        await self._launch(heir, nursery)
        await heir.settled.wait()
        slot.successor = None
        if not heir.ready:
            if not self._stopping.is_set():
                log.error("rolling restart given up: a successor did not come up", worker=heir.name, stays=old.name)
            return False
        slot.current = heir
        log.info("a worker is replaced", worker=old.name, by=heir.name, calls=old.calls)
        old.tell(Order.LEAVE)
        await old.ended.wait()
        return True

    async def _stand_by(self, nursery: trio.Nursery) -> None:
        """Nobody may be left to answer: not for long."""
        if self._stand_in is None:
            return
        launched, again_at, backoff = 0, -math.inf, Backoff()
        while not self._stopping.is_set():
            now, anybody = trio.current_time(), any(child.ready for child in self._workers())
            self._outage.look(now, anybody=anybody)
            due = self._outage.due_at()
            if due is None:
                backoff = Backoff()
                if self._standing_in is not None:
                    self._standing_in.tell(Order.LEAVE)
                due = math.inf
            elif (due := max(due, again_at)) <= now and self._standing_in is None:
                launched += 1
                log.error("nobody serves: the static script is put in", for_want_of=len(self._slots))
                self._standing_in = Child(f"stand-in.{launched}", self._stand_in, self._patience, self._pulse)
                again_at = now + backoff.pause_s(served_s=0.0, chance=self._jitter.random())
                await self._launch(self._standing_in, nursery)
                continue
            with trio.move_on_at(due if self._standing_in is None else math.inf):
                await self._changed.wait()

    def _make(self, slot: _Slot) -> Child:
        slot.incarnation += 1
        return Child(f"worker-{slot.index}.{slot.incarnation}", self._worker, self._patience, self._pulse)

    async def _launch(self, child: Child, nursery: trio.Nursery) -> None:
        self._children[child.name] = child
        if self._order is not None:
            child.tell(self._order)
        await nursery.start(child.run, self._note)
        log.info("started", worker=child.name, pid=child.pid)

    def _workers(self) -> list[Child]:
        return [child for child in self._children.values() if child is not self._standing_in]

    def _note(self, child: Child) -> None:
        """It became ready, or ended."""
        if child.ended.is_set():
            self._children.pop(child.name, None)
            if child is self._standing_in:
                self._standing_in = None
            elif child.told is None:
                self._outage.death(trio.current_time(), served_s=child.served_s)
                if child.code == MISTAKE and not self.ever_ready:
                    # It never served and none ever will: somebody has to look, and was told at what.
                    self.mistaken = True
                    self.stop()
            level = log.info if child.told is not None else log.error
            level("ended", worker=child.name, how=_how(child.code), calls=child.calls, told=bool(child.told))
        elif child is not self._standing_in:
            self.ever_ready = True
        ready = sorted(one.name for one in self._children.values() if one.ready)
        log.info("workers", ready=ready, others=sorted(self._children.keys() - set(ready)))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _how(code: int | None) -> str:
    """An exit status, in words."""
    if code is None:
        return "never started"
    return f"exit status {code}" if code >= 0 else signal.Signals(-code).name
