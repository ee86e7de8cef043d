"""The calls on the line as the back office sees them: polled sparingly, judged, told as they change."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from engine.backoffice import alarms
from engine.backoffice.app import build_backoffice
from engine.backoffice.live import Board, GatewayState, Live
from engine.backoffice.office import Office
from engine.backoffice.ops_stream import Delta
from engine.backoffice.problems import Problem
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import Desk, key_of

WELL = "http://gateway-a:9100"
GONE = "http://gateway-b:9100"
SID = "CA0123456789abcdef0123456789abcdef"


def call(**given: Any) -> dict[str, Any]:
    """A call as a gateway lists it."""
    return {
        "call_sid": SID,
        "tenant_id": "harbor-dental",
        "caller": "+15550100123",
        "age_s": 12.0,
        "floor": "agent",
        "turn": 2,
        "model": "gemini-live",
        "response_ms": 800,
        "sessions": 1,
        "handovers": 0,
        "actors": ["ingress"],
        "down": [],
        "restarted": [],
        "queues": [["inbox", 0]],
        "faults": {},
        "ending": False,
        "floors": [[0.0, "n"]],
        **given,
    }


class Gateways:
    """One that answers and one that does not; ``asked`` is what they were asked."""

    def __init__(self, *calls: dict[str, Any]) -> None:
        self.calls = list(calls)
        self.asked: list[tuple[str, str]] = []
        self.told: list[dict[str, Any]] = []
        self.refuses: tuple[int, str] | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer operators-token"
        if request.url.host == "gateway-b":
            raise httpx.ConnectError("connection refused")
        self.asked.append((request.method, request.url.path))
        if self.refuses is not None:
            return httpx.Response(self.refuses[0], json={"detail": self.refuses[1]})
        if request.method == "POST":
            self.told.append(json.loads(request.content))
            return httpx.Response(202, json={"ordered": request.url.path.rpartition("/")[2], "call_sid": SID})
        if request.url.path == "/ops/calls":
            return httpx.Response(200, json=PAGE | {"calls": self.calls})
        return httpx.Response(200, json=DETAIL | {"call": self.calls[0]})

    def live(self) -> Live:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return Live(http, (WELL, GONE), "operators-token", lambda: 1000.0)


PAGE: dict[str, Any] = {
    "worker": "worker-0",
    "status": "ok",
    "now": 1,
    "capacity": 250,
    "parts": {"model gemini-live": "ok"},
    "loop": {"lag_p90_ms": 1.0},
}
DETAIL: dict[str, Any] = {
    "tenant": {"name": "Harbor Dental", "people": []},
    "transcript": [],
    "timeline": [],
    "first": 0,
    "after": 0,
    "level": {"caller_dbfs": -100.0, "agent_dbfs": -20.0},
    "counts": {},
    "tokens": {},
}


async def test_however_many_look_a_gateway_is_asked_once_a_second(autojump_clock: trio.testing.MockClock) -> None:
    gateways = Gateways(call())
    live = gateways.live()

    async def looker() -> None:
        for _ in range(10):
            await live.board()
            await trio.sleep(1.0)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(looker)
    assert len(gateways.asked) == 10
    await trio.sleep(60)
    assert len(gateways.asked) == 10  # nobody looks


async def test_a_gateway_that_is_away_hides_nobody_elses_calls() -> None:
    board = await Gateways(call()).live().board()
    well, gone = board.gateways
    assert (well.worker, well.away, well.now) == ("worker-0", "", 1)
    assert "connection refused" in gone.away
    assert board.calls[SID]["since"] == 988.0
    assert [alarm.says for alarm in alarms.of_board(board)] == [f"{GONE} is away: {gone.away}"]


async def test_another_tenants_call_is_not_there() -> None:
    live = Gateways(call()).live()
    with pytest.raises(Problem) as refused:
        await live.order(SID, "kessler-plumbing", "say", {"text": "Hello"})
    assert refused.value.details.status == 404


@pytest.mark.parametrize(("said", "told"), [(409, 409), (422, 422), (404, 404), (401, 502), (403, 502), (500, 502)])
async def test_what_a_gateway_refuses_is_told_as_it_concerns_the_asker(said: int, told: int) -> None:
    gateways = Gateways(call())
    live = gateways.live()
    await live.board()
    gateways.refuses = (said, "because")
    with pytest.raises(Problem) as refused:
        await live.order(SID, "harbor-dental", "hang_up", {})
    assert refused.value.details.status == told
    assert "because" in refused.value.details.detail


@pytest.mark.parametrize(
    ("given", "weight", "kinds"),
    [
        ({}, "", []),
        ({"floor": "script"}, "bad", ["script"]),
        ({"down": ["retriever"]}, "bad", ["down"]),
        ({"response_ms": 2001}, "watch", ["slow"]),
        ({"response_ms": None}, "", []),
        ({"faults": {"model_lost": 1}, "restarted": ["tools"]}, "watch", ["fault", "fault"]),
        ({"queues": {"inbox": 40}}, "watch", ["queue"]),
    ],
)
def test_a_call_is_judged_by_what_its_caller_suffers(given: dict[str, Any], weight: str, kinds: list[str]) -> None:
    row = alarms.with_alarms(call(queues={"inbox": 0}) | given)
    assert row["weight"] == weight
    assert [one["kind"] for one in row["wrong"]] == kinds


def test_what_is_worst_is_said_first_and_calls_are_counted() -> None:
    rows = {str(n): call(queues={}, faults={"model_lost": 1}) for n in range(3)} | {
        "s": call(queues={}, floor="script")
    }
    state = GatewayState(WELL, worker="worker-0", status="draining", parts={"clock": "late"}, loop={"lag_p90_ms": 31.0})
    found = alarms.of_board(Board((state,), rows))
    assert [(alarm.weight, alarm.says) for alarm in found] == [
        ("bad", "worker-0's clock is late by 31 ms"),
        ("bad", "1 call on the script: no model speaks"),
        ("watch", "worker-0 is draining"),
        ("watch", "3 calls survived a fault"),
    ]


def test_a_stream_tells_only_what_has_changed() -> None:
    delta = Delta()
    first = delta.of(Board((), {"a": call(queues={}), "b": call(queues={})}))
    assert set(first["set"]) == {"a", "b"}
    assert first["set"]["a"]["caller"] == "+15550100123"
    second = delta.of(Board((), {"a": call(queues={}, floor="caller")}))
    assert second == {"set": {"a": {"floor": "caller"}}, "gone": ["b"]}
    assert delta.of(Board((), {"a": call(queues={}, floor="caller")})) == {"set": {}, "gone": []}


def served(office: Office, gateways: Gateways) -> Callable[[str], Desk]:
    """The application with these gateways, for whoever asks with a token."""
    app = build_backoffice(replace(office, live=gateways.live()))
    return lambda token: Desk(app, token)


async def test_a_key_sees_and_takes_over_its_own_tenants_calls_alone(
    office: Office, dental: Tenant, plumbing: Tenant
) -> None:
    other = call(call_sid="CAother", tenant_id=plumbing.id)
    gateways = Gateways(call(), other)
    desk = served(office, gateways)
    own = desk(await key_of(office, dental, "calls"))
    mine, path = f"/v1/tenants/{dental.id}/live/calls", f"/v1/tenants/{dental.id}/live/calls/{SID}"
    assert [one["call_sid"] for one in (await own.get(mine))["items"]] == [SID]
    assert (await own.get(f"{path}?after=0"))["level"]["agent_dbfs"] == -20.0
    assert (await own.ask("POST", f"{path}/say", {"text": "Hello"})).status_code == 202
    assert gateways.told[0]["text"] == "Hello"
    assert gateways.told[0]["by"].startswith("key ")
    assert (await own.ask("POST", f"{mine}/CAother/hang-up", {})).status_code == 404
    assert (await own.ask("GET", f"/v1/tenants/{plumbing.id}/live/calls")).status_code == 404
    assert (await own.ask("GET", "/v1/live")).status_code == 403
    reader = desk(await key_of(office, dental, "read"))
    assert (await reader.ask("POST", f"{path}/hang-up", {})).status_code == 403
    assert len(gateways.told) == 1
    overview = await desk("operators-token").get("/v1/live")
    assert len(overview["calls"]) == 2
    assert [one["status"] for one in overview["gateways"]] == ["ok", "away"]
