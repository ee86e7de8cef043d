"""Tenants' documents over the API."""

from typing import Any

import pytest

from engine.backoffice.documents import merge
from engine.backoffice.office import Office
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import Desk, key_of

NEW = {"id": "corner-shop", "name": "Corner Shop", "greeting": "Corner Shop, hello.", "numbers": ["+15550107777"]}


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_is_that_of_rfc_7396(target: Any, patch: Any, result: Any) -> None:
    assert merge(target, patch) == result


async def test_a_tenant_is_made_once(operator: Desk) -> None:
    made = await operator.ask("POST", "/v1/tenants", NEW)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert (await operator.get(made.headers["location"]))["greeting"] == NEW["greeting"]
    again = await operator.ask("POST", "/v1/tenants", NEW)
    assert (again.status_code, (await again.get_json())["type"]) == (409, "urn:frontdesk:problem:exists")


async def test_a_number_stays_with_its_tenant(operator: Desk, dental: Tenant) -> None:
    taken = await operator.ask("POST", "/v1/tenants", {**NEW, "numbers": [dental.numbers[0]]})
    assert (taken.status_code, (await taken.get_json())["type"]) == (409, "urn:frontdesk:problem:number-taken")
    assert (await operator.ask("GET", "/v1/tenants/corner-shop")).status_code == 404


async def test_what_was_changed_meanwhile_is_not_written_over(operator: Desk, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}"
    first = await operator.ask("GET", path)
    document, read = await first.get_json(), first.headers["etag"]
    changed = await operator.ask("PUT", path, {**document, "greeting": "One"}, headers={"if-match": read})
    assert changed.status_code == 200
    late = await operator.ask("PUT", path, {**document, "greeting": "Two"}, headers={"if-match": read})
    assert (late.status_code, late.headers["etag"]) == (412, changed.headers["etag"])
    assert (await operator.ask("PATCH", path, {"greeting": "Two"}, headers={"if-match": read})).status_code == 412
    assert (await operator.ask("DELETE", path, headers={"if-match": read})).status_code == 412
    assert (await operator.get(path))["greeting"] == "One"


async def test_replacing_needs_to_say_what(operator: Desk, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}"
    document = await operator.get(path)
    assert (await operator.ask("PUT", path, document)).status_code == 428
    assert (await operator.ask("PUT", path, document, headers={"if-match": "*"})).status_code == 200
    assert (await operator.ask("PUT", path, document, headers={"if-none-match": "*"})).status_code == 412


async def test_a_patch_changes_what_it_names(operator: Desk, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}"
    patched = await operator.ask("PATCH", path, {"script": {"goodbye": "Bye now."}, "persona": None})
    assert patched.status_code == 200
    document = await operator.get(path)
    assert document["script"] == {**dental.script.model_dump(mode="json"), "goodbye": "Bye now."}
    assert document["persona"] == Tenant.model_fields["persona"].default
    assert document["greeting"] == dental.greeting


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"timing": {"lead_ms": "300"}}, "body.timing.lead_ms"),
    ({"greeting": " "}, "body"),
    ({"timezone": "Mars/Olympus"}, "body.timezone"),
    ({"tools": [{"name": "fly", "description": "flies"}]}, "body.tools"),
    ({"nonsense": 1}, "body.nonsense"),
    ({"name": "a\x00b"}, "body"),
]


async def test_a_document_that_cannot_be_served_is_refused_by_place(operator: Desk, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}"
    before = (await operator.ask("GET", path)).headers["etag"]
    for patch, at in REFUSED:
        refused = await operator.ask("PATCH", path, patch)
        assert refused.status_code == 422, patch
        assert (await refused.get_json())["mistakes"][0]["at"] == at
    assert (await operator.ask("GET", path)).headers["etag"] == before


async def test_a_key_changes_its_document_but_not_what_the_operator_answers_for(
    operator: Desk, office: Office, dental: Tenant
) -> None:
    path = f"/v1/tenants/{dental.id}"
    desk = Desk(operator.app, await key_of(office, dental, "read", "write"))
    assert (await desk.ask("PATCH", path, {"greeting": "Hello."})).status_code == 200
    for patch in ({"numbers": ["+15550109999"]}, {"quotas": {"minutes_per_day": None, "concurrent_calls": 999}}):
        assert (await desk.ask("PATCH", path, patch)).status_code == 403
    assert (await desk.ask("DELETE", path)).status_code == 403
    assert (await desk.ask("GET", "/v1/tenants")).status_code == 403


async def test_a_tenant_that_was_deleted_is_gone_with_its_keys(operator: Desk, office: Office, dental: Tenant) -> None:
    desk = Desk(operator.app, await key_of(office, dental, "read"))
    path = f"/v1/tenants/{dental.id}"
    assert (await operator.ask("DELETE", path)).status_code == 204
    assert (await operator.ask("GET", path)).status_code == 404
    assert (await operator.ask("DELETE", path)).status_code == 404
    assert (await desk.ask("GET", path)).status_code == 401


async def test_tenants_are_listed_in_pages(operator: Desk, office: Office) -> None:
    for name in ("a-1", "b-2", "c-3"):
        made = await operator.ask("POST", "/v1/tenants", {**NEW, "id": name, "numbers": []})
        assert made.status_code == 201
    first = await operator.get("/v1/tenants?limit=2")
    assert [tenant["id"] for tenant in first["items"]] == ["a-1", "b-2"]
    second = await operator.get(f"/v1/tenants?limit=2&cursor={first['next_cursor']}")
    assert ([tenant["id"] for tenant in second["items"]], second["next_cursor"]) == (["c-3"], None)


async def test_what_a_document_knows_can_be_found_once_it_is_there(operator: Desk, office: Office) -> None:
    note = {"source": "parking", "text": "You can park behind the house."}
    assert (await operator.ask("POST", "/v1/tenants", {**NEW, "knowledge": [note]})).status_code == 201
    assert [source.kind for source in await office.shelf.passages.sources("corner-shop")] == ["notes"]
