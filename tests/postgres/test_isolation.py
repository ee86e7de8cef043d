"""Row level security, with every filter of ours left out: nothing of another tenant is seen, nor can be written."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has annotations, but does not say so
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import MisuseError
from engine.messages import Effect
from engine.store.connect import SCHEMA
from engine.store.database import Database, DatabaseConfig, open_database
from engine.store.diary import Appointment
from engine.store.ledger import ClaimRequest, EffectKey
from engine.store.live_calls import KeptCall, LiveState
from engine.store.passages import NewPassage, SourceDocument
from engine.store.postgres_api_keys import ApiKeys
from engine.store.postgres_audit import AuditLog
from engine.store.postgres_diary import PostgresDiary
from engine.store.postgres_idempotency import Answers
from engine.store.postgres_ledger import PostgresLedger
from engine.store.postgres_live_calls import PostgresLiveCalls
from engine.store.postgres_passages import PostgresPassages
from engine.store.postgres_recordings import PostgresRecordings
from engine.store.postgres_statements import Statements
from engine.store.postgres_store import PostgresStore
from engine.store.postgres_tenants import PostgresTenants
from engine.store.postgres_webhooks import Webhooks
from engine.store.recordings import Recording
from engine.store.sql import Connection, query
from engine.store.tenants import TenantDocument
from tests.store.suites.records import a_follow_up, a_usage, an_end

TENANTS = ("acme", "other", "third")
NOON = datetime(2026, 11, 3, 12)  # noqa: DTZ001 - the business's own time
DAY, FOREVER = datetime(2026, 3, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


async def fill(database: Database, tenant_id: str, number: int) -> None:
    """A row of this tenant's in every table, through every repository; keys are alike between tenants."""
    store, passages = PostgresStore(database), PostgresPassages(database)
    await PostgresTenants(database).put(TenantDocument(tenant_id, {"canary": tenant_id}, (f"+1555010010{number}",)))
    await fill_back_office(database, tenant_id)  # before what calls leave, so that there is an event to deliver
    await store.keep_call(an_end(tenant_id, reason=tenant_id, messages=1))
    await store.keep_follow_up(a_follow_up(tenant_id, text=tenant_id))
    await store.keep_usage(a_usage(tenant_id))
    await PostgresDiary(database).book(Appointment(tenant_id, "r1", NOON, f"canary of {tenant_id}", "+15550100199"))
    source, passage = (
        SourceDocument("faq", tenant_id, "text", "v"),
        NewPassage(0, "", f"the canary of {tenant_id}", "d"),
    )
    await passages.replace_source(tenant_id, source, [passage], {"d": [1.0, number]}, "toy-2")
    live = KeptCall(tenant_id, "CA1", "w", 1, 0, LiveState.LIVE, snapshot=f'{{"canary": "{tenant_id}"}}')
    await PostgresLiveCalls(database).keep_many([live])
    key = EffectKey(tenant_id, "CA1", "book", "d", "call")
    await PostgresLedger(database).claim(key, ClaimRequest("id", "a", Effect.WRITES, 60))


async def fill_back_office(database: Database, tenant_id: str) -> None:
    if await Webhooks(database).get(tenant_id, "main") is None:
        await Webhooks(database).add(tenant_id, "main", url=tenant_id, description="", events=[], secret=b"sealed")
        await ApiKeys(database).add(tenant_id, "k1", name=tenant_id, scopes=("read",), digest=b"d", created_by="test")
    nothing = ("USD", Decimal(0), {"canary": tenant_id})
    await Statements(database).close(tenant_id, "2026-03", DAY, DAY, lambda _: nothing)
    await AuditLog(database).note(tenant_id, who=tenant_id, method="POST", path="/", status=200)
    await Answers(database).claim(tenant_id, "who", "key", b"digest")
    await PostgresRecordings(database).keep(Recording(tenant_id, "CA1", 1, tenant_id, DAY.isoformat(), 1, 1))
    cancelled = (
        "insert into cancelled_appointment values ($1, 'r0', $2, $1, '', '', now(), now(), 'test') "
        "on conflict do nothing"
    )
    await database.for_tenant(tenant_id, lambda connection: connection.execute(cancelled, tenant_id, NOON))


async def tables(connection: Connection) -> list[str]:
    rows = await connection.fetch("select tablename from pg_tables where schemaname = $1", SCHEMA)
    return sorted(row["tablename"] for row in rows if row["tablename"] != "migration")


async def owners_seen(connection: Connection) -> dict[str, set[str]]:
    """Whose rows a query without any filter sees, table by table."""
    return {
        table: {row["tenant_id"] for row in await connection.fetch(f"select * from {table}")}
        for table in await tables(connection)
    }


@pytest.fixture
async def filled(database: Database) -> Database:
    for number, tenant_id in enumerate(TENANTS):
        await fill(database, tenant_id, number)
    return database


async def test_without_a_filter_each_tenant_sees_its_own_rows_in_every_table(filled: Database) -> None:
    for tenant_id in TENANTS:
        for way in (filled.for_tenant, filled.read_for_tenant, filled.autocommit):
            seen = await way(tenant_id, owners_seen)
            assert len(seen) == 23
            assert seen == {table: {tenant_id} for table in seen}


async def test_without_a_tenant_nothing_is_seen_at_all(filled: Database) -> None:
    for _ in range(3):  # also on connections where a tenant had been set before
        await filled.for_tenant("acme", owners_seen)
        await filled.autocommit("acme", owners_seen)
        seen = await filled.run(owners_seen)
        assert not any(seen.values())


async def test_who_looks_after_all_tenants_sees_documents_numbers_and_months_to_bill_only(filled: Database) -> None:
    seen = await filled.across_tenants(owners_seen)
    assert {table for table, owners in seen.items() if owners} == {"tenant", "number", "bill"}
    assert seen["tenant"] == seen["bill"] == set(TENANTS)


async def test_who_looks_after_all_tenants_changes_no_bill(filled: Database) -> None:
    async def spoil(connection: Connection) -> str:
        return await connection.execute("update bill set state = 'done'")

    assert await filled.across_tenants(spoil) == "UPDATE 0"


async def test_rows_of_another_tenant_can_neither_be_written_nor_touched(filled: Database) -> None:
    async def clone_to_other(connection: Connection, table: str) -> None:
        columns = await connection.fetch(
            "select column_name, is_generated, is_identity from information_schema.columns "
            "where table_schema = $1 and table_name = $2 and column_name <> 'tenant_id'",
            SCHEMA,
            table,
        )
        plain = [c["column_name"] for c in columns if c["is_generated"] == "NEVER" and c["is_identity"] == "NO"]
        names = ", ".join(plain)
        await connection.execute(f"insert into {table} (tenant_id, {names}) select 'new', {names} from {table}")

    async def spoil(connection: Connection, table: str) -> list[str]:
        return [
            await connection.execute(f"update {table} set tenant_id = tenant_id where tenant_id <> 'acme'"),
            await connection.execute(f"delete from {table} where tenant_id <> 'acme'"),
        ]

    for table in await filled.run(tables):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await filled.for_tenant("acme", clone_to_other, table)
        assert await filled.for_tenant("acme", spoil, table) == ["UPDATE 0", "DELETE 0"]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_query_of_the_file_is_harmless_under_another_tenants_name(data: st.DataObject, url: str) -> None:
    """Ask in the session of one tenant, with another's id in the explicit filter: the database alone must say no."""
    asker, victim = data.draw(st.permutations(TENANTS).map(lambda names: names[:2]))
    asked = data.draw(st.permutations(READS))

    async def main() -> None:
        async with open_database(DatabaseConfig(url, Path("unused"))) as database:
            for number, tenant_id in enumerate(TENANTS):
                await fill(database, tenant_id, number)
            for name, arguments in asked:
                rows = await database.for_tenant(asker, _ask, name, (victim, *arguments))
                assert rows == [], name
                own = await database.for_tenant(asker, _ask, name, (asker, *arguments))
                assert own, name
                assert victim not in repr(own), name

    trio.run(main)


READS: list[tuple[str, tuple[Any, ...]]] = [
    ("call_ends", ()),
    ("follow_ups", ()),
    ("usage", ()),
    ("taken_slots", (NOON, NOON.replace(day=4))),
    ("appointment_by_reference", ("r1",)),
    ("appointments_of_phone", ("+15550100199",)),
    ("entry", ("CA1",)),
    ("tenant", ()),
    ("nearest", ("toy-2", [1.0, 1.0], 10)),
    ("lexical", ("canary", 10)),
    ("known_digests", ("toy-2", ["d"])),
    ("vectors_of_digests", ("toy-2", ["d"])),
    ("passages_of_source", ("faq",)),
    ("sources", ()),
    ("live_call", ("CA1",)),
    ("standings", (["CA1"],)),
    ("usage_sums", (DAY, FOREVER)),
    ("open_usage", (DAY, FOREVER)),
    ("statement", ("2026-03",)),
    ("statements", (None, 9)),
    ("webhook", ("main",)),
    ("webhooks", (None, 9)),
    ("deliveries", (None, 9, None, None, None)),
    ("webhooks_due_of", ()),
    ("told_live_call", ("CA1",)),
    ("told_call_end", ("CA1",)),
    ("told_follow_up", ("k1",)),
    ("told_appointment", ("r1",)),
]


async def _ask(connection: Connection, name: str, arguments: tuple[Any, ...]) -> list[dict[str, Any]]:
    if name == "entry":
        arguments = (*arguments, EffectKey(arguments[0], "CA1", "book", "d", "call").effect_id)
    return [dict(row) for row in await connection.fetch(query(name), *arguments)]


async def test_a_hundred_tasks_of_three_tenants_never_mix(filled: Database) -> None:
    """On few connections, with cancellations in between: no tenant is left set for the next."""
    store, passages = PostgresStore(filled), PostgresPassages(filled)

    async def hammer(number: int) -> None:
        mine = TENANTS[number % 3]
        asks: list[Callable[[], Awaitable[Any]]] = [
            lambda: store.calls(mine),
            lambda: store.follow_ups(mine),
            lambda: passages.nearest(mine, "toy-2", [1.0, 1.0], 5),
            lambda: passages.lexical(mine, "canary", 5),
            lambda: filled.autocommit(mine, owners_seen),
        ]
        for turn in range(5):
            with trio.move_on_after(0.001 * ((number + turn) % 7)):
                await asks[turn]()
            said = repr(await asks[turn]())
            assert mine in said
            assert not any(stranger in said for stranger in TENANTS if stranger != mine)

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(hammer, number)


@pytest.mark.parametrize("name", ["", "a'b", "a; reset role", "x" * 129, "a\x00"])
async def test_a_tenants_id_that_is_no_name_never_reaches_the_database(database: Database, name: str) -> None:
    for way in (database.for_tenant, database.read_for_tenant, database.autocommit):
        with pytest.raises(MisuseError):
            await way(name, tables)
