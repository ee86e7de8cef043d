"""One worker as its parent sees it: started, listened to, told what to do, killed where it does not answer.

A worker beats four times a second from the loop that serves its calls. Silence means that the loop stands still, and
with it every call of that worker: halfway through our patience (``pulse.py``) it is made to write its stacks down; then
it is killed, and its calls are recovered by others.
"""

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import trio

from engine.log import get_logger
from engine.workers.link import LINE_BYTES, Beat, BeatReader, Order, send
from engine.workers.pulse import LOOK_S, Patience, Pulse, Verdict

DUMPING_S = 0.3  # for faulthandler to write every thread's stack
STACK_BYTES = 16_000
DYING_S = 5.0  # for a process that has closed its link to be gone
NOW_S = 5.0  # for one that was told to end now

log = get_logger("workers.child")


@dataclass(frozen=True, slots=True)
class Launch:
    """How a process is started.

    Attributes:
        command: of its name and the descriptors of its link and of the file for its stacks.
        environment: of its name; all of it.
        inherits: more descriptors that stay open in it.
    """

    command: Callable[[str, int, int], Sequence[str]]
    environment: Callable[[str], Mapping[str, str]]
    inherits: tuple[int, ...] = ()


class Child:
    """One process, from start to end. ``run`` it; everything else may be asked and told meanwhile."""

    def __init__(self, name: str, launch: Launch, patience: Patience, pulse: Pulse) -> None:
        self.name = name
        self.pid = 0
        self.calls = 0
        self.code: int | None = None
        self.ready_at: float | None = None
        self.settled = trio.Event()  # it is ready, or has ended without
        self.ended = trio.Event()
        self.told: Order | None = None
        self._launch, self._patience, self._pulse = launch, patience, pulse
        self._told = trio.Event()
        self._process: trio.Process | None = None
        self._ended_at: float | None = None
        self._link, self._theirs = socket.socketpair()

    @property
    def ready(self) -> bool:
        """Does it accept connections, as far as we know?"""
        return self.ready_at is not None and self.told is None and not self.ended.is_set()

    @property
    def served_s(self) -> float:
        """How long it has been ready, if it ever was."""
        if self.ready_at is None:
            return 0.0
        return (self._ended_at if self._ended_at is not None else trio.current_time()) - self.ready_at

    def tell(self, order: Order) -> None:
        """Give an order, whatever was ordered before; once it has ended, nothing happens."""
        if self.told is order or self.ended.is_set():
            return
        self.told = order
        send(self._link, order.value)
        self._told.set()
        self._told = trio.Event()

    async def run(self, on_change: Callable[["Child"], None], *, task_status: trio.TaskStatus[None]) -> None:
        """Start it and see it to its end; killed where we are cancelled. ``on_change``: it became ready, or ended."""
        try:
            with self._link, tempfile.TemporaryFile() as stacks:
                process = self._process = await self._start(stacks)
                self.pid = process.pid
                task_status.started()
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._listen, stacks, on_change)
                        nursery.start_soon(self._enforce)
                        await process.wait()
                        nursery.cancel_scope.cancel()
                finally:
                    with trio.CancelScope(shield=True):
                        process.kill()
                        self.code = await process.wait()
        except OSError as error:
            if self._process is not None:
                raise
            # No memory, no descriptors: a reason to try again later, none to end the workers that live.
            log.error("a worker cannot be started", worker=self.name, detail=str(error))
            task_status.started()
        finally:
            self._pulse.forget(self.name)
            self._ended_at = trio.current_time()
            self.ended.set()
            self.settled.set()
            on_change(self)

    async def _start(self, stacks: IO[bytes]) -> trio.Process:
        with self._theirs as theirs:
            handles = (theirs.fileno(), stacks.fileno())
            return await trio.lowlevel.open_process(
                self._launch.command(self.name, *handles),
                stdin=subprocess.DEVNULL,
                pass_fds=(*handles, *self._launch.inherits),
                env=self._launch.environment(self.name),
                process_group=0,  # a Ctrl-C at the terminal is for the parent, which has more to say than "die"
            )

    async def _listen(self, stacks: IO[bytes], on_change: Callable[["Child"], None]) -> None:
        link = trio.SocketStream(trio.socket.from_stdlib_socket(self._link.dup()))
        reader = BeatReader()
        self._pulse.look(trio.current_time())
        self._pulse.beat(self.name, ready=False)
        async with link, trio.open_nursery() as watching:
            watching.start_soon(self._watch, stacks, trio.current_time() + self._patience.ready_s)
            while data := await _receive(link):
                for beat in reader.feed(data):
                    self._note(beat, on_change)
            watching.cancel_scope.cancel()
        self._pulse.forget(self.name)  # on its way out it has nothing more to say
        await trio.sleep(DYING_S)
        await self._kill("its link is closed, and it does not end", _Dump(stacks))

    def _note(self, beat: Beat, on_change: Callable[["Child"], None]) -> None:
        self.calls = beat.calls
        self._pulse.beat(self.name, ready=beat.ready)
        if beat.ready and self.ready_at is None:
            self.ready_at = trio.current_time()
            self.settled.set()
            on_change(self)

    async def _watch(self, stacks: IO[bytes], ready_by: float) -> None:
        """Whoever stands still is killed."""
        dump = _Dump(stacks)
        while True:
            await trio.sleep(LOOK_S)
            self._pulse.look(now := trio.current_time())
            verdict = self._pulse.verdict(self.name)
            if self.ready_at is None and now > ready_by:
                await self._kill("not ready in time", dump)
            elif verdict is Verdict.SILENT:
                await self._kill("silent", dump)
            elif verdict is Verdict.DOUBTFUL and not dump.asked:
                dump.ask(self._signal)
            elif verdict is Verdict.WELL and dump.asked:
                log.warning("a worker stood still for a while", worker=self.name, pid=self.pid, stacks=dump.read())
                dump = _Dump(stacks)

    async def _enforce(self) -> None:
        """Whoever was told to go has gone in time."""
        while self.told is None:
            await self._told.wait()
        with trio.move_on_after(self._patience.leave_s):
            while self.told is not Order.NOW:
                await self._told.wait()
            await trio.sleep(NOW_S)
        log.warning("a worker does not go, killed", worker=self.name, pid=self.pid, told=self.told.name)
        self._signal(signal.SIGKILL)

    async def _kill(self, why: str, dump: "_Dump") -> None:
        if not dump.asked:
            dump.ask(self._signal)
            await trio.sleep(DUMPING_S)
        self._signal(signal.SIGKILL)
        log.error("a worker is killed", worker=self.name, pid=self.pid, why=why, calls=self.calls, stacks=dump.read())
        await trio.sleep_forever()  # until ``run`` sees it gone

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "only a process that was started is ever judged"
        self._process.send_signal(number)  # nothing happens where it has ended


class _Dump:
    """What a worker is doing, by every thread's stack: asked for (``post.py`` answers, even where its loop cannot)."""

    def __init__(self, stacks: IO[bytes]) -> None:
        self._stacks = stacks
        self._begins_at = os.fstat(stacks.fileno()).st_size  # behind what was written when it was last asked
        self.asked = False

    def ask(self, tell: Callable[[signal.Signals], None]) -> None:
        self.asked = True
        tell(signal.SIGUSR2)

    def read(self) -> str:
        return os.pread(self._stacks.fileno(), STACK_BYTES, self._begins_at).decode("utf-8", "replace")


async def _receive(link: trio.SocketStream) -> bytes:
    try:
        return bytes(await link.receive_some(LINE_BYTES))
    except trio.BrokenResourceError:
        return b""  # it died before it had read all of its orders
