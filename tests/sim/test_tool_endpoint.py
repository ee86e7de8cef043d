"""The simulated tool endpoint refuses what a careful tenant would, and counts what it did: asked by a plain client."""

import base64
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
import trustme

from engine.sim.tool_endpoint import ToolEndpoint
from engine.sim.tool_moods import (
    EVERY_NONSENSE,
    Drops,
    Fails,
    Garbage,
    Huge,
    Kills,
    LosesAnswer,
    Nonsense,
    Redirects,
    Slow,
    TooMany,
)
from engine.sim.tool_requests import TOLERANCE_S, Verifier

NOW = 1_800_000_000
SECRET = base64.b64encode(b"k" * 32).decode()
KEY = "0123456789abcdef"


@asynccontextmanager
async def asked(**how: Any) -> AsyncIterator[tuple[ToolEndpoint, httpx.AsyncClient]]:
    verifier = Verifier({"acme": f"whsec_{SECRET}"}, ("Authorization", "Bearer t"))
    endpoint = ToolEndpoint(verifier, clock=lambda: float(NOW), **how)
    async with trio.open_nursery() as nursery, httpx.AsyncClient(trust_env=False) as client:
        await nursery.start(endpoint.serve)
        yield endpoint, client
        nursery.cancel_scope.cancel()


def a_body(**changes: Any) -> bytes:
    body = {
        "tool": "book",
        "arguments": {"n": 1},
        "tenant": "acme",
        "call": "CA1",
        "caller": "",
        "idempotency_key": KEY,
    }
    return json.dumps({name: value for name, value in {**body, **changes}.items() if value is not None}).encode()


def headers(content: bytes, at: int = NOW, key: bytes = b"k" * 32, **changes: str | None) -> Mapping[str, str]:
    signed = f"{KEY}.{at}.".encode() + content
    plain: dict[str, str | None] = {
        "webhook-id": KEY,
        "webhook-timestamp": str(at),
        "webhook-signature": "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode(),
        "idempotency-key": KEY,
        "frontdesk-tenant": "acme",
        "frontdesk-call": "CA1",
        "authorization": "Bearer t",
        "content-type": "application/json",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    return {name: value for name, value in plain.items() if value is not None}


async def post(endpoint: ToolEndpoint, client: httpx.AsyncClient, body: bytes | None = None) -> httpx.Response:
    content = a_body() if body is None else body
    return await client.post(endpoint.url, content=content, headers=headers(content))


async def test_what_is_in_order_is_done_and_counted() -> None:
    async with asked() as (endpoint, client):
        answer = await post(endpoint, client)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert endpoint.effects == {KEY: 1}
    assert endpoint.requests[0].arguments == {"n": 1}
    assert endpoint.faults == []


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"webhook_signature": "v1,AAAA"}, 401, "signature"),
        ({"webhook_signature": None}, 400, "webhook-signature is missing"),
        ({"key": b"j" * 32}, 401, "signature"),
        ({"at": NOW - TOLERANCE_S - 1}, 401, "is not now"),
        ({"at": NOW + TOLERANCE_S + 1}, 401, "is not now"),
        ({"webhook_timestamp": str(NOW + 1)}, 401, "signature"),
        ({"webhook_id": "another-key-here"}, 401, "signature"),
        ({"idempotency_key": "another-key-here"}, 400, "not the signed one"),
        ({"idempotency_key": None}, 400, "idempotency-key is missing"),
        ({"frontdesk_tenant": "other"}, 401, "not known here"),
        ({"frontdesk_call": "CA2"}, 400, "do not speak of the same call"),
        ({"frontdesk_call": None}, 400, "frontdesk-call is missing"),
        ({"authorization": "Bearer u"}, 401, "Authorization is missing or wrong"),
        ({"authorization": None}, 401, "Authorization is missing or wrong"),
        ({"content_type": "text/plain"}, 415, "not said to be JSON"),
    ],
)
async def test_a_request_that_is_not_in_order_is_refused_and_noted(
    changes: dict[str, Any], status: int, said: str
) -> None:
    async with asked() as (endpoint, client):
        answer = await client.post(endpoint.url, content=a_body(), headers=headers(a_body(), **changes))
    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert len(endpoint.faults) == 1
    assert endpoint.requests == []
    assert not endpoint.effects


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", a_body(tool=None), a_body(more=1), a_body(arguments=[1]), a_body(tenant="x"), a_body(call="x")],
)
async def test_a_body_that_is_not_in_order_is_refused_though_it_is_signed(body: bytes) -> None:
    async with asked() as (endpoint, client):
        assert (await post(endpoint, client, body)).status_code == 400
    assert len(endpoint.faults) == 1
    assert not endpoint.effects


async def test_a_get_is_signed_over_its_query() -> None:
    async with asked() as (endpoint, client):
        good = await client.get(f"{endpoint.url}?n=1&m=", headers=headers(b"n=1&m="))
        bad = await client.get(f"{endpoint.url}?n=2&m=", headers=headers(b"n=1&m="))
    assert (good.status_code, bad.status_code) == (200, 401)
    assert endpoint.requests[0].arguments == {"n": "1", "m": ""}


async def test_a_key_is_done_once_and_waited_for_and_never_lent() -> None:
    async with asked(works_s=0.05) as (endpoint, client):
        answers: list[httpx.Response] = []

        async def one() -> None:
            answers.append(await post(endpoint, client))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(one)
        assert {answer.text for answer in answers} == {answers[0].text}
        assert endpoint.effects == {KEY: 1}
        assert (await post(endpoint, client, a_body(arguments={"n": 2}))).status_code == 422
    assert endpoint.effects == {KEY: 1}
    assert len(endpoint.faults) == 1


async def test_an_endpoint_that_is_not_idempotent_finds_out_who_asks_twice() -> None:
    async with asked(idempotent=False) as (endpoint, client):
        for _ in range(3):
            await post(endpoint, client)
    assert endpoint.effects == {KEY: 3}


async def test_what_is_refused_is_no_effect() -> None:
    said = [{"status": "refused", "message": "Taken."}, {"status": "ok", "message": "Done."}]
    async with asked(answer=lambda _: said.pop(0)) as (endpoint, client):
        assert (await post(endpoint, client)).json()["status"] == "refused"
        assert not endpoint.effects
        assert (await post(endpoint, client)).json()["status"] == "ok"
    assert endpoint.effects == {KEY: 1}


async def test_moods_act_once_each_in_their_order() -> None:
    async with asked() as (endpoint, client):
        endpoint.script([Fails(503), TooMany("7"), Redirects("http://10.0.0.1/"), Drops()])
        assert (await post(endpoint, client)).status_code == 503
        too_many = await post(endpoint, client)
        assert (too_many.status_code, too_many.headers["retry-after"]) == (429, "7")
        assert (await post(endpoint, client)).headers["location"] == "http://10.0.0.1/"
        with pytest.raises(httpx.ReadError):
            await post(endpoint, client)
        assert not endpoint.effects
        assert (await post(endpoint, client)).status_code == 200
    assert len(endpoint.requests) == 5


async def test_moods_after_the_effect_leave_it_done() -> None:
    killed: list[int] = []
    async with asked(idempotent=False) as (endpoint, client):
        endpoint.script([LosesAnswer(), Fails(500, done=True), Slow(0.05), Kills(lambda: killed.append(1))])
        with pytest.raises(httpx.ReadError):
            await post(endpoint, client)
        assert (await post(endpoint, client)).status_code == 500
        assert (await post(endpoint, client)).status_code == 200
        with trio.move_on_after(0.05) as patience:
            await post(endpoint, client)
        assert patience.cancelled_caught
        assert killed == [1]
        assert endpoint.effects == {KEY: 4}
        endpoint.script([Kills(lambda: killed.append(2), "before")])
        with trio.move_on_after(0.05):
            await post(endpoint, client)
    assert killed == [1, 2]
    assert endpoint.effects == {KEY: 4}


@pytest.mark.parametrize("how", EVERY_NONSENSE)
async def test_no_nonsense_is_an_answer_in_order(how: Nonsense) -> None:
    async with asked() as (endpoint, client):
        endpoint.script([Garbage(how)])
        try:
            answer = await post(endpoint, client)
            said = answer.json()
        except (httpx.RemoteProtocolError, ValueError, RecursionError):
            return
        packed = "content-encoding" in answer.headers  # sense, but packed though nobody may have asked for it
        assert packed or not isinstance(said, dict) or not isinstance(said["message"], str)


async def test_a_huge_body_is_as_long_as_it_was_to_be() -> None:
    async with asked() as (endpoint, client):
        endpoint.script([Huge(300_000, declared=True), Huge(300_000, declared=False)])
        assert len((await post(endpoint, client)).content) == 300_000
        with pytest.raises(httpx.RemoteProtocolError):  # never ended in order
            await post(endpoint, client)


async def test_it_serves_tls_too() -> None:
    authority = trustme.CA()
    server, ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(ours)
    async with asked(ssl_context=server) as (endpoint, _), httpx.AsyncClient(verify=ours, trust_env=False) as client:
        assert endpoint.url.startswith("https://")
        assert (await post(endpoint, client)).status_code == 200


async def test_what_speaks_no_http_harms_nobody() -> None:
    async with asked() as (endpoint, client):
        port = int(endpoint.url.split(":")[2].split("/")[0])
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(b"\x16\x03\x01 hello\r\n\r\n")
        assert await stream.receive_some(100) == b""
        await stream.aclose()
        assert (await post(endpoint, client)).status_code == 200
