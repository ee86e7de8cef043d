"""Numbered migrations, forward only: ``migrations/NNNN_what.sql``, each in one transaction, each once.

Safe to run twice, and by any number of processes at once: one of them works, the others wait and find nothing to do.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # see connect.py

from engine.errors import ConfigurationError
from engine.log import get_logger
from engine.store.connect import APP_ROLE, SCHEMA, Session, check_server, choose_role

LOCK = 7_035_462_118  # any number, as long as it is always this one

_FOLDER = Path(__file__).with_name("migrations")
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_log = get_logger("store.migrate")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. ``digest`` tells whether it was changed after it had been run somewhere."""

    number: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        """Of the text."""
        return sha256(self.text.encode()).hexdigest()


def read_migrations(folder: Path = _FOLDER) -> list[Migration]:
    """All of them, in order.

    Raises:
        ConfigurationError: a file that is not named as a migration is, or numbers that are not 1, 2, 3, ...
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        if (named := _FILE.fullmatch(path.name)) is None:
            raise ConfigurationError(f"{path}: is not named as a migration is, such as 0002_what_it_does.sql")
        found.append(Migration(int(named[1]), named[2], path.read_text("utf-8")))
    if [one.number for one in found] != list(range(1, len(found) + 1)):
        raise ConfigurationError(f"{folder}: migrations are numbered 1, 2, 3, ... without a gap")
    return found


async def migrate(connection: Any, migrations: list[Migration] | None = None) -> Session:
    """Check the server, bring its schema up to date, and say how to work in it. On a connection of its own.

    Raises:
        ConfigurationError: the server, the login or what is there already cannot be used.
    """
    await connection.execute(f"select pg_advisory_lock({LOCK})")
    try:
        vector_schema = await check_server(connection)
        role = await choose_role(connection)
        await _prepare(connection, vector_schema)
        done = await _done(connection)
        wanted = read_migrations() if migrations is None else migrations
        _check_history(done, wanted)
        for one in wanted[len(done) :]:
            await _apply(connection, one)
        if role is not None:
            await _grant(connection)
        return Session(vector_schema, role)
    except asyncpg.InsufficientPrivilegeError as error:
        me = await connection.fetchval("select current_user")
        database = await connection.fetchval("select current_database()")
        raise ConfigurationError(
            f"FRONTDESK_DATABASE_URL: the login {me} may not do what is needed ({error}); an administrator must run:  "
            f'GRANT CREATE ON DATABASE "{database}" TO "{me}";'
        ) from None
    finally:
        if not connection.is_closed():
            await connection.execute(f"select pg_advisory_unlock({LOCK})")


async def _prepare(connection: Any, vector_schema: str) -> None:
    if not await connection.fetchval("select exists (select from pg_namespace where nspname = $1)", SCHEMA):
        await connection.execute(f"create schema {SCHEMA}")
    await connection.execute(Session(vector_schema).path)
    await connection.execute(
        f"create table if not exists {SCHEMA}.migration (number int primary key, name text not null, "
        "digest text not null, applied_at timestamptz not null default now())"
    )


async def _done(connection: Any) -> list[tuple[int, str, str]]:
    rows = await connection.fetch(f"select number, name, digest from {SCHEMA}.migration order by number")  # noqa: S608
    return [(row["number"], row["name"], row["digest"]) for row in rows]


def _check_history(done: list[tuple[int, str, str]], wanted: list[Migration]) -> None:
    if len(done) > len(wanted):
        number, name, _ = done[-1]
        raise ConfigurationError(
            f"the database was written by a newer Frontdesk (migration {number}, {name}); run that one or a newer one"
        )
    for (number, name, digest), one in zip(done, wanted, strict=False):
        if digest != one.digest:
            raise ConfigurationError(
                f"migration {number} ({name}) is not the one that was run on this database; restore its file, and put "
                "what is new into a migration of its own"
            )


async def _apply(connection: Any, one: Migration) -> None:
    async with connection.transaction():
        await connection.execute(one.text)
        await connection.execute(
            f"insert into {SCHEMA}.migration (number, name, digest) values ($1, $2, $3)",  # noqa: S608
            one.number,
            one.name,
            one.digest,
        )
    _log.info("migrated", number=one.number, name=one.name)


async def _grant(connection: Any) -> None:
    """Every time, since a later migration may have added a table."""
    async with connection.transaction():
        await connection.execute(
            f"grant usage on schema {SCHEMA} to {APP_ROLE};"
            f"grant select, insert, update, delete on all tables in schema {SCHEMA} to {APP_ROLE};"
            f"revoke insert, update, delete on {SCHEMA}.migration from {APP_ROLE}"
        )
