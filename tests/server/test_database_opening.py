"""When a start waits for the database, when it does without, and when it is refused. Virtual time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from engine.errors import ConfigurationError, EmbedderUnavailable, StoreUnavailable
from engine.messages import Passage
from engine.server import database_opening
from engine.server.database_opening import PATIENCE_S, PAUSES_S, DatabaseOpening, StandInSearch
from engine.store.database import Database, DatabaseConfig
from engine.store.late_database import LateDatabase
from engine.tenants.tenant import Tenant
from tests.store.quiet_database import QuietDatabase

COPIED = Tenant(id="acme", name="Acme", greeting="Hi.")
NOW = Tenant(id="acme", name="Acme Ltd", greeting="Hi.")
AWAY = StoreUnavailable("the database cannot be reached")
MISTAKE = ConfigurationError("the database refuses us")


class Stage:
    """An opening whose attempts go as ``attempts`` says: an error, or seconds until it is open. The last repeats."""

    def __init__(self, *attempts: Exception | float, prepare_fails: Exception | None = None) -> None:
        self.attempts, self.prepare_fails = list(attempts), prepare_fails
        self.late, self.tried = LateDatabase(), 0
        config = DatabaseConfig(None, Path("unused"))
        self.opening = DatabaseOpening(config, self.late, self._prepare, self._load)

    @asynccontextmanager
    async def open(self, _: DatabaseConfig) -> AsyncIterator[Database]:
        self.tried += 1
        attempt = self.attempts.pop(0) if len(self.attempts) > 1 else self.attempts[0]
        if isinstance(attempt, Exception):
            raise attempt
        await trio.sleep(attempt)
        yield QuietDatabase()

    async def _prepare(self, _: Database) -> None:
        if self.prepare_fails is not None:
            raise self.prepare_fails

    async def _load(self) -> list[Tenant]:
        assert self.late.is_there
        return [NOW]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery) -> Callable[[Stage], None]:
    def begin(stage: Stage) -> None:
        monkeypatch.setattr(database_opening, "open_database", stage.open)
        nursery.start_soon(stage.opening.run)

    return begin


async def test_a_database_that_is_there_is_what_is_served(
    start: Callable[[Stage], None], autojump_clock: trio.testing.MockClock
) -> None:
    stage = Stage(PATIENCE_S / 2)
    start(stage)
    assert await stage.opening.first_tenants([COPIED]) == (NOW,)
    assert stage.late.is_there


async def test_one_that_is_away_is_waited_for_behind_the_copy(
    start: Callable[[Stage], None], autojump_clock: trio.testing.MockClock
) -> None:
    stage = Stage(AWAY, AWAY, 0)
    start(stage)
    began = trio.current_time()
    assert await stage.opening.first_tenants([COPIED]) == (COPIED,)
    assert trio.current_time() == began, "it is known to be away: nobody waits"
    before = stage.late.is_there
    await trio.sleep(sum(PAUSES_S[:2]) + 0.1)
    assert (before, stage.late.is_there) == (False, True)
    assert stage.tried == 3


async def test_one_that_takes_long_is_waited_for_a_while(
    start: Callable[[Stage], None], autojump_clock: trio.testing.MockClock
) -> None:
    stage = Stage(PATIENCE_S + 5)
    start(stage)
    assert await stage.opening.first_tenants([COPIED]) == (COPIED,)
    assert not stage.opening.refuses_start
    await trio.sleep(5.1)
    assert stage.late.is_there, "the attempt went on"
    assert stage.tried == 1


async def test_without_a_copy_it_is_waited_for_as_long_as_it_takes(
    start: Callable[[Stage], None], autojump_clock: trio.testing.MockClock
) -> None:
    stage = Stage(20 * PATIENCE_S)
    start(stage)
    assert await stage.opening.first_tenants([]) == (NOW,)


async def test_without_a_copy_one_that_is_away_refuses_the_start(
    start: Callable[[Stage], None], autojump_clock: trio.testing.MockClock
) -> None:
    stage = Stage(AWAY)
    start(stage)
    with pytest.raises(StoreUnavailable):
        await stage.opening.first_tenants([])


@pytest.mark.parametrize("stage", [Stage, lambda _: Stage(0.0, prepare_fails=EmbedderUnavailable("no"))])
async def test_a_mistake_refuses_the_start_with_a_copy_too(
    start: Callable[[Stage], None], stage: Callable[[Exception], Stage], autojump_clock: trio.testing.MockClock
) -> None:
    made = stage(MISTAKE)
    start(made)
    with pytest.raises((ConfigurationError, EmbedderUnavailable)):
        await made.opening.first_tenants([COPIED])


async def test_a_mistake_found_out_later_costs_nobody_a_call(
    start: Callable[[Stage], None], autojump_clock: trio.testing.MockClock
) -> None:
    stage = Stage(AWAY, MISTAKE, 0)
    start(stage)
    await stage.opening.first_tenants([COPIED])
    assert not stage.opening.refuses_start
    await trio.sleep(sum(PAUSES_S))
    assert stage.late.is_there


async def test_the_copy_is_searched_until_the_database_is_there() -> None:
    class Found:
        def __init__(self, source: str) -> None:
            self._source = source

        async def search(self, tenant_id: str, text: str, *, limit: int) -> list[Passage]:
            return [Passage(tenant_id, self._source, text, limit)]

    late = LateDatabase()
    search = StandInSearch(Found("database"), Found("copy"), late)
    assert [found.source for found in await search.search("acme", "hours", limit=3)] == ["copy"]
    async with late.backed_by(QuietDatabase()):
        assert [found.source for found in await search.search("acme", "hours", limit=3)] == ["database"]
