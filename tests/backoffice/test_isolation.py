"""A tenant's key sees its tenant alone: asked of every route that there is, whoever wrote it."""

import re
from datetime import datetime
from typing import Any

from engine.backoffice.access import SCOPES
from engine.backoffice.office import Office
from engine.store.diary import Appointment
from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd, Message
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import Desk, key_of

SID = "CA" + "7" * 32
CALLER = "+15550106666"
AT = "2026-03-14T09:00:00+00:00"
IDS = {
    "call_sid": SID,
    "key": "a-task",
    "reference": "a-slot",
    "number": CALLER,
    "position": "1",
    "tool": "take_message",
    "line": "greeting",
    "name": "secrets.md",
}


async def leave_everything(office: Office, tenant: Tenant, key_id: str) -> dict[str, str]:
    """One of each kind, of this tenant; their ids by the names that paths have for them."""
    document = {"caller": CALLER, "ended_at": AT, "outcome": {"detail": "SECRET"}}
    message = Message(tenant.id, SID, CALLER, b"\xff" * 800, AT)
    await office.store.keep_call(CallEnd(tenant.id, SID, "success", "agent_ended", document, (message,)))
    await office.store.keep_follow_up(FollowUp(tenant.id, SID, "a-task", "task", CALLER, "SECRET", AT))
    starts = datetime(2026, 4, 1, 9)  # noqa: DTZ001 - the business's own time
    await office.diary.book(Appointment(tenant.id, "a-slot", starts, "SECRET", CALLER))
    return {**IDS, "key_id": key_id}


def filled(path: str, tenant_id: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda part: tenant_id if part[1] == "tenant_id" else ids.get(part[1], "x"), path)


async def operations(desk: Desk) -> list[tuple[str, str]]:
    document = await desk.get("/openapi.json")
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


def body_of(method: str) -> dict[str, Any]:
    return {} if method in ("GET", "DELETE") else {"json": {}}


async def test_a_key_finds_nothing_of_another_tenant_on_any_route(
    operator: Desk, office: Office, dental: Tenant, plumbing: Tenant
) -> None:
    ids = await leave_everything(office, plumbing, (await key_of(office, plumbing, "read")).split("_")[2])
    stranger = Desk(operator.app, await key_of(office, dental, *SCOPES))
    asked = [(method, path) for method, path in await operations(operator) if "{tenant_id}" in path]
    assert len(asked) > 25
    for method, path in asked:
        response = await stranger.ask(method, filled(path, plumbing.id, ids), **body_of(method))
        said = await response.get_data(as_text=True)
        assert (response.status_code, "SECRET" in said) == (404, False), (method, path, said)
        nobody = await Desk(operator.app, None).ask(method, filled(path, plumbing.id, ids), **body_of(method))
        assert nobody.status_code == 401, (method, path)


async def test_what_is_no_tenants_is_the_operators_alone(operator: Desk, office: Office, dental: Tenant) -> None:
    key = Desk(operator.app, await key_of(office, dental, *SCOPES))
    for method, path in await operations(operator):
        if "{tenant_id}" not in path:
            assert (await key.ask(method, path, **body_of(method))).status_code == 403, (method, path)


async def test_another_tenants_ids_are_unknown_under_ones_own_path(
    operator: Desk, office: Office, dental: Tenant, plumbing: Tenant
) -> None:
    ids = await leave_everything(office, plumbing, (await key_of(office, plumbing, "read")).split("_")[2])
    own = Desk(operator.app, await key_of(office, dental, *SCOPES))
    whose = ("call_sid", "key", "reference", "number", "key_id")
    for method, path in await operations(operator):
        named = re.findall(r"\{(\w+)\}", path)
        if method == "GET" and "tenant_id" in named and set(named) & set(whose) and "/live/" not in path:
            response = await own.ask(method, filled(path, dental.id, ids))
            assert response.status_code == 404, (method, path)
        elif method == "GET" and named == ["tenant_id"] and "/live" not in path:
            said = await (await own.ask(method, filled(path, dental.id, ids))).get_data(as_text=True)
            assert "SECRET" not in said
            assert CALLER not in said, path


async def test_each_route_wants_the_scope_that_it_names(operator: Desk, office: Office, dental: Tenant) -> None:
    key = Desk(operator.app, await key_of(office, dental, "read"))
    for method, path in await operations(operator):
        if "{tenant_id}" in path and method != "GET":
            response = await key.ask(method, filled(path, dental.id, IDS), **body_of(method))
            assert response.status_code == 403, (method, path)
