"""The gateway's own pages about live calls: who may ask, what they are told, and that orders are checked."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from pydantic import SecretStr
from quart import Response
from quart_trio import QuartTrio

from engine.server.app import build_app
from engine.server.ops_calls import ops_calls_blueprint
from engine.server.ports import Gateway
from engine.server.readiness import Phase, Readiness
from engine.sim.caller import CallOptions
from engine.sim.recognise import find_clip
from engine.sim.scenario import Listen, Say, StayOn
from engine.sim.serving import free_ports
from engine.voice.cache import VoiceCache
from tests.calls import PARKING, TENANT, Call, Stage, stage
from tests.server.world import open_world

TOKEN = "an-admin-token"
AUTH = {"authorization": f"Bearer {TOKEN}"}
LINE = "We will call you back."


def app_of(gateway: Gateway, token: str | None = TOKEN) -> QuartTrio:
    secret = SecretStr(token) if token is not None else None
    gateway = replace(gateway, settings=gateway.settings.model_copy(update={"admin_token": secret}))
    readiness = Readiness()
    readiness.phase = Phase.SERVING
    app = QuartTrio("tests.ops_calls")
    app.register_blueprint(ops_calls_blueprint(gateway, readiness))
    return app


async def ask(app: QuartTrio, method: str, path: str, body: Any = None, headers: Any = AUTH) -> tuple[int, Any]:
    given: dict[str, Any] = {} if body is None else {"data": json.dumps(body)}
    answer: Response = await app.test_client().open(path, method=method, headers=headers, **given)
    return answer.status_code, json.loads(await answer.get_data())


@asynccontextmanager
async def on_line(on: Stage, ended: list[Call]) -> AsyncIterator[str]:
    """A call on the line, by its sid; hung up when its caller has nothing more to say."""
    async with trio.open_nursery() as nursery:

        async def caller() -> None:
            ended.append(await on.call([Listen(), Say(on.said[PARKING]), Listen(), StayOn(5)]))

        nursery.start_soon(caller)
        oversight = on.world.composed.services.oversight
        while not oversight.consoles():
            await trio.sleep(0.05)
        yield oversight.consoles()[0].record.call_sid


async def test_live_calls_are_listed_and_told_in_full(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    ended: list[Call] = []
    async with stage(tmp_path, speech, admin_token=TOKEN) as on, on_line(on, ended) as sid:
        app = app_of(on.world.composed.gateway)
        await trio.sleep(10)
        _, page = await ask(app, "GET", "/ops/calls")
        (shown,) = page["calls"]
        assert (page["worker"], page["status"], page["now"]) == ("worker-0", "ok", 1)
        assert (shown["call_sid"], shown["tenant_id"], shown["model"]) == (sid, TENANT.id, "gemini-live")
        assert {"ingress", "jitter", "egress", "retriever", "tools"} <= set(shown["actors"])
        assert (shown["down"], shown["restarted"], shown["faults"]) == ([], [], {})
        assert shown["floors"][0] == [0.0, "n"]
        _, first = await ask(app, "GET", f"/ops/calls/{sid}?after=0")
        assert [one["n"] for one in first["timeline"]] == list(range(first["after"]))
        assert first["tenant"]["people"][0]["name"] == TENANT.people[0].name
        _, nothing_new = await ask(app, "GET", f"/ops/calls/{sid}?after={first['after']}")
        assert (await ask(app, "GET", f"/ops/calls/{sid}?after=x"))[0] == 422
        assert (nothing_new["timeline"], nothing_new["after"]) == ([], first["after"])
        assert (await ask(app, "POST", f"/ops/calls/{sid}/transfer", {"to": "Nobody"}))[0] == 422
        assert (await ask(app, "POST", f"/ops/calls/{sid}/say", {"text": ""}))[0] == 422
        assert (await ask(app, "POST", f"/ops/calls/{sid}/hang_up", {"who": "me"}))[0] == 422
        status, told = await ask(
            app, "POST", f"/ops/calls/{sid}/transfer", {"to": TENANT.people[0].number, "by": "Ann"}
        )
        assert (status, told) == (202, {"ordered": "transfer", "call_sid": sid})
    assert ended[0].end.outcome_reason == "transferred"
    assert ended[0].moments("order")[0]["facts"] == {"to": TENANT.people[0].name, "by": "Ann"}


@pytest.mark.parametrize(
    ("headers", "token", "status"),
    [
        ({}, TOKEN, 401),
        ({"authorization": "Bearer guessed"}, TOKEN, 401),
        ({"authorization": TOKEN}, TOKEN, 401),
        (AUTH, None, 403),
        ({"authorization": "Bearer "}, "", 403),
        (AUTH, TOKEN, 200),
    ],
)
async def test_only_the_holder_of_the_admin_token_is_told(headers: Any, token: str | None, status: int) -> None:
    async with open_world() as world:
        found, said = await ask(app_of(world.gateway, token), "GET", "/ops/calls", headers=headers)
        assert found == status
        if status == 403:
            assert "FRONTDESK_ADMIN_TOKEN" in said["detail"]


async def test_the_public_port_knows_nothing_of_calls() -> None:
    async with open_world() as world:
        answer = await build_app(world.gateway).test_client().get("/ops/calls", headers=AUTH)
        assert answer.status_code == 404


async def test_a_call_that_is_not_on_the_line_is_not_there() -> None:
    async with open_world() as world:
        assert (await ask(app_of(world.gateway), "GET", "/ops/calls/CAnone"))[0] == 404


@pytest.mark.real_time
async def test_a_line_is_spoken_and_the_caller_let_go_over_the_ops_port(tmp_path: Path, speech: VoiceCache) -> None:
    (port,) = free_ports(1)
    reports: list[Any] = []
    async with stage(tmp_path, speech, admin_token=TOKEN, ops_bind=f"127.0.0.1:{port}") as on:
        goodbye = on.prompts.goodbye

        async def caller() -> None:
            options = CallOptions(hang_up_after_s=40)
            reports.append(await on.world.call([Listen(), StayOn(30)], options=options))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller)
            oversight, http = on.world.composed.services.oversight, on.world.http
            while not oversight.consoles():
                await trio.sleep(0.05)
            sid = oversight.consoles()[0].record.call_sid
            url = f"http://127.0.0.1:{port}/ops/calls/{sid}"
            said = await http.post(f"{url}/say", headers=AUTH, json={"text": LINE, "by": "Ann"}, timeout=30)
            assert (said.status_code, said.json()["ordered"]) == (202, "say")
            await trio.sleep(2.5)
            assert (await http.post(f"{url}/hang_up", headers=AUTH)).status_code == 202
    assert find_clip(reports[0].right, speech.mulaw(LINE)) is not None
    assert find_clip(reports[0].right, goodbye) is not None
