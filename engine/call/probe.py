"""What can be seen of a live call from outside: which of its actors run, and what waits in its channels."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import trio

from engine.shortcut import SendEnd

ChannelEnd: TypeAlias = SendEnd[Any]


class CallProbe:
    """Filled by the supervisor, read by the health page; plain calls, nothing is copied until somebody looks."""

    def __init__(self, channels: Mapping[str, ChannelEnd]) -> None:
        self._channels = channels
        self._actors: list[str] = []
        self.starts: Counter[str] = Counter()  # of each actor: more than one means that it was restarted

    async def actor(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run an actor under its name: in tracebacks, on the health page, in a debugger."""
        trio.lowlevel.current_task().name = name
        self._actors.append(name)
        self.starts[name] += 1
        try:
            await run()
        finally:
            self._actors.remove(name)

    @property
    def actors(self) -> tuple[str, ...]:
        """Those that run now."""
        return tuple(self._actors)

    @property
    def queues(self) -> tuple[tuple[str, int], ...]:
        """Messages waiting, by channel."""
        return tuple((name, end.statistics().current_buffer_used) for name, end in self._channels.items())
