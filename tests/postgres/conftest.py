"""One embedded server for the run, without its safety on disk; one database for each module, from a migrated template.

Tests here run in real time: a virtual clock does not know that a thread is at work, and jumps meanwhile.
"""

import itertools
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import trio

from engine.store.bridge import open_db_thread
from engine.store.connect import SCHEMA, connect
from engine.store.database import Database, DatabaseConfig, open_database
from engine.store.embedded import EmbeddedServer
from engine.store.migrate import migrate
from engine.store.pghome import Home, find_home, make_cluster
from engine.store.sql import Connection

TEMPLATE = "template_frontdesk"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Cluster:
    """The run's server, as an administrator sees it."""

    server: EmbeddedServer

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={quote(self.server.address.host)}"

    def do(self, unit: Callable[[Connection], Awaitable[object]], database: str = "postgres") -> None:
        """Run something as the superuser, in a loop of its own."""

        async def over_there() -> None:
            connection = await connect({"dsn": self.url(database)})
            try:
                await unit(connection)
            finally:
                await connection.close()

        async def main() -> None:
            async with open_db_thread() as thread:
                await thread.run(over_there)

        trio.run(main)

    def execute(self, *statements: str, database: str = "postgres") -> None:
        async def unit(connection: Connection) -> None:
            for statement in statements:
                await connection.execute(statement)

        self.do(unit, database)

    def new_database(self, template: str = TEMPLATE) -> str:
        name = f"db{next(_numbers)}"
        self.execute(f"create database {name} template {template}")
        return name


def copied(made: Home, directory: Path) -> Home:
    """A home of its own, with a cluster that nothing has been done to."""
    home = find_home(directory, durable=False)
    subprocess.run(["cp", "-a", str(made.cluster), str(home.cluster)], check=True)
    return home


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A cluster to copy, since making one takes longest."""
    home = find_home(tmp_path_factory.mktemp("made"), durable=False)
    make_cluster(home)
    return home


@pytest.fixture(scope="session")
def cluster(made: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with EmbeddedServer(copied(made, tmp_path_factory.mktemp("postgres"))) as server:
        run = Cluster(server)
        run.execute(f"create database {TEMPLATE}")
        run.do(migrate, TEMPLATE)
        yield run


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> str:
    """Of a migrated database of this module's own."""
    return cluster.url(cluster.new_database())


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """Open, and empty whatever the test before left in it."""
    async with open_database(DatabaseConfig(url, Path("unused"), max_connections=20)) as opened:
        await opened.as_owner(_empty)
        yield opened


async def _empty(connection: Connection) -> None:
    rows = await connection.fetch(
        "select tablename from pg_tables where schemaname = $1 and tablename <> 'migration'", SCHEMA
    )
    await connection.execute(f"truncate {', '.join(row['tablename'] for row in rows)} restart identity")
