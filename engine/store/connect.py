"""Connections to PostgreSQL, and what is asked of a server before anything is kept in it. On the database's thread.

What an administrator has to do is said in one line that can be run as it stands.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import asyncpg  # type: ignore[import-untyped]  # it has annotations, but does not say so
from pgvector import HalfVector

from engine.errors import ConfigurationError, StoreUnavailable
from engine.store.sql import Connection

OLDEST = 15
APP_ROLE = "app_rw"
SCHEMA = "frontdesk"
CONNECTING_S = 5.0
COMMAND_S = 30.0  # no statement of ours takes a tenth of it; a hung server does

# Lost, refused, starting, stopping, full, turned into a standby: all of them may be over in a moment.
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.TransactionRollbackError,  # a deadlock: once more, and it goes well
    asyncpg.InternalClientError,  # what asyncpg says of a connection that is lost while it is handed out
    OSError,  # TimeoutError is one
)
_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
    ValueError,
)

Options: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Session:
    """What each connection is told first. ``app_role`` is None where the login itself cannot bypass row security."""

    vector_schema: str
    app_role: str | None = None

    @property
    def path(self) -> str:
        """The statement that makes our names known."""
        return f'set search_path = {SCHEMA}, "{self.vector_schema}"'

    @property
    def first(self) -> str:
        """The statements that make a connection safe for one tenant's work."""
        return self.path + (f"; set role {self.app_role}" if self.app_role else "")


def unavailable(error: BaseException, *, closed: bool = False) -> StoreUnavailable | None:
    """The failure as ours, if it means that the database is away; ``closed``: the connection it happened on is."""
    if isinstance(error, _AWAY) or (closed and isinstance(error, asyncpg.InterfaceError)):
        said = " ".join(str(error).split()) or type(error).__name__
        return StoreUnavailable(f"the database is away: {said}")
    return None


async def connect(options: Options) -> Any:
    """A plain connection.

    Raises:
        ConfigurationError: the address or the login is wrong.
        StoreUnavailable: nobody answers there now.
    """
    try:
        return await asyncpg.connect(**options, timeout=CONNECTING_S, command_timeout=COMMAND_S)
    except _REFUSED as error:
        raise ConfigurationError(
            f"FRONTDESK_DATABASE_URL: the database refuses us: {error}; write it as postgresql://user:password@host/name"
        ) from None
    except _AWAY as error:
        raise StoreUnavailable(f"the database cannot be reached: {error or type(error).__name__}") from error


async def tell(connection: Any, session: Session, *, owner: bool = False) -> None:
    """Make a new connection fit for work: names, role, and vectors as lists of numbers."""
    await connection.execute(session.path if owner else session.first)
    await connection.set_type_codec(
        "halfvec",
        schema=session.vector_schema,
        encoder=lambda value: HalfVector(value).to_binary(),
        decoder=lambda data: HalfVector.from_binary(data).to_list(),
        format="binary",
    )


async def check_server(connection: Connection) -> str:
    """Is this a server that we can use? The schema in which pgvector's types are.

    Raises:
        ConfigurationError: too old, or without pgvector; with what to do about it.
    """
    number = int(await connection.fetchval("select current_setting('server_version_num')"))
    if number // 10_000 < OLDEST:
        raise ConfigurationError(
            f"FRONTDESK_DATABASE_URL: that is PostgreSQL {number // 10_000}; it has to be {OLDEST} or newer"
        )
    installed = (
        "select n.nspname as schema, e.extversion as version "
        "from pg_extension e join pg_namespace n on n.oid = e.extnamespace where extname = 'vector'"
    )
    found = await connection.fetchrow(installed)
    if found is None:
        await _create_vector(connection)
        found = await connection.fetchrow(installed)
    assert found is not None
    version = tuple(int(part) for part in str(found["version"]).split(".")[:2])
    if version < (0, 7):
        raise ConfigurationError(
            f"FRONTDESK_DATABASE_URL: pgvector there is {found['version']}, and halfvec came with 0.7; "
            "after installing a newer one an administrator must run:  ALTER EXTENSION vector UPDATE;"
        )
    return str(found["schema"])


async def _create_vector(connection: Connection) -> None:
    database = await connection.fetchval("select current_database()")
    if not await connection.fetchval("select exists (select from pg_available_extensions where name = 'vector')"):
        raise ConfigurationError(
            "FRONTDESK_DATABASE_URL: pgvector is not installed on that server; install its package there "
            f'(such as postgresql-18-pgvector), then an administrator must run in database "{database}":  '
            "CREATE EXTENSION vector;"
        )
    try:
        await connection.execute("create extension if not exists vector")
    except asyncpg.InsufficientPrivilegeError:
        raise ConfigurationError(
            "FRONTDESK_DATABASE_URL: pgvector is not created there, and this login may not do it; an administrator "
            f'must run in database "{database}":  CREATE EXTENSION vector;'
        ) from None


async def choose_role(connection: Connection) -> str | None:
    """The role to work under: ``app_rw`` where we may be it; else the login itself (None), if row security binds it.

    Raises:
        ConfigurationError: the login bypasses row security and there is nobody else to be.
    """
    facts = await connection.fetchrow(
        "select current_user as me, rolsuper or rolbypassrls as free, rolsuper or rolcreaterole as creates "
        "from pg_roles where rolname = current_user"
    )
    assert facts is not None
    if facts["creates"]:
        await _have_role(cast("str", facts["me"]), connection)
    try:
        await connection.execute(f"set role {APP_ROLE}")
    except asyncpg.PostgresError:
        if not facts["free"]:
            return None
        raise ConfigurationError(
            f"FRONTDESK_DATABASE_URL: the login {facts['me']} bypasses row level security; an administrator must run:  "
            f'CREATE ROLE {APP_ROLE} NOSUPERUSER NOBYPASSRLS; GRANT {APP_ROLE} TO "{facts["me"]}";'
        ) from None
    free = await connection.fetchval("select rolsuper or rolbypassrls from pg_roles where rolname = current_user")
    await connection.execute("reset role")
    if free:
        raise ConfigurationError(
            f"FRONTDESK_DATABASE_URL: the role {APP_ROLE} bypasses row level security; an administrator must run:  "
            f"ALTER ROLE {APP_ROLE} NOSUPERUSER NOBYPASSRLS;"
        )
    return APP_ROLE


async def _have_role(me: str, connection: Connection) -> None:
    """Roles belong to the whole server, and two databases on it may be set up at once: a lost race is a success."""
    try:
        await connection.execute(f"create role {APP_ROLE} nologin nosuperuser nobypassrls")
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        pass
    except asyncpg.InsufficientPrivilegeError:
        return
    with suppress(asyncpg.PostgresError):  # created by somebody else, not for us: the login itself may do
        await connection.execute(f'grant {APP_ROLE} to "{me}"')
