"""LISTEN on a connection of its own, which comes back by itself. On the database's thread, but for the callbacks.

A callback hears every payload; and None whenever something may have been missed: at first, and each time the
connection is back. Then it looks at everything anew.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import trio

from engine.errors import StoreUnavailable
from engine.log import get_logger
from engine.store.bridge import DbThread, at_most, new_mutex, new_signal, pause
from engine.store.connect import unavailable

Callback: TypeAlias = Callable[[str | None], None]

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
PROBE_S = 15.0  # a connection that nobody uses can die without a word

_log = get_logger("store.listening")


class Listener:
    """All channels of a process share one connection."""

    def __init__(self, thread: DbThread, connect: Callable[[], Awaitable[Any]], token: trio.lowlevel.TrioToken) -> None:
        self._thread, self._connect, self._token = thread, connect, token
        self._callbacks: dict[str, list[Callback]] = {}
        self._connection: Any = None
        self._ready: Any = None  # happens when the first attempt to connect has ended
        self._one_statement = new_mutex()
        self.connected = False
        self.reconnected = 0
        self.away = self.crashed = 0  # sessions that ended because the database was away, or for no reason known

    async def add(self, channel: str, callback: Callback) -> None:
        """From now on; returns when LISTEN is in effect, or when the database turned out to be away."""
        known = channel in self._callbacks
        self._callbacks.setdefault(channel, []).append(callback)
        if self._ready is None:
            self._ready = new_signal()
            self._thread.start_soon(self._run)
            await self._ready.wait()
        elif self.connected:
            with suppress(StoreUnavailable):
                if not known:
                    await self._listen(self._connection, channel)
                self._tell(channel, None)

    async def remove(self, channel: str, callback: Callback) -> None:
        """From now on not any more."""
        with suppress(ValueError):
            self._callbacks.get(channel, []).remove(callback)

    async def _run(self) -> None:
        wait = FIRST_PAUSE_S
        while True:
            try:
                await self._session()
                wait = FIRST_PAUSE_S
            except StoreUnavailable as error:
                self.away += 1
                _log.warning("the database's notices cannot be heard now", detail=str(error))
            except Exception:  # noqa: BLE001 - who stops listening here goes on with old tenants for good
                self.crashed += 1
                _log.exception("listening for the database's notices failed")
            self.connected = False
            self._ready.set()
            await pause(wait)
            wait = min(2 * wait, LONGEST_PAUSE_S)

    async def _session(self) -> None:
        """Hear until the connection ends."""
        connection = self._connection = await self._connect()
        ended = new_signal()
        try:
            connection.add_termination_listener(lambda _: ended.set())
            for channel in list(self._callbacks):
                await self._listen(connection, channel)
            self.connected = True
            self.reconnected += self._ready.is_set()
            for channel in self._callbacks:
                self._tell(channel, None)
            self._ready.set()
            while not ended.is_set():
                with suppress(TimeoutError):
                    async with at_most(PROBE_S):
                        await ended.wait()
                if not ended.is_set():
                    async with self._one_statement:
                        await connection.execute("select 1")
        except Exception as error:
            if (away := unavailable(error, closed=connection.is_closed())) is not None:
                raise away from error
            raise
        finally:
            connection.terminate()

    async def _listen(self, connection: Any, channel: str) -> None:
        try:
            async with self._one_statement:
                await connection.add_listener(channel, lambda *notice: self._tell(channel, notice[3]))
        except Exception as error:
            if (away := unavailable(error, closed=connection.is_closed())) is not None:
                raise away from error
            raise

    def _tell(self, channel: str, payload: str | None) -> None:
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._call_back, channel, payload)

    def _call_back(self, channel: str, payload: str | None) -> None:
        """On trio's thread."""
        for callback in list(self._callbacks.get(channel, ())):
            callback(payload)
