"""What was used, and what it comes to, over the API."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.backoffice.app import build_backoffice
from engine.backoffice.office import Office, open_office
from engine.store.usage import UsageRecord
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import TOKEN, Desk, key_of, settings_for
from tests.postgres.conftest import _empty

pytestmark = pytest.mark.real_time

NOW = datetime(2026, 4, 3, 12, tzinfo=UTC)
PRICES = 'versions: [{valid_from: 2026-01, currency: USD, prices: {line-seconds: {unit: 60, price: "0.06"}}}]'


@pytest.fixture
async def office(url: str, tmp_path: Path) -> AsyncIterator[Office]:
    book = tmp_path / "prices.yaml"
    book.write_text(PRICES)
    async with open_office(settings_for(url, tmp_path, price_book=book), now=lambda: NOW) as opened:
        await opened.database.as_owner(_empty)
        yield opened


async def used(office: Office, tenant: Tenant, call_sid: str, seconds: float, at: str) -> None:
    await office.store.keep_usage(UsageRecord(tenant.id, call_sid, "line-seconds", seconds, at))


async def test_usage_of_the_present_month_or_of_a_period(office: Office, operator: Desk, dental: Tenant) -> None:
    await used(office, dental, "CA1", 90, "2026-03-10T10:00:00+00:00")
    await used(office, dental, "CA2", 30, "2026-04-02T10:00:00+00:00")
    place = f"/v1/tenants/{dental.id}/usage"
    assert [one["quantity"] for one in (await operator.get(place))["items"]] == ["30"]
    whole = await operator.get(f"{place}?begins=2026-03-01T00:00:00Z&ends=2026-05-01T00:00:00Z")
    assert whole["items"] == [{"kind": "line-seconds", "quantity": "120", "calls": 2}]
    response = await operator.ask("GET", f"{place}?begins=2026-05-01T00:00:00Z&ends=2026-03-01T00:00:00Z")
    assert response.status_code == 422


async def test_a_month_as_json_csv_and_page_before_and_after_it_is_closed(
    office: Office, operator: Desk, dental: Tenant
) -> None:
    await used(office, dental, "CA1", 90, "2026-03-10T10:00:00+00:00")
    place = f"/v1/tenants/{dental.id}/statements"
    so_far = await operator.get(f"{place}/2026-03")
    assert (so_far["total"], so_far["closed_at"]) == ("0.09", None)
    closed = await operator.ask("POST", f"{place}/2026-03/close")
    assert closed.status_code == 200
    assert await operator.get(f"{place}/2026-03") == await closed.get_json()
    assert [one["total"] for one in (await operator.get(place))["items"]] == ["0.09"]
    sheet = await operator.ask("GET", f"{place}/2026-03/csv")
    assert sheet.content_type == "text/csv; charset=utf-8"
    assert "line-seconds" in await sheet.get_data(as_text=True)
    page = await operator.ask("GET", f"{place}/2026-03/page")
    assert "0.09 USD" in await page.get_data(as_text=True)
    assert "script-src" not in page.headers["content-security-policy"]


@pytest.mark.parametrize(("month", "status"), [("2026-04", 409), ("2025-12", 409), ("2026-13", 404), ("x", 404)])
async def test_what_cannot_be_closed_is_told_why(operator: Desk, dental: Tenant, month: str, status: int) -> None:
    response = await operator.ask("POST", f"/v1/tenants/{dental.id}/statements/{month}/close")
    assert response.status_code == status


async def test_a_key_reads_its_own_statements_and_closes_none(office: Office, operator: Desk, dental: Tenant) -> None:
    desk = Desk(operator.app, await key_of(office, dental, "read"))
    await desk.get(f"/v1/tenants/{dental.id}/statements/2026-03")
    assert (await desk.ask("POST", f"/v1/tenants/{dental.id}/statements/2026-03/close")).status_code == 403
    assert (await desk.ask("GET", "/v1/price-book")).status_code == 403
    (version,) = (await Desk(build_backoffice(office), TOKEN).get("/v1/price-book"))["versions"]
    assert version["prices"]["line-seconds"]["price"] == "0.06"
