"""Endpoints and what is told them, over the API; and told by the back office itself."""

import pytest
import trio

from engine.backoffice.office import Office
from engine.backoffice.telling import run_webhooks
from engine.store.interface import CallEnd
from engine.tenants.tenant import Tenant
from engine.tools.http_guard import AddressGuard
from tests.backoffice.conftest import Desk, key_of
from tests.webhooks.receiver import Receiver, receiving

pytestmark = pytest.mark.real_time

PUBLIC = "https://hooks.example.com/frontdesk"


async def made(desk: Desk, tenant: Tenant, **given: object) -> dict[str, str]:
    response = await desk.ask("POST", f"/v1/tenants/{tenant.id}/webhooks", json={"url": PUBLIC, **given})
    assert response.status_code == 201, await response.get_data(as_text=True)
    found: dict[str, str] = await response.get_json()
    return found


async def test_an_endpoint_is_made_changed_rotated_and_deleted_its_secret_shown_once(
    operator: Desk, dental: Tenant
) -> None:
    webhook = await made(operator, dental, events=["call.ended"])
    place = f"/v1/tenants/{dental.id}/webhooks/{webhook['id']}"
    shown = await operator.get(place)
    assert "secret" not in shown
    assert webhook == {**shown, "secret": webhook["secret"]}
    changed = await operator.ask("PATCH", place, json={"events": [], "description": "All of it", "state": "off"})
    assert await changed.get_json() == {**shown, "events": [], "description": "All of it", "state": "off"}
    rotated = await (await operator.ask("POST", f"{place}/rotate")).get_json()
    assert rotated["secret"] != webhook["secret"]
    assert (await operator.ask("POST", f"{place}/test")).status_code == 409, "it is off"
    assert (await operator.ask("DELETE", place)).status_code == 204
    assert (await operator.ask("GET", place)).status_code == 404
    assert (await operator.get(f"/v1/tenants/{dental.id}/webhooks"))["items"] == []


REFUSED = (
    "http://hooks.example.com/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://169.254.169.254/latest",
    "https://user:word@example.com/",
    "https://[",
    "ftp://example.com/",
    "https://example.com:99999/",
)


async def test_an_address_that_must_not_be_knocked_at_is_refused(operator: Desk, dental: Tenant) -> None:
    for address in REFUSED:
        response = await operator.ask("POST", f"/v1/tenants/{dental.id}/webhooks", json={"url": address})
        assert response.status_code == 422, address


async def test_webhooks_are_for_those_who_administer_them(office: Office, operator: Desk, dental: Tenant) -> None:
    desk = Desk(operator.app, await key_of(office, dental, "read", "write", "calls"))
    assert (await desk.ask("GET", f"/v1/tenants/{dental.id}/webhooks")).status_code == 403
    assert (await desk.ask("GET", f"/v1/tenants/{dental.id}/webhook-deliveries")).status_code == 403


async def test_the_back_office_tells_and_what_died_is_replayed(
    office: Office, operator: Desk, dental: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.webhooks.schedule.MOST_ATTEMPTS", 1)
    # The API refuses a private address, and these tests have no other: as if it had been allowed then.
    monkeypatch.setattr("engine.backoffice.telling.AddressGuard", lambda **_: AddressGuard(allow_private=True))
    receiver = Receiver(manner="fails")
    async with receiving(receiver), trio.open_nursery() as nursery:
        webhook = await made(operator, dental, events=["call.ended"])
        receiver.secrets.append(webhook["secret"])
        await office.database.as_owner(
            lambda connection: connection.execute("update webhook_endpoint set url = $1", receiver.url)
        )
        nursery.start_soon(run_webhooks, office)
        await office.store.keep_call(CallEnd(dental.id, "CA1", "success", "agent_ended"))
        place = f"/v1/tenants/{dental.id}/webhook-deliveries"
        with trio.fail_after(20):
            while not (dead := (await operator.get(f"{place}?state=dead&webhook={webhook['id']}"))["items"]):
                await trio.sleep(0.05)
            assert (dead[0]["status"], dead[0]["attempts"]) == (500, 1)
            receiver.manner = "well"
            again = f"/v1/tenants/{dental.id}/webhooks/{webhook['id']}/deliveries/{dead[0]['event_id']}/replay"
            assert await (await operator.ask("POST", again)).get_json() == {"replayed": 1}
            while not receiver.taken:
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    assert [one.event_id for one in receiver.got] == [dead[0]["event_id"]] * 2
