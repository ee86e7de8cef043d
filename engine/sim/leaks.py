"""What outlives a call: tasks, by name, and sockets, by count. Every whole call is judged by it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trio

# What serves HTTP, or a simulator's listener, lives as long as its connection or its world, not as a call.
_NOT_OF_A_CALL = (
    "hypercorn",
    "front_door",
    "serve_listeners",
    "trio_websocket",
    "worker_serve",
    "run_wrap_up",
    "quart",
)
KEPT_ALIVE = 2  # the gateway's one connection to the carrier's REST; both its ends are in this process


class TaskWatch(trio.abc.Instrument):
    """Knows every task that was spawned since it was added and is alive; ``but`` those with such names."""

    def __init__(self, *but: str) -> None:
        self._but = (*_NOT_OF_A_CALL, *but)
        self.alive: dict[trio.lowlevel.Task, str] = {}

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """See ``trio.abc.Instrument``."""
        self.alive[task] = task.name

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        """See ``trio.abc.Instrument``."""
        self.alive.pop(task, None)

    def of_calls(self) -> list[str]:
        """Names of tasks that should have ended with their call."""
        return [name for name in self.alive.values() if not any(word in name for word in self._but)]


@contextmanager
def watched(*but: str) -> Iterator[TaskWatch]:
    """Watch every task spawned inside, but those whose name has one of these in it."""
    watch = TaskWatch(*but)
    trio.lowlevel.add_instrument(watch)
    try:
        yield watch
    finally:
        trio.lowlevel.remove_instrument(watch)


def open_sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            count += link.readlink().name.startswith("socket:")
    return count
