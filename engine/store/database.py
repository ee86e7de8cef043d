"""The database as the twins see it: units of work, each one hop, each for one tenant.

    async def rename(conn: Connection, name: str) -> None: ...
    await database.for_tenant("acme", rename, "Acme Ltd")

``for_tenant`` runs it in a transaction in which row level security shows that tenant's rows only, under a role that
cannot bypass it. What the unit raises arrives as itself, except that a database which is away is ``StoreUnavailable``;
then whether the unit was done is not known, so that units are written to be repeated. One that has said nothing to
several units in a row is left alone for a moment (``breaker.py``): ``StoreUnavailable`` without being asked.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import trio

from engine.errors import StoreUnavailable
from engine.store.breaker import Breaker
from engine.store.bridge import BridgeStatistics, DbThread, at_most, open_db_thread
from engine.store.connect import Session, tell, unavailable
from engine.store.embedded import EmbeddedServer
from engine.store.listening import Callback, Listener
from engine.store.migrate import migrate
from engine.store.pghome import Identity, find_home
from engine.store.pool import Pool, is_closed, open_pool, terminate
from engine.store.records import safe_name
from engine.store.server import ExternalServer, OwnServer
from engine.store.sql import Connection

ROLLING_BACK_S = 1.0  # politely; then without a word, since somebody waits for it, and the server does the same

P = ParamSpec("P")
T = TypeVar("T")
Unit: TypeAlias = Callable[Concatenate[Connection, P], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Which database.

    Attributes:
        url: an external one; None for our own under ``data_dir``.
        durable: False only in tests: what was committed may be lost with the machine (not by ``kill -9``).
        identity: as whom our own runs; None to find out.
    """

    url: str | None
    data_dir: Path
    max_connections: int = 10
    durable: bool = True
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class DatabaseStatistics:
    """``connections``, ``idle`` and ``left_alone`` are now; the others count since start.

    Attributes:
        left_alone: it has not answered lately, and is asked by one at a time.
        not_asked: units that failed without being tried, because of that.
        notices_away, notices_crashed: how often nobody listened for its notices, since it was away or else.
    """

    embedded: bool
    connections: int
    idle: int
    listening: bool
    units: int
    unavailable: int
    restarts: int
    left_alone: bool
    not_asked: int
    bridge: BridgeStatistics
    notices_away: int = 0
    notices_crashed: int = 0


class Database:
    """Made by ``open_database``. Its methods are for trio's side."""

    def __init__(self, thread: DbThread, server: ExternalServer | OwnServer, session: Session, pool: Pool) -> None:
        self._thread, self._server, self._session, self._pool = thread, server, session, pool
        self._listener = Listener(thread, self._connect, trio.lowlevel.current_trio_token())
        self._units = self._unavailable = 0
        # Searches that are too slow for their callers must not keep effects from the ledger.
        self._reads, self._work = Breaker(), Breaker()

    async def run(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in a transaction of no tenant: it sees none of their rows.

        Raises:
            StoreUnavailable: the database is away.
        """
        return await self._hop(self._in_transaction, "begin", partial(unit, **kwargs), args)

    async def for_tenant(self, tenant_id: str, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in a transaction of this tenant.

        Raises:
            MisuseError: that is no tenant's id.
            StoreUnavailable: the database is away.
        """
        begin = f"begin; set local app.tenant_id = '{safe_name('tenant_id', tenant_id)}'"
        return await self._hop(self._in_transaction, begin, partial(unit, **kwargs), args)

    async def read_for_tenant(self, tenant_id: str, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for reads on the way of a call: a cancelled caller goes on at once, the clean-up happens behind it.

        Raises:
            MisuseError: that is no tenant's id.
            StoreUnavailable: the database is away.
        """
        begin = f"begin read only; set local app.tenant_id = '{safe_name('tenant_id', tenant_id)}'"
        return await self._hop(self._in_transaction, begin, partial(unit, **kwargs), args, abandon=True)

    async def across_tenants(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in a transaction that sees the documents and numbers of all tenants, and which of their months wait
        to be billed; nothing else of them.

        Raises:
            StoreUnavailable: the database is away.
        """
        begin = "begin; set local app.across_tenants = 'yes'"
        return await self._hop(self._in_transaction, begin, partial(unit, **kwargs), args)

    async def autocommit(self, tenant_id: str, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it outside a transaction: each statement of it is committed when it returns.

        Raises:
            MisuseError: that is no tenant's id.
            StoreUnavailable: the database is away.
        """
        return await self._hop(self._committing, safe_name("tenant_id", tenant_id), partial(unit, **kwargs), args)

    async def as_owner(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it on a connection of its own under the login's own role: for COPY and the like, never for a call.

        Raises:
            StoreUnavailable: the database is away.
        """
        return await self._hop(self._owned, partial(unit, **kwargs), args)

    async def listen(self, channel: str, callback: Callback) -> Callable[[], Awaitable[None]]:
        """Call ``callback(payload)`` on trio's thread for every notice, and ``callback(None)`` when some may have been
        missed (at first, and whenever the connection is back). Returns what ends it."""
        await self._thread.run(self._listener.add, channel, callback)
        return partial(self._thread.run, self._listener.remove, channel, callback)

    def statistics(self) -> DatabaseStatistics:
        """A snapshot."""
        return DatabaseStatistics(
            embedded=isinstance(self._server, OwnServer),
            connections=self._pool.size(),
            idle=self._pool.idle(),
            listening=self._listener.connected,
            units=self._units,
            unavailable=self._unavailable,
            restarts=self._server.restarts,
            left_alone=self._work.open or self._reads.open,
            not_asked=self._work.refused + self._reads.refused,
            bridge=self._thread.statistics(),
            notices_away=self._listener.away,
            notices_crashed=self._listener.crashed,
        )

    async def _hop(self, way: Callable[..., Awaitable[T]], *args: Any, abandon: bool = False) -> T:
        self._units += 1
        breaker, began = (self._reads if abandon else self._work), trio.current_time()
        if not breaker.allows(began):
            self._unavailable += 1
            raise StoreUnavailable("the database said nothing a moment ago")
        try:
            result = await self._thread.run(way, *args, abandon=abandon)
        except trio.Cancelled:
            breaker.gave_up(began, trio.current_time())
            raise
        except BaseException as error:
            away = isinstance(error, StoreUnavailable)
            self._unavailable += away
            breaker.answered(began, trio.current_time(), away=away)
            raise
        breaker.answered(began, trio.current_time(), away=False)
        return result

    # On the database's thread.

    async def _in_transaction(self, begin: str, unit: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
        async with self._pool.begun(begin) as connection:
            try:
                result = await unit(connection, *args)
            except BaseException:
                await _roll_back(connection)
                raise
            await connection.execute("commit")
            return result

    async def _committing(self, tenant_id: str, unit: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
        async with self._pool.begun(f"set app.tenant_id = '{tenant_id}'") as connection:
            try:
                result = await unit(connection, *args)
                await connection.execute("reset app.tenant_id")
            except BaseException:
                terminate(connection)  # the next user of this connection must not find our tenant set
                raise
            return result

    async def _owned(self, unit: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
        connection = await self._server.connect()
        try:
            await tell(connection, self._session, owner=True)
            return await unit(connection, *args)
        except Exception as error:
            raise unavailable(error, closed=connection.is_closed()) or error from error
        finally:
            connection.terminate()

    async def _connect(self) -> Any:
        connection = await self._server.connect()
        try:
            await tell(connection, self._session)
        except Exception as error:
            connection.terminate()
            raise unavailable(error, closed=True) or error from error
        return connection


async def _roll_back(connection: Any) -> None:
    """What the unit raised is what its caller learns; a transaction that cannot be ended ends with its connection."""
    if is_closed(connection):
        return
    try:
        async with at_most(ROLLING_BACK_S):
            await connection.execute("rollback")
    except BaseException as error:
        terminate(connection)
        if not isinstance(error, Exception):
            raise


@asynccontextmanager
async def open_database(config: DatabaseConfig) -> AsyncIterator[Database]:
    """Our own or an external one: running, checked, migrated.

    Raises:
        ConfigurationError: it cannot be used; the message says what to do, or what an administrator must run.
        StoreUnavailable: it cannot be reached.
    """
    async with open_db_thread() as thread:
        server = await _server(thread, config)
        try:
            session = await thread.run(_migrated, server)
            pool = await thread.run(open_pool, server.connect, session, config.max_connections)
            try:
                yield Database(thread, server, session, pool)
            finally:
                with trio.CancelScope(shield=True):
                    await thread.run(pool.close)
        finally:
            with trio.CancelScope(shield=True):
                await thread.run(server.close)


async def _server(thread: DbThread, config: DatabaseConfig) -> ExternalServer | OwnServer:
    if config.url is not None:
        return ExternalServer(config.url)
    find = partial(find_home, config.data_dir / "postgres", identity=config.identity, durable=config.durable)
    own = OwnServer(thread, EmbeddedServer(await trio.to_thread.run_sync(find)))
    await thread.run(own.start)
    return own


async def _migrated(server: ExternalServer | OwnServer) -> Session:
    connection = await server.connect()
    try:
        return await migrate(connection)
    except Exception as error:
        raise unavailable(error, closed=connection.is_closed()) or error from error
    finally:
        connection.terminate()
