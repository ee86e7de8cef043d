"""The ops page's files and its login; what it looks like in a browser is in ``test_ops_browser.py``."""

import re
from pathlib import Path

import pytest
from quart_trio import QuartTrio

from engine.backoffice import ops
from engine.backoffice.office import Office
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import TOKEN, key_of

PAGE = {"x-frontdesk-page": "ops"}
FILES = sorted(path for path in ops.FOLDER.rglob("*") if path.is_file())
PAGES = [path for path in FILES if path.suffix == ".html"]
MODULES = [path for path in FILES if path.suffix == ".js"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_holds_no_script_or_style_of_its_own_and_names_only_files_that_are_there(path: Path) -> None:
    html = path.read_text("utf-8")
    assert "<style" not in html
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"\s(?:on\w+|style)=", html)
    for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', html):
        assert (ops.FOLDER / name.removeprefix("/static/")).is_file(), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_fetched_from_elsewhere_and_files_stay_short(path: Path) -> None:
    text = path.read_text("utf-8")
    assert set(re.findall(r"https?://[^\s\"'`)]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "innerHTML" not in text
    assert text.count("\n") < 300


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_imports_only_what_is_there(path: Path) -> None:
    text = path.read_text("utf-8")
    for names, source in re.findall(r"import \{([^}]*)\} from \"(\.\.?/[^\"]+)\"", text):
        exported = (path.parent / source).read_text("utf-8")
        for name in (part.strip() for part in names.split(",")):
            assert re.search(rf"export (?:async )?(?:function|const|class) {name}\b", exported), f"{name} of {source}"


async def test_the_page_may_run_its_own_scripts_alone(app: QuartTrio) -> None:
    answer = await app.test_client().get("/ops")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    script = await app.test_client().get("/static/ops/main.js")
    assert script.content_type.startswith("text/javascript")
    assert script.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/ops/none.js"])
async def test_no_other_file_is_given(app: QuartTrio, path: str) -> None:
    assert (await app.test_client().get(path)).status_code == 404


async def test_a_session_is_begun_by_the_token_and_ended(app: QuartTrio) -> None:
    client = app.test_client()
    assert (await client.get("/ops/me")).status_code == 401
    assert (await client.post("/ops/login", json={"token": "guessed"}, headers=PAGE)).status_code == 401
    assert (await client.post("/ops/login", json={"token": TOKEN})).status_code == 403  # a foreign page's
    answer = await client.post("/ops/login", json={"token": TOKEN}, headers=PAGE)
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    assert (await (await client.get("/ops/me")).get_json())["name"] == "operator"
    assert (await client.post("/ops/logout", headers=PAGE)).status_code == 204
    assert (await client.get("/ops/me")).status_code == 401


@pytest.mark.parametrize(("told", "secure"), [(None, False), ("http", False), ("https", True), ("http, HTTPS", True)])
async def test_behind_a_proxy_that_speaks_tls_the_cookie_is_for_tls_alone(
    app: QuartTrio, told: str | None, *, secure: bool
) -> None:
    headers = PAGE | ({"x-forwarded-proto": told} if told else {})
    answer = await app.test_client().post("/ops/login", json={"token": TOKEN}, headers=headers)
    assert ("; Secure" in answer.headers["set-cookie"]) is secure


async def test_logins_cannot_be_tried_without_end(app: QuartTrio) -> None:
    client = app.test_client()
    tries = [await client.post("/ops/login", json={"token": str(n)}, headers=PAGE) for n in range(40)]
    assert tries[-1].status_code == 429
    assert int(tries[-1].headers["retry-after"]) > 0


async def test_a_key_without_the_scope_gets_no_stream(app: QuartTrio, office: Office, dental: Tenant) -> None:
    client = app.test_client()
    assert (await client.get("/ops/stream")).status_code == 401
    token = await key_of(office, dental, "read")
    assert (await client.post("/ops/login", json={"token": token}, headers=PAGE)).status_code == 204
    assert (await (await client.get("/ops/me")).get_json())["tenant_id"] == dental.id
    assert (await client.get("/ops/stream")).status_code == 403
    other = await app.test_client().post(
        "/ops/login", json={"token": await key_of(office, dental, "calls")}, headers=PAGE
    )
    assert other.status_code == 204
