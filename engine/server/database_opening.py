"""A gateway's start when its database is away: what it serves meanwhile, and how it comes to serve from the database.

The database is opened in the background, again and again until it is there, and stays open until the gateway ends.
What is made over ``LateDatabase`` needs no exchange then: its units of work are refused until that moment, and done
from it on. So the spool is replayed, the ledger claims, and whoever listens for changed tenants looks at all of them.

Only a database that cannot be reached is waited for. One that cannot be used (wrong password, too old, a role that
bypasses row security) is a mistake of set-up: it refuses the start, or, found out later, is logged and tried again.
"""

import itertools
from collections.abc import Awaitable, Callable, Sequence

import trio

from engine.errors import ConfigurationError, RemoteError, StoreUnavailable
from engine.log import get_logger
from engine.messages import Passage
from engine.retrieval.search import Search
from engine.store.database import Database, DatabaseConfig, open_database
from engine.store.late_database import LateDatabase
from engine.tenants.tenant import Tenant

PATIENCE_S = 10.0  # at start, where there is a copy to serve from; without one the start waits as long as it takes
PAUSES_S = (0.5, 1.0, 2.0, 5.0)  # between attempts; the last repeats

log = get_logger("server.database_opening")


class DatabaseOpening:
    """Opens the database for ``late``; ``run`` has to run as long as it is used."""

    def __init__(
        self,
        config: DatabaseConfig,
        late: LateDatabase,
        prepare: Callable[[Database], Awaitable[None]],
        load: Callable[[], Awaitable[list[Tenant]]],
    ) -> None:
        """``prepare`` does what has to be done in a database before it is used (it may be done again); ``load`` reads
        the tenants over ``late``.
        """
        self._config, self._late = config, late
        self._prepare, self._load = prepare, load
        self._tried = trio.Event()
        self._failure: ConfigurationError | RemoteError | None = None
        self._tenants: tuple[Tenant, ...] = ()

    async def first_tenants(self, copy: Sequence[Tenant]) -> tuple[Tenant, ...]:
        """The tenants to start with: the database's, or ``copy`` where it cannot be reached soon.

        Raises:
            ConfigurationError: the database cannot be used.
            RemoteError: it cannot be reached, and there is no copy; or its tenants could not be prepared.
        """
        with trio.move_on_after(PATIENCE_S if copy else float("inf")):
            await self._tried.wait()
        if self._tried.is_set() and self._failure is None:
            return self._tenants
        if not copy or not isinstance(self._failure, StoreUnavailable | None):
            assert self._failure is not None, "only a copy ends the wait for the first attempt"
            raise self._failure
        self._tried.set()  # what is found out from here on refuses no start
        said = str(self._failure) if self._failure else f"it is not there after {PATIENCE_S:.0f} s"
        log.error("the database is away: serving the tenants of the local copy until it is back", detail=said)
        return tuple(copy)

    async def run(self) -> None:
        """Open it, hold it open until cancelled; try again where it cannot be opened."""
        logged = ""
        for pause in itertools.chain(PAUSES_S, itertools.repeat(PAUSES_S[-1])):
            try:
                async with open_database(self._config) as database:
                    await self._prepare(database)
                    async with self._late.backed_by(database):
                        self._tenants = tuple(await self._load())
                        if self._tried.is_set():
                            log.warning("the database is there: serving from it now", tenants=len(self._tenants))
                        self._tried.set()
                        await trio.sleep_forever()
            except (ConfigurationError, RemoteError) as error:
                if not self._tried.is_set():
                    self._failure = error
                    self._tried.set()
                elif (said := str(error)) != logged:
                    logged = said
                    log.error("the database cannot be opened yet; trying on", detail=said)
            await trio.sleep(pause)

    @property
    def refuses_start(self) -> bool:
        """Whether the start still waits for the first attempt, so that a mistake ends it rather than being logged."""
        return not self._tried.is_set()


class StandInSearch:
    """``Search`` that asks ``stand_in`` until the database has been reached, and from then on the one over it."""

    def __init__(self, search: Search, stand_in: Search, late: LateDatabase) -> None:
        self._search, self._stand_in, self._late = search, stand_in, late

    async def search(self, tenant_id: str, text: str, *, limit: int) -> list[Passage]:
        """See ``Search``."""
        now = self._search if self._late.is_there else self._stand_in
        return await now.search(tenant_id, text, limit=limit)
