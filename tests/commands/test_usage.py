"""``frontdesk usage``: months closed and printed, as people and other programs read them."""

import json
from functools import partial
from pathlib import Path

import pytest
import trio

from engine.store.database import DatabaseConfig, open_database
from engine.store.postgres_bills import Bills
from engine.store.postgres_store import PostgresStore
from engine.store.postgres_tenants import PostgresTenants
from engine.store.tenants import TenantDocument
from engine.store.usage import UsageRecord
from engine.webhooks.seal import new_secret
from tests.commands.conftest import Run
from tests.postgres.conftest import cluster, made, url

__all__ = ["cluster", "made", "url"]  # the fixtures of the store's own tests
pytestmark = pytest.mark.real_time

PRICES = 'versions: [{valid_from: 2020-01, currency: EUR, prices: {line-seconds: {unit: 60, price: "0.10"}}}]'


async def _fill(url: str) -> None:
    async with open_database(DatabaseConfig(url, Path("unused"))) as database:
        for tenant_id, seconds in (("acme", 90.0), ("other", 30.0)):
            document = {"name": tenant_id.title(), "timezone": "Europe/Berlin", "of a later version": True}
            await PostgresTenants(database).put(TenantDocument(tenant_id, document))
            record = UsageRecord(tenant_id, "CA1", "line-seconds", seconds, "2026-03-10T10:00:00+00:00")
            await PostgresStore(database).keep_usage(record)


def test_a_month_is_printed_closed_and_exported(
    run: Run, home: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio.run(partial(_fill, url))
    (home / "prices.yaml").write_text(PRICES)
    monkeypatch.setenv("FRONTDESK_DATABASE_URL", url)
    monkeypatch.setenv("FRONTDESK_PRICE_BOOK", "prices.yaml")

    so_far = run("usage", "statement", "--month", "2026-03", "--csv", "out", "--html", "out")
    assert so_far.out == "acme\t2026-03\t0.15 EUR  so far\nother\t2026-03\t0.05 EUR  so far\n", so_far.err
    assert sorted(path.name for path in (home / "out").iterdir()) == [
        f"{tenant_id}-2026-03.{kind}" for tenant_id in ("acme", "other") for kind in ("csv", "html")
    ]
    assert run("usage", "close", "--month", "2026-03", "--tenant", "acme").out == "acme\t2026-03\t0.15 EUR\n"
    again = run("usage", "close", "--month", "2026-03", "--json")
    printed = [json.loads(line) for line in again.out.splitlines()]
    assert [(one["tenant_id"], one["total"]) for one in printed] == [("acme", "0.15"), ("other", "0.05")]
    assert all(one["closed_at"] for one in printed)


def test_a_closed_month_is_sent_to_the_biller_again(run: Run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trio.run(partial(_fill, url))
    monkeypatch.setenv("FRONTDESK_DATABASE_URL", url)
    nobody = run("usage", "send", "--month", "2026-02")
    assert (nobody.status, "FRONTDESK_BILLER_URL" in nobody.err) == (2, True)
    monkeypatch.setenv("FRONTDESK_BILLER_URL", "https://biller.example/")
    monkeypatch.setenv("FRONTDESK_BILLER_SECRET", new_secret())
    run("usage", "close", "--month", "2026-02", "--tenant", "acme")
    trio.run(partial(_all_told, url))
    sent = run("usage", "send", "--month", "2026-02")
    assert (sent.status, sent.out.split("\t")[:2]) == (0, ["acme", "2026-02"]), sent.err
    assert trio.run(partial(_waiting, url)) == 1
    other = run("usage", "send", "--month", "2026-02", "--tenant", "other")
    assert (other.status, "of other is not closed" in other.err) == (2, True)


async def _all_told(url: str) -> None:
    async with open_database(DatabaseConfig(url, Path("unused"))) as database:
        bills = Bills(database)
        for tenant_id, month in await bills.due(9):
            bill = await bills.claim(tenant_id, month, lease_s=9)
            assert bill is not None
            await bills.settle(bill, again_s=None, status=200, error="")
        assert await bills.standing() == (0, 0.0)


async def _waiting(url: str) -> int:
    async with open_database(DatabaseConfig(url, Path("unused"))) as database:
        return (await Bills(database).standing())[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--month", "March"), "is no month"), (("--month", "2026-03", "--tenant", "nobody"), "no tenant nobody")],
)
def test_a_mistake_is_one_clear_line(
    run: Run, url: str, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("FRONTDESK_DATABASE_URL", url)
    ran = run("usage", "close", *arguments)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert said in ran.err
