"""A database behind a bad cable: units fail soon and as what they are, nobody piles up, and all is well afterwards."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio

from engine.errors import StoreUnavailable
from engine.sim.database_link import DatabaseLink
from engine.store.breaker import FAILURES, SLOW_S
from engine.store.database import ROLLING_BACK_S, Database, DatabaseConfig, open_database
from engine.store.sql import Connection
from tests.postgres.conftest import Cluster

pytestmark = pytest.mark.real_time


@dataclass
class Line:
    link: DatabaseLink
    database: Database

    async def ask(self) -> int:
        return await self.database.for_tenant("acme", _one)

    async def search(self) -> int:
        return await self.database.read_for_tenant("acme", _one)

    async def is_well_within(self, seconds: float) -> None:
        with trio.fail_after(seconds):
            for work in (self.ask, self.search):
                while True:
                    try:
                        assert await work() == 1
                        break
                    except StoreUnavailable:
                        await trio.sleep(0.05)


async def _one(connection: Connection) -> int:
    return int(await connection.fetchval("select 1"))


async def _sleep(connection: Connection, seconds: float) -> None:
    await connection.execute(f"select pg_sleep({seconds})")


@pytest.fixture
async def line(cluster: Cluster, url: str) -> AsyncIterator[Line]:
    link = DatabaseLink(cluster.server.address.host)
    async with trio.open_nursery() as nursery:
        await nursery.start(link.serve)
        config = DatabaseConfig(link.url(urlsplit(url).path.lstrip("/")), Path("unused"), max_connections=3)
        async with open_database(config) as database:
            yield Line(link, database)
        nursery.cancel_scope.cancel()


async def test_a_cable_that_was_cut_is_not_noticed(line: Line) -> None:
    assert await line.ask() == 1
    line.link.cut()
    assert await line.ask() == 1, "no unit had begun: it was tried on another connection"


@pytest.mark.parametrize("how", ["away", "full"])
async def test_a_server_that_refuses_is_unavailable_at_once_and_back_at_once(line: Line, how: str) -> None:
    if how == "full":
        line.link.refuse()
        line.link.cut()
    else:
        line.link.away()
    for _ in range(2 * FAILURES):
        with trio.fail_after(SLOW_S), pytest.raises(StoreUnavailable):
            await line.ask()
    assert not line.database.statistics().left_alone
    line.link.mend()
    await line.is_well_within(2.0)


async def test_callers_do_not_pile_up_on_a_server_that_says_nothing(line: Line) -> None:
    assert await line.ask() == 1
    line.link.silence()
    refused: list[float] = []

    async def search() -> None:
        began = trio.current_time()
        with trio.move_on_after(SLOW_S + 0.1):
            try:
                await line.search()
            except StoreUnavailable:
                refused.append(trio.current_time() - began)

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(search)
    assert refused == [], "all of them asked before anybody could know"
    for _ in range(20):
        await search()
    assert len(refused) >= 19
    assert max(refused) < 0.1
    # Another kind of work is let through: nobody has found out yet whether it is served.
    with trio.move_on_after(0.1) as waiting:
        await line.ask()
    assert waiting.cancelled_caught
    line.link.mend()
    await line.is_well_within(3.0)


async def test_whoever_gives_up_on_a_silent_server_does_not_wait_for_its_rollback(line: Line) -> None:
    async with trio.open_nursery() as nursery:

        async def give_up() -> None:
            began = trio.current_time()
            with trio.move_on_after(0.3):
                await line.database.for_tenant("acme", _sleep, 60.0)
            waited.append(trio.current_time() - began)

        waited: list[float] = []
        nursery.start_soon(give_up)
        await trio.sleep(0.2)
        line.link.silence()
    assert waited[0] < 0.3 + ROLLING_BACK_S + 0.5
    line.link.mend()
    await line.is_well_within(3.0)


async def test_a_slow_server_is_slow_and_nothing_worse(line: Line) -> None:
    assert await line.ask() == 1
    line.link.slow(0.3)
    began = trio.current_time()
    assert await line.ask() == 1
    assert 3 * 0.3 <= trio.current_time() - began < 3 * 0.3 + 0.5, "begin, select, commit"
    assert line.link.statistics().turned_away == 0
