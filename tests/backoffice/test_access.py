"""Who may ask, how often; and that every write is written down."""

from pathlib import Path

import trio
from quart import Response
from quart_trio import QuartTrio

from engine.backoffice import access, sessions
from engine.backoffice.app import build_backoffice
from engine.backoffice.office import Office, open_office
from engine.backoffice.rate import Buckets
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import TOKEN, Desk, key_of, settings_for


async def test_nobody_in_particular_is_told_how_to_ask(app: QuartTrio, dental: Tenant) -> None:
    for token in (None, "wrong", "fd_harbor-dental_0123456789ab_" + "x" * 43, "fd_x", "ö"):
        response = await Desk(app, token).ask("GET", f"/v1/tenants/{dental.id}")
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.content_type == "application/problem+json"


async def test_without_an_operators_token_nobody_is_the_operator(url: str, tmp_path: Path) -> None:
    settings = settings_for(url, tmp_path).model_copy(update={"admin_token": None})
    async with open_office(settings) as office:
        for token in ("", "None", TOKEN):
            assert (await Desk(build_backoffice(office), token).ask("GET", "/v1/tenants")).status_code == 401


async def test_a_key_is_made_shown_once_rotated_and_revoked(operator: Desk, office: Office, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}/keys"
    made = await (await operator.ask("POST", path, {"name": "till", "scopes": ["read", "admin"]})).get_json()
    key = Desk(operator.app, made["secret"])
    assert (await key.get(f"/v1/tenants/{dental.id}"))["id"] == dental.id
    listed = await key.get(path)
    assert [one["name"] for one in listed["items"]] == ["till"]
    assert "secret" not in listed["items"][0]
    rotated = await (await operator.ask("POST", f"{path}/{made['id']}/rotate")).get_json()
    assert (await key.ask("GET", path)).status_code == 401
    key = Desk(operator.app, rotated["secret"])
    assert (await key.ask("POST", f"{path}/{made['id']}/revoke")).status_code == 200
    assert (await key.ask("GET", path)).status_code == 401
    assert (await operator.ask("POST", f"{path}/{made['id']}/rotate")).status_code == 409


async def test_a_key_gives_no_more_than_it_has(operator: Desk, office: Office, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}/keys"
    full = await (await operator.ask("POST", path, {"name": "all", "scopes": ["read", "write", "admin"]})).get_json()
    key = Desk(operator.app, await key_of(office, dental, "read", "admin"))
    assert (await key.ask("POST", path, {"name": "more", "scopes": ["read", "write"]})).status_code == 403
    assert (await key.ask("POST", f"{path}/{full['id']}/rotate")).status_code == 403
    assert (await key.ask("POST", path, {"name": "less", "scopes": ["read"]})).status_code == 201


async def test_who_asks_too_often_waits_alone(url: str, tmp_path: Path, office: Office, dental: Tenant) -> None:
    settings = settings_for(url, tmp_path, backoffice_requests_per_minute=12)  # two at once
    async with open_office(settings) as slow:
        app = build_backoffice(slow)
        busy, quiet = [Desk(app, await key_of(office, dental, "read")) for _ in range(2)]
        path = f"/v1/tenants/{dental.id}"
        answers = [await busy.ask("GET", path) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 5
        assert (await quiet.ask("GET", path)).status_code == 200
        assert [(await Desk(app, "bad").ask("GET", path)).status_code for _ in range(3)] == [401, 401, 429]
        assert [(await Desk(app, TOKEN).ask("GET", path)).status_code for _ in range(9)] == [200] * 9


async def test_a_bucket_fills_again(autojump_clock: trio.testing.MockClock) -> None:
    buckets = Buckets(60)
    assert [buckets.take("a") for _ in range(11)] == [0.0] * 10 + [1.0]
    await trio.sleep(1.0)
    assert (buckets.take("a"), buckets.take("a")) == (0.0, 1.0)
    await trio.sleep(3600)
    assert [buckets.take("a") > 0 for _ in range(11)] == [False] * 10 + [True]


async def test_every_write_is_written_down_however_it_ended(operator: Desk, office: Office, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}"
    key = await key_of(office, dental, "read", "admin")
    desk = Desk(operator.app, key)
    await operator.ask("PATCH", path, {"greeting": "Hello."})
    await desk.ask("PATCH", path, {"greeting": "Mine."})
    await desk.ask("DELETE", "/v1/tenants/kessler-plumbing")
    await desk.ask("GET", path)
    await operator.ask("POST", "/v1/tenants", {"no": "document"})
    found = [
        (entry["who"], entry["method"], entry["path"], entry["status"])
        for entry in (await desk.get(f"{path}/audit"))["items"]
    ]
    who = f"key {key.split('_')[2]}"
    assert found == [
        (who, "DELETE", "/v1/tenants/kessler-plumbing", 404),
        (who, "PATCH", path, 403),
        ("operator", "PATCH", path, 200),
    ]
    (refused,) = (await operator.get("/v1/audit"))["items"]
    assert (refused["method"], refused["path"], refused["status"]) == ("POST", "/v1/tenants", 422)


async def cookie_of(app: QuartTrio, office: Office, token: str) -> str:
    session = await access.session_for(office, token)
    assert session is not None
    async with app.test_request_context("/", method="POST", headers={"x-forwarded-proto": "https"}):
        response = Response("")
        sessions.begin(office, response, session)
    said = response.headers["set-cookie"]
    assert all(word in said for word in ("HttpOnly", "SameSite=Strict", "Secure"))
    return said.split(";")[0]


async def test_a_pages_session_reads_and_writes_only_with_its_header(
    operator: Desk, office: Office, dental: Tenant
) -> None:
    path, app = f"/v1/tenants/{dental.id}", operator.app
    key = await key_of(office, dental, "read", "write")
    for token in (TOKEN, key):
        headers = {"cookie": await cookie_of(app, office, token)}
        page = Desk(app, None)
        assert (await page.ask("GET", path, headers=headers)).status_code == 200
        assert (await page.ask("PATCH", path, {"persona": "Kind."}, headers=headers)).status_code == 403
        headers[sessions.PAGE_HEADER] = "1"
        assert (await page.ask("PATCH", path, {"persona": "Kind."}, headers=headers)).status_code == 200
        headers["cookie"] = headers["cookie"][:-2] + "xx"
        assert (await page.ask("GET", path, headers=headers)).status_code == 401


async def test_a_session_ends_with_its_key(operator: Desk, office: Office, dental: Tenant) -> None:
    key = await key_of(office, dental, "read")
    headers = {"cookie": await cookie_of(operator.app, office, key)}
    page, path = Desk(operator.app, None), f"/v1/tenants/{dental.id}"
    assert (await page.ask("GET", path, headers=headers)).status_code == 200
    await operator.ask("POST", f"{path}/keys/{key.split('_')[2]}/rotate")
    assert (await page.ask("GET", path, headers=headers)).status_code == 401
