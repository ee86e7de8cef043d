"""From trio to asyncpg: one thread with an asyncio loop, and one hop for each unit of work.

The only file that knows asyncio. What runs over there is real time (a test's virtual clock does not reach it) and may
use ``pause``, ``in_worker`` and ``DbThread.start_soon`` from here instead of asyncio's own names.

Cancellation: a cancelled ``run`` cancels the task over there and waits until that has cleaned up, so that a cancelled
unit of work is rolled back when its caller goes on. With ``abandon=True`` the caller goes on at once and the clean-up
happens behind its back: for reads on the way of a call, when a hung server would cost more than an answer. A unit that
finished before the cancellation reached it is a result, not a cancellation.
"""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar, TypeVarTuple

import outcome
import trio

from engine.errors import MisuseError
from engine.log import get_logger

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = get_logger("store.bridge")


@dataclass(frozen=True, slots=True)
class BridgeStatistics:
    """``in_flight`` is now; the others count since start. ``crashed``: tasks in the background that ended so."""

    in_flight: int
    hops: int
    cancelled: int
    abandoned: int
    crashed: int = 0


class DbThread:
    """The other side. Made by ``open_db_thread``; every method but ``start_soon`` is called from trio's side."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._background: set[asyncio.Task[None]] = set()
        self._in_flight = self._hops = self._cancelled = self._abandoned = self._crashed = 0
        self.closed = False

    async def run(self, afn: Callable[[*Ts], Awaitable[T]], *args: *Ts, abandon: bool = False) -> T:
        """Run it over there, with our context variables; its exceptions arrive as themselves.

        Raises:
            MisuseError: the thread has ended.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.closed:
            raise MisuseError("the database's thread has ended")
        hop = _Hop(self._loop, afn, args)
        self._hops += 1
        self._in_flight += 1
        try:
            result: T = await hop.wait(abandon=abandon)
            return result
        except trio.Cancelled:
            self._cancelled += 1
            self._abandoned += abandon
            raise
        finally:
            self._in_flight -= 1

    def start_soon(self, afn: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """On the loop's own thread: run it in the background until it ends or the thread does; a crash is logged."""

        async def guarded() -> None:
            try:
                await afn()
            except Exception:  # noqa: BLE001 - nobody awaits it: said here or nowhere
                self._crashed += 1
                _log.exception("a background task of the database's thread crashed")

        task = self._loop.create_task(guarded())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def statistics(self) -> BridgeStatistics:
        """A snapshot."""
        return BridgeStatistics(self._in_flight, self._hops, self._cancelled, self._abandoned, self._crashed)


class _Hop:
    """One unit of work on its way there and back."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, afn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]
    ) -> None:
        self._loop, self._afn, self._args = loop, afn, args
        self._token = trio.lowlevel.current_trio_token()
        self._waiter = trio.lowlevel.current_task()
        self._task: asyncio.Task[Any] | None = None
        self._raise_cancel: Callable[[], Any] | None = None
        self._left = False  # the waiter has gone on: nobody is to be woken

    async def wait(self, *, abandon: bool) -> Any:
        self._loop.call_soon_threadsafe(self._start, context=contextvars.copy_context())

        def abort(raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
            self._raise_cancel, self._left = raise_cancel, abandon
            self._loop.call_soon_threadsafe(self._cancel)
            return trio.lowlevel.Abort.SUCCEEDED if abandon else trio.lowlevel.Abort.FAILED

        return await trio.lowlevel.wait_task_rescheduled(abort)

    # On the loop's thread.

    async def _call(self) -> Any:
        return await self._afn(*self._args)

    def _start(self) -> None:
        self._task = self._loop.create_task(self._call())
        # A done-callback, since a task that is cancelled before its first step never runs a line of its own.
        self._task.add_done_callback(self._done)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain about an abandoned one
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._wake, task)

    # On trio's thread.

    def _wake(self, task: asyncio.Task[Any]) -> None:
        if self._left:
            return
        result: outcome.Outcome[Any]
        if task.cancelled():
            # Either we asked for it, or the loop is being stopped under us.
            ended = MisuseError("the database's thread ended during a unit of work")
            result = outcome.capture(self._raise_cancel) if self._raise_cancel else outcome.Error(ended)
        elif (error := task.exception()) is not None:
            result = outcome.Error(error)
        else:
            result = outcome.Value(task.result())
        trio.lowlevel.reschedule(self._waiter, result)


@asynccontextmanager
async def open_db_thread() -> AsyncIterator[DbThread]:
    """The thread, for as long as the block; whatever still runs then is cancelled and waited for."""
    loop = asyncio.SelectorEventLoop()  # by name: the policy is a global that others may have changed
    thread = threading.Thread(target=_serve, args=(loop,), name="database", daemon=True)
    thread.start()
    side = DbThread(loop)
    try:
        yield side
    finally:
        side.closed = True
        loop.call_soon_threadsafe(loop.stop)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(thread.join)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        if left := asyncio.all_tasks(loop):
            for task in left:
                if not task.cancelling():  # one that is cleaning up already must not be torn out of that
                    task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


# For code that runs over there.


async def pause(seconds: float) -> None:
    """Real seconds."""
    await asyncio.sleep(seconds)


async def in_worker(blocking: Callable[[*Ts], T], *args: *Ts) -> T:
    """Run something that blocks beside the loop."""
    return await asyncio.get_running_loop().run_in_executor(None, lambda: blocking(*args))


def new_mutex() -> asyncio.Lock:
    """One at a time among tasks over there."""
    return asyncio.Lock()


def new_signal() -> asyncio.Event:
    """Something that happens over there; ``set`` it there only."""
    return asyncio.Event()


@asynccontextmanager
async def at_most(seconds: float) -> AsyncIterator[None]:
    """Real seconds, or ``TimeoutError``."""
    async with asyncio.timeout(seconds):
        yield
