"""``Idempotency-Key``: done once, answered as often as asked."""

from collections.abc import Mapping
from typing import Any

import trio

from engine.backoffice.office import Office
from engine.store.sql import Connection
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import Desk, key_of

ONCE = {"idempotency-key": "one"}
MESSAGE = {"arguments": {"name": "Ann Lee", "message": "Please call back.", "phone": "+15550104444"}}


async def rows(office: Office, tenant_id: str, statement: str) -> list[Mapping[str, Any]]:
    async def unit(connection: Connection) -> list[Mapping[str, Any]]:
        return await connection.fetch(statement)

    return await office.database.for_tenant(tenant_id, unit)


async def test_a_repeated_post_is_done_once_and_answered_alike(operator: Desk, office: Office, dental: Tenant) -> None:
    path, body = f"/v1/tenants/{dental.id}/keys", {"name": "till", "scopes": ["read"]}
    first, second = [await operator.ask("POST", path, body, headers=ONCE) for _ in range(2)]
    assert (second.status_code, await second.get_json()) == (201, await first.get_json())
    assert second.headers["location"] == first.headers["location"]
    assert (second.headers["idempotency-replayed"], "idempotency-replayed" in first.headers) == ("true", False)
    assert len((await operator.get(path))["items"]) == 1


async def test_a_secret_that_is_repeated_is_not_readable_where_it_is_kept(
    operator: Desk, office: Office, dental: Tenant
) -> None:
    body = {"name": "till", "scopes": ["read"]}
    made = await operator.ask("POST", f"/v1/tenants/{dental.id}/keys", body, headers=ONCE)
    secret = (await made.get_json())["secret"].split("_")[-1].encode()
    (kept,) = await rows(office, dental.id, "select answer from idempotency")
    assert secret not in kept["answer"]


async def test_another_request_under_a_used_key_is_refused(operator: Desk, office: Office, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}/keys"
    await operator.ask("POST", path, {"name": "till", "scopes": ["read"]}, headers=ONCE)
    other = await operator.ask("POST", path, {"name": "other", "scopes": ["read"]}, headers=ONCE)
    assert (other.status_code, (await other.get_json())["type"]) == (422, "urn:frontdesk:problem:key-reused")
    mine = Desk(operator.app, await key_of(office, dental, "read", "admin"))
    assert (await mine.ask("POST", path, {"name": "x", "scopes": ["read"]}, headers=ONCE)).status_code == 201


async def test_a_refusal_is_not_remembered(operator: Desk, dental: Tenant) -> None:
    body = {"id": "corner-shop", "name": "Corner Shop", "greeting": "Hello.", "numbers": list(dental.numbers)}
    assert (await operator.ask("POST", "/v1/tenants", body, headers=ONCE)).status_code == 409
    await operator.ask("DELETE", f"/v1/tenants/{dental.id}")
    assert (await operator.ask("POST", "/v1/tenants", body, headers=ONCE)).status_code == 201


async def test_the_same_request_at_the_same_time_waits_its_turn(operator: Desk, office: Office, dental: Tenant) -> None:
    path, body = f"/v1/tenants/{dental.id}/keys", {"name": "till", "scopes": ["read"]}
    answers: list[int] = []

    async def ask() -> None:
        answers.append((await operator.ask("POST", path, body, headers=ONCE)).status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(ask)
    assert answers.count(201) >= 1
    assert set(answers) <= {201, 409}
    assert len((await operator.get(path))["items"]) == 1


async def test_a_tool_is_tried_once_even_where_the_answer_was_lost(
    operator: Desk, office: Office, dental: Tenant
) -> None:
    path = f"/v1/tenants/{dental.id}/tools/take_message/try"
    first = await (await operator.ask("POST", path, MESSAGE, headers=ONCE)).get_json()
    assert (first["response"]["status"], first["deduplicated"]) == ("ok", False)
    await rows(office, dental.id, "delete from idempotency")  # as if this process had died before it could keep it
    second = await (await operator.ask("POST", path, MESSAGE, headers=ONCE)).get_json()
    assert (second["response"], second["deduplicated"]) == (first["response"], True)
    await operator.ask("POST", path, MESSAGE)
    assert len(await office.store.follow_ups(dental.id)) == 2
