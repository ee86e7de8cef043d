"""Migrations, and what is asked of somebody else's server."""

import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from engine.errors import ConfigurationError, StoreUnavailable
from engine.store.connect import APP_ROLE, check_server
from engine.store.database import Database, DatabaseConfig, open_database
from engine.store.migrate import Migration, migrate, read_migrations
from engine.store.sql import Connection, _queries, query
from tests.postgres.conftest import Cluster

OPENER = """
import sys, trio
from pathlib import Path
from engine.store.database import DatabaseConfig, open_database
async def main():
    async with open_database(DatabaseConfig(sys.argv[1], Path("unused"))):
        print("open", flush=True)
trio.run(main)
"""


async def who(connection: Connection) -> str:
    return str(await connection.fetchval("select current_user"))


async def history(connection: Connection) -> list[int]:
    return [row["number"] for row in await connection.fetch("select number from frontdesk.migration order by 1")]


async def opened(url: str, unit: Callable[[Connection], Awaitable[str]] = who) -> str:
    async with open_database(DatabaseConfig(url, Path("unused"))) as database:
        return await database.run(unit)


def on(cluster: Cluster, database: str, *migrations: Migration) -> None:
    cluster.do(lambda connection: migrate(connection, list(migrations)), database)


@pytest.fixture
def bare(cluster: Cluster) -> str:
    return cluster.new_database("template0")


def test_processes_that_migrate_at_once_do_it_once(cluster: Cluster, bare: str) -> None:
    command = [sys.executable, "-c", OPENER, cluster.url(bare)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=60) for process in running]
    assert [out.splitlines()[-1] for out, _ in said] == ["open"] * 4, said
    assert sum("migrated" in out for out, _ in said) == 1
    seen: list[list[int]] = []

    async def look(connection: Connection) -> None:
        seen.append(await history(connection))

    cluster.do(look, bare)
    assert seen == [list(range(1, len(read_migrations()) + 1))]


def test_a_migration_that_fails_leaves_nothing_and_can_be_mended(cluster: Cluster, bare: str) -> None:
    good = Migration(1, "good", "create table one (n int)")
    bad = Migration(2, "bad", "create table two (n int); select 1/0")
    with pytest.raises(Exception, match="division by zero"):
        on(cluster, bare, good, bad)
    on(cluster, bare, good, Migration(2, "mended", "create table two (n int)"))
    on(cluster, bare, good, Migration(2, "mended", "create table two (n int)"))


def test_a_migration_that_was_changed_after_it_was_run_is_refused(cluster: Cluster, bare: str) -> None:
    on(cluster, bare, Migration(1, "one", "select 1"))
    with pytest.raises(ConfigurationError, match=r"migration 1 \(one\) is not the one"):
        on(cluster, bare, Migration(1, "one", "select 2"))


def test_a_database_of_a_newer_version_is_refused(cluster: Cluster, bare: str) -> None:
    on(cluster, bare, Migration(1, "one", "select 1"), Migration(2, "two", "select 2"))
    with pytest.raises(ConfigurationError, match="newer Frontdesk"):
        on(cluster, bare, Migration(1, "one", "select 1"))


def test_migration_files_are_numbered_without_a_gap(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("")
    (tmp_path / "0003_c.sql").write_text("")
    with pytest.raises(ConfigurationError, match="without a gap"):
        read_migrations(tmp_path)
    (tmp_path / "0003_c.sql").rename(tmp_path / "2_b.sql")
    with pytest.raises(ConfigurationError, match="0002_what_it_does"):
        read_migrations(tmp_path)


async def test_every_query_is_one_that_the_schema_understands(database: Database) -> None:
    async def prepare_all(connection: Connection) -> int:
        for name in _queries():
            await connection.execute(f"prepare {name} as {query(name)}")
        return len(_queries())

    assert await database.run(prepare_all) > 30


async def test_a_superuser_works_under_the_app_role(url: str) -> None:
    assert await opened(url) == APP_ROLE


async def test_a_plain_login_whose_vector_is_there_needs_nothing_else(cluster: Cluster) -> None:
    """It may neither create roles nor be the app role: the forced row security binds it all the same."""
    name = cluster_database(cluster, "plain_login", vector=True)
    url = cluster.url(name, "plain_login")
    assert await opened(url) == "plain_login"

    async def other(connection: Connection) -> str:
        await connection.execute("insert into follow_up values ('other', 'k', 'c', 'task', '{}')")
        return "in"

    async with open_database(DatabaseConfig(url, Path("unused"))) as database:
        assert await database.for_tenant("other", other) == "in"
        with pytest.raises(Exception, match="row-level security"):
            await database.for_tenant("acme", other)


async def test_a_login_that_may_create_roles_gets_the_app_role(cluster: Cluster) -> None:
    name = cluster_database(cluster, "creating_login", vector=True, rights="createrole")
    assert await opened(cluster.url(name, "creating_login")) in {"creating_login", APP_ROLE}


async def test_a_missing_vector_is_told_in_the_line_to_run(cluster: Cluster) -> None:
    name = cluster_database(cluster, "no_vector", vector=False)
    with pytest.raises(ConfigurationError, match=f'in database "{name}":  CREATE EXTENSION vector;$'):
        await opened(cluster.url(name, "no_vector"))


async def test_a_login_that_bypasses_row_security_is_refused_with_the_cure(cluster: Cluster) -> None:
    name = cluster_database(cluster, "free_login", vector=True, rights="bypassrls")
    with pytest.raises(ConfigurationError) as refusal:
        await opened(cluster.url(name, "free_login"))
    cure = str(refusal.value).partition("must run:  ")[2]
    assert 'GRANT app_rw TO "free_login";' in cure
    cluster_execute(cluster, *[part for part in cure.split(";") if "GRANT" in part])
    assert await opened(cluster.url(name, "free_login")) == APP_ROLE


async def test_a_login_that_may_create_nothing_is_told_the_grant(cluster: Cluster) -> None:
    name = cluster_database(cluster, "poor_login", vector=True, owner=False)
    with pytest.raises(ConfigurationError, match=r'GRANT CREATE ON DATABASE "[a-z0-9]+" TO "poor_login";'):
        await opened(cluster.url(name, "poor_login"))


async def test_an_app_role_that_bypasses_row_security_is_refused(cluster: Cluster, url: str) -> None:
    cluster_execute(cluster, f"alter role {APP_ROLE} bypassrls")
    try:
        with pytest.raises(ConfigurationError, match=f"ALTER ROLE {APP_ROLE} NOSUPERUSER NOBYPASSRLS;"):
            await opened(url)
    finally:
        cluster_execute(cluster, f"alter role {APP_ROLE} nobypassrls")


async def test_a_server_that_is_not_there_is_away_and_a_wrong_name_is_a_mistake(
    cluster: Cluster, tmp_path: Path
) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await opened(f"postgresql://postgres@/x?host={tmp_path}")
    with pytest.raises(ConfigurationError, match="no_such_database"):
        await opened(cluster.url("no_such_database"))
    with pytest.raises(ConfigurationError, match="FRONTDESK_DATABASE_URL"):
        await opened("mysql://nonsense")


async def test_a_server_too_old_is_refused() -> None:
    class Old:
        async def fetchval(self, query: str, *args: object) -> str:
            return "140012"

    with pytest.raises(ConfigurationError, match="PostgreSQL 14; it has to be 15 or newer"):
        await check_server(Old())  # type: ignore[arg-type]


def cluster_execute(cluster: Cluster, *statements: str, database: str = "postgres") -> None:
    """From within a test of trio's: the administrator's loop is in a thread of its own."""
    thread = threading.Thread(target=lambda: cluster.execute(*statements, database=database))
    thread.start()
    thread.join()


def cluster_database(cluster: Cluster, login: str, *, vector: bool, rights: str = "", owner: bool = True) -> str:
    """A database that nobody has migrated, and a login of its own."""
    name = f"of_{login}".replace("_", "")
    owned = f"owner {login}" if owner else ""
    cluster_execute(
        cluster, f"create role {login} login {rights}", f"create database {name} {owned} template template0"
    )
    if vector:
        cluster_execute(cluster, "create extension vector", database=name)
    return name
