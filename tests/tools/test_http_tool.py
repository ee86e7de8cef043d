"""What is asked, what is asked again, and when: under virtual time, without sockets."""

from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
import trio
from pydantic import SecretStr
from trio.testing import MockClock

from engine.errors import ToolFailed
from engine.messages import Effect
from engine.sim.tool_requests import Received, Unacceptable, Verifier
from engine.tenants.tenant import EndpointAuth, ToolSpec
from engine.tools import answers
from engine.tools.http_guard import AddressGuard
from engine.tools.http_signing import ToolSecrets
from engine.tools.http_tool import AT_ONCE, HttpTools
from tests.store.logs import heard_logs
from tests.tools.http_room import TOKEN, VERIFIER, a_spec, a_tenant, answered_by, ask, catalog
from tests.tools.room import NOW, TENANT, World, a_room

URL = "http://127.0.0.1/tools"
OK = {"status": "ok", "message": "Done."}


class Backend:
    """Answers with what is scripted, in turn; then with ``OK``."""

    def __init__(self, *script: httpx.Response | Exception | float) -> None:
        self.script = list(script)
        self.at: list[float] = []
        self.got: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.at.append(trio.current_time())
        self.got.append(request)
        todo = self.script.pop(0) if self.script else httpx.Response(200, json=OK)
        if isinstance(todo, float):
            await trio.sleep(todo)
            todo = httpx.Response(200, json=OK)
        await trio.lowlevel.checkpoint()
        if isinstance(todo, Exception):
            raise todo
        return todo


LOST = (httpx.ReadError("reset"), httpx.RemoteProtocolError("no answer"), httpx.Response(500), httpx.Response(503))
LOOK, WRITE, BOOK = a_tenant(URL).tools


async def test_a_request_holds_what_a_careful_endpoint_wants() -> None:
    backend = Backend()
    async with answered_by(backend) as tools:
        assert await ask(tools, WRITE, what="a crown, 3 pm") == answers.ok("Done.")
    (request,) = backend.got
    got = Received(
        request.method, request.url.raw_path.decode(), dict(request.headers), request.content, NOW.timestamp()
    )
    read = VERIFIER.read(got)
    assert (read.tenant, read.call, read.key, read.tool) == ("acme", "CA1", "e" * 32, "write")
    assert (read.caller, read.arguments) == ("+15550100199", {"what": "a crown, 3 pm"})


async def test_a_get_has_its_arguments_in_a_query_that_is_signed() -> None:
    backend = Backend()
    async with answered_by(backend) as tools:
        spec = a_spec("look", f"{URL}?v=2", Effect.READS, method="GET")
        await ask(tools, spec, what="a & b=c", many=[1, True])
    (request,) = backend.got
    assert request.content == b""
    got = Received("GET", request.url.raw_path.decode(), dict(request.headers), b"", NOW.timestamp())
    assert VERIFIER.read(got).arguments == {"v": "2", "what": "a & b=c", "many": "[1,true]"}


async def test_a_key_can_go_in_a_header_of_the_endpoints_choice() -> None:
    backend = Backend()
    async with answered_by(backend) as tools:
        spec = a_spec("look", URL, auth=EndpointAuth(secret="backend", header="X-Api-Key", scheme=""))
        await ask(tools, spec)
        await ask(tools, a_spec("look", URL, auth=None))
    assert backend.got[0].headers["x-api-key"] == TOKEN
    assert "authorization" not in backend.got[0].headers
    assert TOKEN not in str(backend.got[1].headers)


@pytest.mark.parametrize("lost", LOST, ids=str)
@pytest.mark.parametrize("spec", [LOOK, BOOK], ids=lambda spec: spec.name)
async def test_what_may_be_repeated_is_asked_again_with_the_same_key(
    spec: ToolSpec, lost: Any, autojump_clock: MockClock
) -> None:
    backend = Backend(lost, lost)
    async with answered_by(backend) as tools:
        assert await ask(tools, spec) == answers.ok("Done.")
        assert (tools.statistics().sent, tools.statistics().repeated) == (3, 2)
    assert {request.headers["idempotency-key"] for request in backend.got} == {"e" * 32}
    first, second = backend.at[1] - backend.at[0], backend.at[2] - backend.at[1]
    assert 0.1 < first < 0.3
    assert second == pytest.approx(2 * first)


@pytest.mark.parametrize("lost", [*LOST, httpx.Response(429), httpx.WriteError("reset")], ids=str)
async def test_a_write_that_must_not_be_repeated_is_asked_once(lost: Any, autojump_clock: MockClock) -> None:
    backend = Backend(lost)
    async with answered_by(backend) as tools:
        with pytest.raises(ToolFailed):
            await ask(tools, WRITE)
        assert sum(tools.statistics().failed.values()) == 1
    assert len(backend.got) == 1


@pytest.mark.parametrize("unsent", [httpx.ConnectError("refused"), httpx.ConnectTimeout("late")], ids=str)
async def test_what_was_never_sent_is_sent_again_whatever_it_is(unsent: Exception, autojump_clock: MockClock) -> None:
    backend = Backend(unsent, unsent)
    async with answered_by(backend) as tools:
        assert await ask(tools, WRITE) == answers.ok("Done.")


async def test_a_name_that_is_found_at_second_asking_was_asked_for_before_anything_was_sent(
    autojump_clock: MockClock,
) -> None:
    failures = [ToolFailed("no such name", kind="unresolved"), ToolFailed("it is ours", kind="address")]
    backend = Backend(*failures)
    async with answered_by(backend) as tools:
        with pytest.raises(ToolFailed, match="it is ours"):
            await ask(tools, WRITE)
        assert tools.statistics().failed == {"address": 1}
    assert len(backend.got) == 2


async def test_retries_come_to_an_end(autojump_clock: MockClock) -> None:
    for retries in (0, 1, 5):
        backend = Backend(*[httpx.Response(500) for _ in range(20)])
        async with answered_by(backend) as tools:
            with pytest.raises(ToolFailed, match="it answered 500"):
                await ask(tools, a_spec("look", URL, Effect.READS, timeout_s=60, retries=retries))
        assert len(backend.got) == retries + 1


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 501])
async def test_an_answer_that_is_meant_is_not_asked_for_again(status: int, autojump_clock: MockClock) -> None:
    backend = Backend(httpx.Response(status, headers={"location": "http://127.0.0.1/other"}))
    async with answered_by(backend) as tools:
        with pytest.raises(ToolFailed, match=f"it answered {status}"):
            await ask(tools, BOOK)
    assert len(backend.got) == 1


async def test_a_request_to_wait_is_honoured_and_is_not_waited_for_in_vain(autojump_clock: MockClock) -> None:
    backend = Backend(httpx.Response(429, headers={"retry-after": "2"}))
    async with answered_by(backend) as tools:
        assert await ask(tools, BOOK) == answers.ok("Done.")
        assert backend.at[1] - backend.at[0] == pytest.approx(2)
        for said in ("5", "9999999999", "-3", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"):
            backend.script.append(httpx.Response(429, headers={"retry-after": said}))
            began = trio.current_time()
            if said == "5":
                with pytest.raises(ToolFailed, match="429"):
                    await ask(tools, BOOK)  # as long as the tool's whole time
                assert trio.current_time() == began
            else:
                await ask(tools, BOOK)
                assert trio.current_time() - began < 0.5


async def test_an_endpoint_that_hangs_leaves_time_to_ask_again(autojump_clock: MockClock) -> None:
    backend = Backend(99.0)
    async with answered_by(backend) as tools:
        began = trio.current_time()
        assert await ask(tools, BOOK) == answers.ok("Done.")
        assert trio.current_time() - began < 3  # of five
    assert len(backend.got) == 2


async def test_a_write_that_must_not_be_repeated_has_all_the_time_for_its_one_try(autojump_clock: MockClock) -> None:
    backend = Backend(4.9, 99.0)
    async with answered_by(backend) as tools:
        assert await ask(tools, WRITE) == answers.ok("Done.")
        began = trio.current_time()
        with pytest.raises(trio.TooSlowError):
            await ask(tools, WRITE)
        assert trio.current_time() - began == pytest.approx(5)
    assert len(backend.got) == 2


async def test_one_tenants_requests_wait_for_each_other_and_no_other_tenants_do(autojump_clock: MockClock) -> None:
    backend = Backend(*[3.0] * AT_ONCE)
    done: list[str] = []
    async with answered_by(backend) as tools, trio.open_nursery() as nursery:

        async def one(tenant_id: str) -> None:
            tenant = TENANT.model_copy(update={"id": tenant_id})
            spec = a_spec("look", URL, Effect.READS, auth=None)
            assert spec.endpoint is not None
            handler = tools.tool(tenant, spec, spec.endpoint).handler
            await handler(World().context(tenant), {})
            done.append(tenant_id)

        for _ in range(AT_ONCE + 1):
            nursery.start_soon(one, "acme")
        await trio.sleep(1)
        assert len(backend.got) == AT_ONCE
        await one("other")
        assert done == ["other"]
    assert len(done) == AT_ONCE + 2


@pytest.mark.parametrize("name", ["look", "write", "book"])
async def test_a_failing_endpoint_costs_a_call_back_and_tells_the_model_nothing(
    name: str, autojump_clock: MockClock
) -> None:
    backend = Backend(*[httpx.Response(500, text=f"Traceback: {TOKEN}") for _ in range(9)])
    async with answered_by(backend) as tools, a_room(World(), tenant=a_tenant(URL), catalog=catalog(tools)) as room:
        with heard_logs() as logs:
            await room.ask("1", name, what="a crown")
            assert (await room.hear()).response == answers.CALL_BACK
        assert TOKEN not in str(logs)
        assert "a crown" not in str(logs)
        (task,) = await room.world.store.follow_ups("acme")
        assert (task.kind, task.details) == ("task", {"tool": name, "arguments": {"what": "a crown"}})
    assert len(backend.got) == (1 if name == "write" else 3)


async def test_arguments_are_checked_before_anything_is_sent(autojump_clock: MockClock) -> None:
    backend = Backend()
    async with answered_by(backend) as tools, a_room(World(), tenant=a_tenant(URL), catalog=catalog(tools)) as room:
        unusable: tuple[dict[str, Any], ...] = ({"what": 5}, {"where": "x"}, {"what": "\ud800"})
        for n, arguments in enumerate(unusable):
            await room.ask(str(n), "book", **arguments)
            assert (await room.hear()).response["status"] == "refused"
        await room.ask("9", "fly")
        assert (await room.hear()).response["status"] == "refused"
        assert room.world.ledger.statistics().claimed == 0  # type: ignore[attr-defined]
    assert backend.got == []


async def test_a_cancelled_read_lets_go_of_its_request_and_a_cancelled_write_does_not(
    autojump_clock: MockClock,
) -> None:
    backend = Backend(4.0, 4.0)
    async with answered_by(backend) as tools, a_room(World(), tenant=a_tenant(URL), catalog=catalog(tools)) as room:
        for name, response in (("look", answers.STOPPED), ("write", answers.ok("Done."))):
            await room.ask(name, name)
            await trio.sleep(1)
            await room.cancel(name)
            result = await room.hear()
            assert (result.call_id, result.response) == (name, response)
        assert await room.close() == []


async def test_no_tenant_signs_or_authorises_as_another(autojump_clock: MockClock) -> None:
    """Two tenants, one endpoint and the same words: nothing of the one is in what the other sends."""
    secrets = ToolSecrets(
        {"acme": {"backend": SecretStr("canary-acme")}, "other": {"backend": SecretStr("canary-other")}}, secret_key="k"
    )
    backend = Backend()
    async with httpx.AsyncClient(transport=httpx.MockTransport(backend)) as client, trio.open_nursery() as nursery:
        tools = HttpTools(client, AddressGuard(allow_private=True), secrets)
        for n in range(40):
            tenant = TENANT.model_copy(update={"id": ("acme", "other")[n % 2]})
            spec = a_spec("look", URL, Effect.READS)
            assert spec.endpoint is not None
            context = replace(World().context(tenant), effect_id=f"{n:032}")
            nursery.start_soon(tools.tool(tenant, spec, spec.endpoint).handler, context, {"n": str(n)})
    signing = {tenant_id: secrets.signing_text(tenant_id) or "" for tenant_id in ("acme", "other")}
    assert len(backend.got) == 40
    for request in backend.got:
        tenant_id = request.headers["frontdesk-tenant"]
        stranger = "other" if tenant_id == "acme" else "acme"
        assert orjson.loads(request.content)["tenant"] == tenant_id
        assert request.headers["authorization"] == f"Bearer canary-{tenant_id}"
        assert f"canary-{stranger}" not in str(request.headers.raw)
        signed = Received("POST", "/", dict(request.headers), request.content, NOW.timestamp())
        assert Verifier({tenant_id: signing[tenant_id]}).read(signed).tenant == tenant_id
        with pytest.raises(Unacceptable, match="signature"):
            Verifier({tenant_id: signing[stranger]}).read(signed)
