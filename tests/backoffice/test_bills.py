"""The operator's biller gets every closed month of every tenant, whatever it does and whoever dies."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import trio
from pydantic import AnyUrl, SecretStr

from engine.backoffice import chores
from engine.backoffice.app import build_backoffice
from engine.backoffice.biller import biller_of, run_biller
from engine.backoffice.office import Office, open_office
from engine.errors import ConfigurationError
from engine.store.postgres_bills import Bills
from engine.store.usage import UsageRecord
from engine.tenants.tenant import Tenant
from engine.webhooks.seal import new_secret
from tests.backoffice.conftest import TOKEN, Desk, settings_for
from tests.postgres.conftest import _empty
from tests.webhooks.receiver import Receiver, receiving

pytestmark = pytest.mark.real_time

PRICES = 'versions: [{valid_from: 2024-01, currency: USD, prices: {line-seconds: {unit: 60, price: "0.06"}}}]'
SOON_S = 20.0


@pytest.fixture
async def office(url: str, tmp_path: Path) -> AsyncIterator[Office]:
    book = tmp_path / "prices.yaml"
    book.write_text(PRICES)
    async with open_office(settings_for(url, tmp_path, price_book=book)) as opened:
        await opened.database.as_owner(_empty)
        yield opened


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.webhooks.schedule.FIRST_S", 0.1)
    monkeypatch.setattr("engine.webhooks.schedule.FACTOR", 1.1)
    monkeypatch.setattr("engine.webhooks.schedule.MOST_ATTEMPTS", 2)  # after which it goes on all the same
    monkeypatch.setattr("engine.webhooks.attempt.ATTEMPT_S", 0.4)
    monkeypatch.setattr("engine.backoffice.biller.LOOK_S", 0.1)


async def until(what: Callable[[], bool]) -> None:
    with trio.fail_after(SOON_S):
        while not what():
            await trio.sleep(0.02)


async def closed(office: Office, operator: Desk, tenant: Tenant, month: str = "2024-03") -> None:
    record = UsageRecord(tenant.id, f"CA-{month}", "line-seconds", 90.0, f"{month}-10T10:00:00+00:00")
    await office.store.keep_usage(record)
    response = await operator.ask("POST", f"/v1/tenants/{tenant.id}/statements/{month}/close")
    assert response.status_code == 200


def billed_by(office: Office, receiver: Receiver) -> Office:
    """The same office, with that biller set."""
    if not receiver.secrets:
        receiver.secrets.append(new_secret())
    told = {"biller_url": AnyUrl(receiver.url), "biller_secret": SecretStr(receiver.secrets[0])}
    return replace(office, settings=office.settings.model_copy(update={**told, "biller_allow_private": True}))


@asynccontextmanager
async def telling(*offices: Office) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        for office in offices:
            nursery.start_soon(run_biller, office)
        yield
        nursery.cancel_scope.cancel()


async def all_taken(office: Office) -> None:
    with trio.fail_after(SOON_S):
        while (await Bills(office.database).standing())[0]:
            await trio.sleep(0.02)


async def test_closed_months_of_all_tenants_are_told_signed_until_they_are_taken(
    office: Office, operator: Desk, dental: Tenant, plumbing: Tenant
) -> None:
    receiver = Receiver(manner="fails")
    await closed(office, operator, dental)
    async with receiving(receiver) as listeners, telling(billed_by(office, receiver)):
        await until(lambda: len(receiver.got) >= 4)  # more tries than a webhook of these tests would have
        receiver.manner = "hangs"
        await closed(office, operator, plumbing)
        await until(lambda: any(one.body["tenant_id"] == plumbing.id for one in receiver.got))
        receiver.down()
        receiver.manner = "well"
        await receiver.up(listeners)
        await all_taken(office)
    assert {one.type for one in receiver.got} == {"statement.closed"}
    bodies: dict[str, list[object]] = {}
    for one in receiver.got:
        bodies.setdefault(one.event_id, []).append(one.body)
    assert len(bodies) == 2
    assert all(body == told[0] for told in bodies.values() for body in told), "each try tells the same"
    statement = await operator.get(f"/v1/tenants/{dental.id}/statements/2024-03")
    (told,) = (one.body for one in receiver.taken if one.body["tenant_id"] == dental.id)
    assert told["data"]["total"] == statement["total"] == "0.09"
    assert told["data"]["lines"] == statement["lines"]
    assert datetime.fromisoformat(told["data"]["closed_at"]) == datetime.fromisoformat(statement["closed_at"])


async def test_a_month_of_a_tenant_that_was_deleted_since_is_told_all_the_same(
    office: Office, operator: Desk, dental: Tenant
) -> None:
    await closed(office, operator, dental)
    assert (await operator.ask("DELETE", f"/v1/tenants/{dental.id}")).status_code == 204
    receiver = Receiver()
    async with receiving(receiver), telling(billed_by(office, receiver)):
        await until(lambda: len(receiver.taken) == 1)
        again = await operator.ask("POST", f"/v1/tenants/{dental.id}/statements/2024-03/send")
        assert again.status_code == 202
        await until(lambda: len(receiver.taken) == 2)


async def test_what_a_back_office_was_at_when_it_died_is_told_by_the_next(
    office: Office, operator: Desk, dental: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.webhooks.attempt.ATTEMPT_S", 60.0)
    monkeypatch.setattr("engine.backoffice.biller.LEASE_S", 0.5)
    receiver = Receiver(manner="hangs")
    await closed(office, operator, dental)
    async with receiving(receiver):
        mine = billed_by(office, receiver)
        async with telling(mine):
            await until(lambda: len(receiver.got) == 1)
        receiver.manner = "well"
        async with telling(mine):
            await all_taken(office)
    assert len(receiver.taken) == 1
    assert len({one.event_id for one in receiver.got}) == 1


async def test_two_back_offices_tell_a_month_once_as_soon_as_it_is_closed(
    office: Office, operator: Desk, dental: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.backoffice.biller.LOOK_S", 60.0)  # far longer than this test
    receiver = Receiver()
    months = [f"2024-0{number}" for number in range(1, 5)]
    async with receiving(receiver):
        mine = billed_by(office, receiver)
        async with telling(mine, mine):
            for month in months:
                await closed(office, operator, dental, month)
            await all_taken(office)
    assert sorted(one.body["data"]["month"] for one in receiver.got) == months


async def test_a_bill_is_listed_with_what_came_of_it_and_sent_again_under_its_id(
    office: Office, operator: Desk, dental: Tenant
) -> None:
    await closed(office, operator, dental)
    (waiting,) = (await operator.get("/v1/bills?state=waiting"))["items"]
    assert (waiting["tenant_id"], waiting["month"], waiting["attempts"]) == (dental.id, "2024-03", 0)
    receiver = Receiver()
    async with receiving(receiver), telling(billed_by(office, receiver)):
        await all_taken(office)
        (done,) = (await operator.get("/v1/bills"))["items"]
        assert (done["state"], done["status"], done["id"]) == ("done", 200, receiver.taken[0].event_id)
        sent = await operator.ask("POST", f"/v1/tenants/{dental.id}/statements/2024-03/send")
        assert (await sent.get_json())["state"] == "waiting"
        await until(lambda: len(receiver.taken) == 2)
    assert receiver.taken[0].event_id == receiver.taken[1].event_id
    unknown = await operator.ask("POST", f"/v1/tenants/{dental.id}/statements/2024-02/send")
    assert unknown.status_code == 404


async def test_a_name_that_leads_into_a_private_network_is_not_knocked_at(
    office: Office, operator: Desk, dental: Tenant
) -> None:
    await closed(office, operator, dental)
    receiver = Receiver(secrets=[new_secret()])
    async with receiving(receiver):
        told = {
            "biller_url": AnyUrl(f"https://localhost:{receiver.port}/"),
            "biller_secret": SecretStr(receiver.secrets[0]),
        }
        async with telling(replace(office, settings=office.settings.model_copy(update=told))):
            with trio.fail_after(SOON_S):
                while not (bill := (await operator.get("/v1/bills"))["items"][0])["attempts"]:
                    await trio.sleep(0.02)
                while not (bill := (await operator.get("/v1/bills"))["items"][0])["error"]:
                    await trio.sleep(0.02)
    assert "may not reach" in bill["error"]
    assert receiver.most_at_once == 0


async def test_how_many_months_wait_is_a_metric_where_there_is_a_biller(
    office: Office, operator: Desk, dental: Tenant
) -> None:
    await closed(office, operator, dental)
    for mine, shown in ((office, False), (billed_by(office, Receiver(port=9)), True)):
        async with trio.open_nursery() as nursery:
            mine.watch.seen = None
            nursery.start_soon(chores._look, mine)
            await until(lambda: office.watch.seen is not None)
            nursery.cancel_scope.cancel()
        text = await (await Desk(build_backoffice(mine), TOKEN).ask("GET", "/metrics")).get_data(as_text=True)
        assert ("frontdesk_bills_waiting 1.0" in text) is shown


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"biller_url": AnyUrl("https://biller.example/")}, "FRONTDESK_BILLER_SECRET"),
        ({"biller_url": AnyUrl("https://biller.example/"), "biller_secret": SecretStr("not base64")}, "whsec_"),
        ({"biller_url": AnyUrl("https://10.0.0.7/"), "biller_secret": SecretStr(new_secret())}, "ALLOW_PRIVATE"),
        ({"biller_url": AnyUrl("http://biller.example/"), "biller_secret": SecretStr(new_secret())}, "https"),
        ({"biller_url": AnyUrl("https://me:pw@biller.example/"), "biller_secret": SecretStr(new_secret())}, "password"),
        ({"biller_url": AnyUrl("ftp://biller.example/"), "biller_secret": SecretStr(new_secret())}, "https"),
    ],
)
def test_a_biller_that_cannot_be_told_is_refused_at_start(tmp_path: Path, given: dict[str, object], said: str) -> None:
    settings = settings_for("postgresql://nowhere/x", tmp_path, **given)
    with pytest.raises(ConfigurationError, match=said) as refused:
        biller_of(settings)
    assert "not base64" not in str(refused.value)
    assert "pw" not in str(refused.value).replace("password", "")


def test_metadata_services_are_no_billers_whatever_is_set(tmp_path: Path) -> None:
    given = {"biller_url": AnyUrl("http://169.254.169.254/"), "biller_secret": SecretStr(new_secret())}
    with pytest.raises(ConfigurationError, match="no setting allows it"):
        biller_of(settings_for("postgresql://nowhere/x", tmp_path, **given, biller_allow_private=True))
