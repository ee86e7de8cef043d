"""The application over a socket: refusals that come before the body, and the pages of its documentation."""

from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest
import trio

from engine.backoffice.app import serve_backoffice
from engine.backoffice.office import Office
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import TOKEN

BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def client(office: Office) -> AsyncIterator[httpx.AsyncClient]:
    shutdown = trio.Event()
    async with trio.open_nursery() as nursery:
        serving = await nursery.start(partial(serve_backoffice, office, shutdown=shutdown))
        async with httpx.AsyncClient(base_url=serving.url, trust_env=False, timeout=10) as client:
            yield client
        shutdown.set()


async def test_a_refusal_before_the_body_leaves_the_connection_good(client: httpx.AsyncClient, dental: Tenant) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"greet'
        await trio.sleep(0.02)  # the answer is ready by then
        yield b'ing": "Hello."}'

    for _ in range(20):
        nobody = await client.patch(f"/v1/tenants/{dental.id}", content=slowly())
        assert nobody.status_code == 401
        known = await client.get(f"/v1/tenants/{dental.id}", headers=BEARER)
        assert known.status_code == 200


async def test_a_body_beyond_measure_is_refused_before_it_is_sent(client: httpx.AsyncClient, dental: Tenant) -> None:
    path = f"/v1/tenants/{dental.id}/knowledge/x.md"
    headers = {**BEARER, "content-type": "text/markdown", "content-length": "900000000"}
    refused = await client.put(path, headers=headers, content=b"")
    assert (refused.status_code, refused.headers["connection"]) == (413, "close")


@pytest.mark.parametrize(
    ("method", "path", "given", "status"),
    [
        ("GET", "/nowhere", {}, 404),
        ("GET", "/v1/nowhere", {}, 404),
        ("DELETE", "/v1/tenants", {}, 405),
        ("GET", "/v1/tenants?nonsense=1", {}, 422),
        ("GET", "/v1/tenants?limit=1&limit=2", {}, 422),
        ("GET", "/v1/tenants?limit=0", {}, 422),
        ("GET", "/v1/tenants", {"headers": {"accept": "text/html"}}, 406),
        ("POST", "/v1/tenants", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ("POST", "/v1/tenants", {"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ("POST", "/v1/tenants", {"json": {"id": "x"}}, 422),
        ("POST", "/v1/tenants", {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400),
    ],
)
async def test_every_error_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str, given: dict[str, object], status: int
) -> None:
    headers = {**BEARER, **given.pop("headers", {})}  # type: ignore[dict-item]
    response = await client.request(method, path, headers=headers, **given)  # type: ignore[arg-type]
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert response.json()["status"] == status


async def test_the_documentation_comes_from_here_alone(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert "http" not in page.text.replace("http-equiv", "")
    for path in ("/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js"):
        assert path.split("/")[-1] == "start.js" or path in page.text
        assert (await client.get(path)).status_code == 200
