"""The application over a socket: refusals that come before the body, and the pages of its documentation."""

import gc
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

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
    head = (
        f"PUT /v1/tenants/{dental.id}/knowledge/x.md HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
        "content-type: text/markdown\r\ncontent-length: 900000000\r\n\r\n"
    )
    stream = await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 80)
    async with stream:
        await stream.send_all(head.encode())
        said = b"".join([piece async for piece in stream]).decode().lower()
    assert said.startswith("http/1.1 413 ")
    assert "connection: close" in said
    assert "application/problem+json" in said


ERRORS: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/nowhere", {}, 404),
    ("GET", "/v1/nowhere", {}, 404),
    ("DELETE", "/v1/tenants", {}, 405),
    ("OPTIONS", "/v1/tenants", {}, 405),
    ("GET", "/v1/tenants?nonsense=1", {}, 422),
    ("GET", "/v1/audit?limit=1&limit=2", {}, 422),
    ("GET", "/v1/tenants?limit=0", {}, 422),
    ("GET", "/v1/tenants", {"headers": {"accept": "text/html"}}, 406),
    ("POST", "/v1/tenants", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
    ("POST", "/v1/tenants", {"content": b"{", "headers": {"content-type": "application/json"}}, 400),
    ("POST", "/v1/tenants", {"json": {"id": "x"}}, 422),
    ("POST", "/v1/tenants", {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400),
    ("POST", "/v1/tenants", {"content": b" " * 1_000_001, "headers": {"content-type": "application/json"}}, 413),
    ("POST", "/v1/tenants", {"json": {}, "headers": {"idempotency-key": "x" * 129}}, 422),
]


# Where an answer comes before all of the body is out, httpx lets go of the body in the middle: its affair, not ours.
@pytest.mark.filterwarnings("ignore:Async generator 'httpx._content.ByteStream:ResourceWarning")
async def test_every_error_is_a_problem(client: httpx.AsyncClient) -> None:
    for method, path, given, status in ERRORS:
        headers = {**BEARER, **given.get("headers", {})}
        response = await client.request(method, path, **{**given, "headers": headers})
        assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), path
        assert response.json()["status"] == status
    gc.collect()  # while that is still this test's


async def test_the_documentation_comes_from_here_alone(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert "http" not in page.text.replace("http-equiv", "")
    document = (await client.get("/docs/openapi-3.0.json")).json()
    assert (document["openapi"], "'null'" in str(document)) == ("3.0.3", False)
    assert document["paths"].keys() == (await client.get("/openapi.json")).json()["paths"].keys()
    for path in ("/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js"):
        assert path.split("/")[-1] == "start.js" or path in page.text
        assert (await client.get(path)).status_code == 200
