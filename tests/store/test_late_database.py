"""What is made over a database that comes late is refused until it is there, and served from then on."""

import pytest

from engine.errors import StoreUnavailable
from engine.store.database import Database
from engine.store.late_database import LateDatabase
from engine.store.sql import Connection
from tests.store.quiet_database import QuietDatabase


async def double(_: Connection, number: int) -> int:
    return 2 * number


async def test_units_are_refused_until_it_is_there() -> None:
    late = LateDatabase()
    with pytest.raises(StoreUnavailable):
        await late.run(double, 21)
    for refused in (late.for_tenant, late.read_for_tenant, late.autocommit):
        with pytest.raises(StoreUnavailable):
            await refused("acme", double, 21)
    for refused_too in (late.across_tenants, late.as_owner):
        with pytest.raises(StoreUnavailable):
            await refused_too(double, 21)
    with pytest.raises(StoreUnavailable):
        late.statistics()
    async with late.backed_by(QuietDatabase()):
        assert await late.run(double, 21) == 42
    with pytest.raises(StoreUnavailable):
        await late.run(double, 21)


def test_nothing_of_a_database_is_inherited_unawares() -> None:
    public = {name for name in vars(Database) if not name.startswith("_")}
    assert public <= set(vars(LateDatabase)), "it would be asked of a base that was never made"


async def test_who_listens_early_hears_of_every_database_that_comes() -> None:
    late = LateDatabase()
    heard: list[str | None] = []
    end = await late.listen("tenant_changed", heard.append)
    assert heard == []
    for times in (1, 2):
        database = QuietDatabase()
        async with late.backed_by(database):
            assert heard == [None] * times
            database.listening[0][1]("acme")
            assert heard.pop() == "acme"
    async with late.backed_by(database := QuietDatabase()):
        assert len(database.listening) == 1
        await end()
        assert database.listening == []
    async with late.backed_by(database := QuietDatabase()):
        assert database.listening == []


async def test_who_listens_once_it_is_there_is_heard_at_once() -> None:
    late = LateDatabase()
    heard: list[str | None] = []
    async with late.backed_by(database := QuietDatabase()):
        end = await late.listen("tenant_changed", heard.append)
        assert heard == [None]
        await end()
        assert database.listening == []
