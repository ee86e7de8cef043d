"""The database of a back office that may be started before it: waited for, while ``/health`` says so.

Everything is made over ``LateDatabase`` at once, so pages and documents are served, and what needs the database answers
503 until it is there; from then on all of it works, without a restart. Only a database that cannot be reached is waited
for: one that cannot be used as it is set up (wrong password, too old) ends the process with the reason, whenever that
is found out.
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from engine.backoffice.watch import Watch
from engine.errors import RemoteError
from engine.log import get_logger
from engine.store.database import Database, DatabaseConfig, open_database
from engine.store.late_database import LateDatabase

PAUSES_S = (0.5, 1.0, 2.0, 5.0)  # between attempts; the last repeats
SAY_AGAIN_S = 60.0  # for whoever looks at the log only now

log = get_logger("backoffice.reaching")


@asynccontextmanager
async def reached_sooner_or_later(config: DatabaseConfig, watch: Watch) -> AsyncIterator[Database]:
    """One that is there, or will be; entered as soon as it is known which.

    Raises:
        ConfigurationError: it cannot be used; also later, in a group, out of the block.
    """
    late = LateDatabase()
    async with trio.open_nursery() as nursery:
        await nursery.start(_reach, config, late, watch)
        yield late
        nursery.cancel_scope.cancel()


async def _reach(
    config: DatabaseConfig, late: LateDatabase, watch: Watch, *, task_status: trio.TaskStatus[None]
) -> None:
    began, said_at, waited = trio.current_time(), -SAY_AGAIN_S, False
    for pause_s in itertools.chain(PAUSES_S, itertools.repeat(PAUSES_S[-1])):
        try:
            async with open_database(config) as database, late.backed_by(database):
                watch.database_away = None
                if waited:
                    log.warning("the database is there: serving from it now", after_s=_since(began))
                else:
                    task_status.started()
                await trio.sleep_forever()
        except RemoteError as error:
            watch.database_away = str(error)
            if (now := trio.current_time()) >= said_at + SAY_AGAIN_S:
                said_at = now
                log.error("the database is away: waiting for it", detail=str(error), for_s=_since(began))
            if not waited:
                waited = True
                task_status.started()
        await trio.sleep(pause_s)


def _since(began: float) -> int:
    return round(trio.current_time() - began)
