"""The suite of live calls against PostgreSQL, and that no worker's write ever waits for another's for long."""

import pytest
import trio

from engine.store.database import Database
from engine.store.postgres_live_calls import PostgresLiveCalls
from engine.store.postgres_tenants import PostgresTenants
from engine.store.sql import Connection
from engine.store.tenants import TenantDocument
from tests.store.suites.live_calls import *  # noqa: F403
from tests.store.suites.live_calls import LiveTwin, kept


@pytest.fixture
async def twin(database: Database) -> LiveTwin:
    for tenant_id in ("acme", "bakery"):
        await PostgresTenants(database).put(TenantDocument(tenant_id, {}, ()))

    async def shift(connection: Connection, seconds: float) -> None:
        await connection.execute(
            "update live_call set saved_at = saved_at - make_interval(secs => $1), "
            "touched_at = touched_at - make_interval(secs => $1)",
            seconds,
        )

    async def pass_time(seconds: float) -> None:
        for tenant_id in ("acme", "bakery"):
            await database.for_tenant(tenant_id, shift, seconds)

    return LiveTwin(PostgresLiveCalls(database), pass_time)


async def test_workers_that_write_the_same_calls_in_other_orders_never_block_each_other(twin: LiveTwin) -> None:
    rows = [kept(f"CA{n}", tenant) for n in range(20) for tenant in ("acme", "bakery")]

    async def write(turn: int) -> None:
        for _ in range(5):
            await twin.live.keep_many(rows[turn:] + rows[:turn])
            await twin.live.abandoned(f"w{turn}", older_than_s=3600)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for turn in range(0, 40, 5):
                nursery.start_soon(write, turn)
