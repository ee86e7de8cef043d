"""What calls left before there were columns to find it by is found by them all the same."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from engine.store.migrate import migrate, read_migrations
from engine.store.sql import Connection
from tests.postgres.conftest import Cluster

ODD = r'{"document": {"caller": "+15550100002", "transcript": ["a \u0000 b"]}}'
CALL = '{"document": {"caller": "+15550100001", "ended_at": "2026-03-14T09:00:00+01:00"}}'
TASK = '{"caller": "+15550100001"}'


@pytest.fixture
def at_version_2(cluster: Cluster) -> str:
    database = cluster.new_database("template0")
    cluster.do(lambda connection: migrate(connection, read_migrations()[:2]), database)
    return database


def test_columns_are_filled_for_every_tenant_also_one_that_is_gone(cluster: Cluster, at_version_2: str) -> None:
    insert = "insert into frontdesk.call_end (tenant_id, call_sid, outcome_class, outcome_reason, document) values"
    cluster.execute(
        "set row_security = off",
        f"{insert} ('gone', 'CA1', 'success', 'agent_ended', '{CALL}')",
        f"{insert} ('gone', 'CA2', 'success', 'agent_ended', '{ODD}')",
        "insert into frontdesk.follow_up (tenant_id, key, call_sid, kind, document)"
        f" values ('gone', 'k', 'CA1', 'task', '{TASK}')",
        database=at_version_2,
    )
    cluster.do(migrate, at_version_2)
    found: list[object] = []

    def look(statement: str) -> Callable[[Connection], Awaitable[None]]:
        async def unit(connection: Connection) -> None:
            found.extend(tuple(dict(row).values()) for row in await connection.fetch(statement))

        return unit

    cluster.do(look("select caller, ended_at from frontdesk.call_end where call_sid = 'CA1'"), at_version_2)
    cluster.do(look("select caller, ended_at = kept_at from frontdesk.call_end where call_sid = 'CA2'"), at_version_2)
    cluster.do(look("select caller from frontdesk.follow_up"), at_version_2)
    forced = "select bool_and(relforcerowsecurity) from pg_class where relname in ('call_end', 'follow_up')"
    cluster.do(look(forced), at_version_2)
    assert found == [
        ("+15550100001", datetime(2026, 3, 14, 8, tzinfo=UTC)),
        ("", True),
        ("+15550100001",),
        (True,),
    ]
