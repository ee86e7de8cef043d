"""Connections that are used in turn, and what becomes of one that the server has lost. On the database's thread."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # see connect.py

from engine.store.bridge import at_most
from engine.store.connect import Session, tell, unavailable

ACQUIRING_S = 20.0  # for a connection, opening one included; a call does not wait so long, what a call leaves does
FIRST_S = 5.0  # for the first statement of a unit, which does nothing yet: a server that takes longer has gone away
CLOSING_S = 5.0


class Pool:
    """Made by ``open_pool``."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @asynccontextmanager
    async def begun(self, first: str) -> AsyncIterator[Any]:
        """A connection on which ``first`` has been run; failures that mean so are ``StoreUnavailable``."""
        connection = None
        try:
            connection = await self._acquire(first)
            yield connection
        except Exception as error:
            away = unavailable(error, closed=connection is not None and is_closed(connection))
            if away is None:
                raise
            if connection is not None:
                terminate(connection)
            raise away from error
        finally:
            if connection is not None:
                await self._inner.release(connection)

    async def close(self) -> None:
        """Let go of all, politely where that does not take long."""
        try:
            async with at_most(CLOSING_S):
                await self._inner.close()
        except TimeoutError:
            self._inner.terminate()

    def size(self) -> int:
        """How many there are."""
        return int(self._inner.get_size())

    def idle(self) -> int:
        """How many of them nobody uses."""
        return int(self._inner.get_idle_size())

    async def _acquire(self, first: str) -> Any:
        """The first statement shows whether a connection still lives; nothing has been done yet, so try another."""
        for left in reversed(range(self._inner.get_max_size() + 1)):
            connection = await self._inner.acquire(timeout=ACQUIRING_S)
            try:
                await connection.execute(first, timeout=FIRST_S)
            except BaseException as error:
                terminate(connection)
                await self._inner.release(connection)
                # A server that says nothing says it on every connection: trying the next would take as long again.
                if not left or isinstance(error, TimeoutError) or not isinstance(error, Exception):
                    raise
            else:
                return connection
        raise AssertionError("the last try returns or raises")


async def open_pool(connect: Callable[[], Awaitable[Any]], session: Session, most: int) -> Pool:
    """At most that many connections, each told ``session`` first."""

    async def plain(*_: Any, **__: Any) -> Any:
        return await connect()

    async def nothing(_: Any) -> None:
        """Instead of a round trip: all that we set is local to a transaction, or was undone."""

    init = partial(tell, session=session)
    return Pool(await asyncpg.create_pool(connect=plain, init=init, reset=nothing, min_size=1, max_size=most))


def is_closed(connection: Any) -> bool:
    """A connection of the pool that was lost has been taken back already, and says so by raising."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


def terminate(connection: Any) -> None:
    """End it without a word, also where it has been taken back already."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()
