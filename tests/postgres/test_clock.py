from pathlib import Path

import pytest
import trio
import trio.testing

from engine.store.database import DatabaseConfig, open_database
from engine.store.sql import Connection
from tests.postgres.clock import held_while_threads_work


async def test_no_virtual_time_passes_while_the_database_works(
    url: str, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(connection: Connection) -> None:
        await connection.execute("select pg_sleep(0.1)")

    with held_while_threads_work(autojump_clock, monkeypatch):
        async with open_database(DatabaseConfig(url, Path("unused"))) as database:
            started = trio.current_time()
            with trio.fail_after(0.01):
                await database.for_tenant("acme", slow)
            assert trio.current_time() == started
            await trio.sleep(3600)
            assert trio.current_time() == started + 3600
