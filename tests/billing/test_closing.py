"""A month is closed once, with everything that was used before its end and is in no statement yet."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import trio

from engine.billing.book import Price, PriceBook, Version
from engine.billing.closing import close_month, statement_for
from engine.billing.period import Month
from engine.errors import ConfigurationError
from engine.store.database import Database
from engine.store.postgres_statements import Statements
from engine.store.postgres_store import PostgresStore
from engine.store.postgres_tenants import PostgresTenants
from engine.store.postgres_webhooks import Webhooks
from engine.store.tenants import TenantDocument
from engine.store.usage import UsageRecord
from engine.tenants.tenant import Tenant
from tests.postgres.conftest import cluster, database, made, url

__all__ = ["cluster", "database", "made", "url"]  # the fixtures of the store's own tests
pytestmark = pytest.mark.real_time

TENANT = Tenant(id="acme", name="Acme", greeting="Hello.", timezone="America/New_York")
PRICES = {"line-seconds": Price(unit=Decimal(60), price=Decimal("0.06"))}
BOOK = PriceBook(versions=(Version(valid_from="2026-01", currency="USD", prices=PRICES),))
MARCH, APRIL = Month(2026, 3), Month(2026, 4)
LATER = datetime(2026, 5, 2, tzinfo=UTC)


@pytest.fixture
async def statements(database: Database) -> Statements:
    await PostgresTenants(database).put(TenantDocument("acme", TENANT.model_dump(mode="json", by_alias=True)))
    return Statements(database)


async def used(database: Database, call_sid: str, seconds: float, at: str, kind: str = "line-seconds") -> bool:
    return await PostgresStore(database).keep_usage(UsageRecord("acme", call_sid, kind, seconds, at))


async def test_a_month_has_what_was_used_within_the_tenants_own(database: Database, statements: Statements) -> None:
    await used(database, "CA1", 60, "2026-03-01T04:59:59+00:00")  # in New York it is still February
    await used(database, "CA2", 60, "2026-03-01T05:00:00+00:00")
    await used(database, "CA3", 120, "2026-04-01T03:59:59+00:00")
    await used(database, "CA4", 600, "2026-04-01T04:00:00+00:00")
    begins, ends = MARCH.begins(TENANT.timezone), MARCH.ends(TENANT.timezone)
    (sums,) = await statements.used("acme", begins, ends)
    assert (sums.quantity, sums.calls) == (Decimal(180), 2)
    so_far = await statement_for(statements, TENANT, MARCH, BOOK)
    assert (so_far.total, so_far.closed_at) == (Decimal("0.24"), None)
    made, fresh = await close_month(statements, TENANT, MARCH, BOOK, LATER)
    assert fresh
    assert (made.total, made.lines[0].late) == (Decimal("0.24"), Decimal(60)), (
        "February was never closed: its call is in here"
    )


async def test_what_comes_late_is_in_the_next_statement_and_nothing_is_in_two(
    database: Database, statements: Statements
) -> None:
    assert await used(database, "CA1", 60, "2026-03-10T10:00:00+00:00")
    march, _ = await close_month(statements, TENANT, MARCH, BOOK, LATER)
    assert not await used(database, "CA1", 60, "2026-03-10T10:00:00+00:00"), "a spool that is replayed twice"
    await used(database, "CA2", 120, "2026-03-11T10:00:00+00:00")
    await used(database, "CA3", 30, "2026-04-11T10:00:00+00:00")
    again, fresh = await close_month(statements, TENANT, MARCH, BOOK, LATER)
    assert (again, fresh) == (march, False)
    april, _ = await close_month(statements, TENANT, APRIL, BOOK, LATER)
    assert (march.total, april.total) == (Decimal("0.06"), Decimal("0.15"))
    assert (april.lines[0].quantity, april.lines[0].late) == (Decimal(150), Decimal(120))


async def test_of_many_who_close_a_month_at_once_one_does_while_usage_comes_in(
    database: Database, statements: Statements
) -> None:
    fresh: list[bool] = []

    async def close() -> None:
        fresh.append((await close_month(statements, TENANT, MARCH, BOOK, LATER))[1])

    async def call(number: int) -> None:
        await used(database, f"CA{number}", 60, "2026-03-10T10:00:00+00:00")

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(call, number)
            if number % 6 == 0:
                nursery.start_soon(close)
    assert fresh.count(True) == 1
    await close_month(statements, TENANT, APRIL, BOOK, LATER)
    closed = await statements.page("acme", before=None, limit=10)
    assert [one.month for one in closed] == ["2026-04", "2026-03"]
    assert sum(one.total for one in closed) == Decimal("1.80"), "every call is in exactly one of them"


async def test_the_minutes_of_earlier_versions_are_seconds(database: Database, statements: Statements) -> None:
    await used(database, "CA1", 1.5, "2026-03-10T10:00:00+00:00", kind="minutes")
    await used(database, "CA2", 30, "2026-03-10T10:00:00+00:00")
    made, _ = await close_month(statements, TENANT, MARCH, BOOK, LATER)
    assert [(line.kind, line.quantity) for line in made.lines] == [("line-seconds", Decimal(120))]


async def test_a_month_that_is_not_over_cannot_be_closed(statements: Statements) -> None:
    with pytest.raises(ConfigurationError, match="not over yet"):
        await close_month(statements, TENANT, MARCH, BOOK, datetime(2026, 4, 1, 3, tzinfo=UTC))


async def test_a_closed_month_is_told_once(database: Database, statements: Statements) -> None:
    webhooks = Webhooks(database)
    await webhooks.add("acme", "e1", url="https://example.com", description="", events=["usage.closed"], secret=b"x")
    for _ in range(2):
        await close_month(statements, TENANT, MARCH, BOOK, LATER)
    assert [one.type for one in await webhooks.deliveries("acme", before=None, limit=9)] == ["usage.closed"]
