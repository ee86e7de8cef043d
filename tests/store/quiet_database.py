"""A database without one: it does nothing but remember who listens."""

from collections.abc import Awaitable, Callable

from engine.store.database import Database, P, T, Unit
from engine.store.listening import Callback


class QuietDatabase(Database):
    """Runs units with no connection, and tells who listens that something may have been missed."""

    def __init__(self) -> None:
        self.listening: list[tuple[str, Callback]] = []

    async def run(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await unit(None, *args, **kwargs)  # type: ignore[arg-type]

    async def listen(self, channel: str, callback: Callback) -> Callable[[], Awaitable[None]]:
        self.listening.append((channel, callback))
        callback(None)

        async def stop() -> None:
            self.listening.remove((channel, callback))

        return stop
