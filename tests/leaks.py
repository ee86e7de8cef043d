"""No task outlives its call: the helper that every call test stands on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

# What serves HTTP or the simulated model's listener lives as long as its connection or its world, not as a call.
_NOT_OF_A_CALL = (
    "recovery of",
    "hypercorn",
    "FrontDoorServer",
    "serve_listeners",
    "trio_websocket",
    "worker_serve",
    "run_wrap_up",
    "quart",
)


class TaskWatch(trio.abc.Instrument):
    """Knows every task that is alive, by name, since it was added."""

    def __init__(self) -> None:
        self.alive: dict[trio.lowlevel.Task, str] = {}

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.alive[task] = task.name

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.alive.pop(task, None)

    def of_calls(self) -> list[str]:
        """Names of tasks that were begun since and should have ended with their call."""
        return [name for name in self.alive.values() if not any(word in name for word in _NOT_OF_A_CALL)]


@contextmanager
def watched() -> Iterator[TaskWatch]:
    """Watch every task spawned inside."""
    watch = TaskWatch()
    trio.lowlevel.add_instrument(watch)
    try:
        yield watch
    finally:
        trio.lowlevel.remove_instrument(watch)


def open_sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += link.readlink().name.startswith("socket:")
        except OSError:
            continue
    return count
