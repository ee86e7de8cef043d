"""The gateway as a whole: start, health, drain, end."""

import socket

import pytest
import trio
import trio.testing

from engine.call.switchboard_types import SwitchboardStatistics
from engine.errors import ConfigurationError
from engine.server.app import build_app, listen
from engine.server.readiness import Phase, judge
from engine.telephony.plane import PlaneStatistics
from tests.server.carrier import CALL, OTHER_CALL, key_press, verbs
from tests.server.world import World, open_world

ON_TIME = PlaneStatistics(1, 100, 0, 1.0, 5.0, 6.0)
LATE = PlaneStatistics(1, 100, 0, 10.0, 30.0, 60.0)
LATE_ONCE = PlaneStatistics(0, 100, 0, 10.0, 30.0, 60.0)


@pytest.mark.parametrize(
    ("phase", "calls", "plane", "status", "word"),
    [
        (Phase.SERVING, SwitchboardStatistics(0, 2, draining=False), ON_TIME, 200, "ok"),
        (Phase.SERVING, SwitchboardStatistics(2, 2, draining=False), ON_TIME, 429, "under_load"),
        (Phase.SERVING, SwitchboardStatistics(1, 2, draining=False), LATE, 429, "under_load"),
        (Phase.SERVING, SwitchboardStatistics(0, 2, draining=False), LATE_ONCE, 200, "ok"),
        (Phase.SERVING, SwitchboardStatistics(0, 2, draining=True), ON_TIME, 503, "draining"),
        (Phase.DRAINING, SwitchboardStatistics(2, 2, draining=True), LATE, 503, "draining"),
        (Phase.STARTING, SwitchboardStatistics(0, 2, draining=False), ON_TIME, 503, "unavailable"),
        (Phase.STOPPED, SwitchboardStatistics(0, 2, draining=True), ON_TIME, 503, "unavailable"),
    ],
)
def test_readiness_is_judged_by_all_its_parts(
    phase: Phase, calls: SwitchboardStatistics, plane: PlaneStatistics, status: int, word: str
) -> None:
    found = judge(phase, calls, plane)
    assert (found.http_status, found.status) == (status, word)


async def test_an_app_that_nobody_serves_is_alive_but_not_ready() -> None:
    async with open_world() as world:
        client = build_app(world.gateway).test_client()
        assert (await client.get("/health/live")).status_code == 200
        ready = await client.get("/health/ready")
        assert (ready.status_code, (await ready.get_json())["status"]) == (503, "unavailable")


async def test_a_serving_gateway_is_ready_and_says_nothing_of_its_make() -> None:
    async with open_world() as world:
        answer = await world.http.get("/health/ready")
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert set(answer.json()["parts"]) == {"server", "calls", "clock"}
        assert "server" not in answer.headers


async def test_a_full_gateway_says_that_it_is_under_load() -> None:
    async with open_world() as world:
        world.switchboard.capacity = 0
        answer = await world.http.get("/health/ready")
        assert (answer.status_code, answer.json()["status"]) == (429, "under_load")


async def test_the_health_page_shows_calls_queues_and_the_loop() -> None:
    async with open_world() as world, world.dial() as websocket:
        await world.start(websocket, await world.token())
        await world.wait_for(lambda: CALL in world.switchboard.lines)
        page = (await world.http.get("/health")).json()
        assert page["calls"]["now"] == 1
        assert page["calls"]["shown"][0]["queues"] == {"inbox": 0}
        assert page["loop"]["members"] == 1
        assert page["media"] == {"waiting": 0, "live": 1, "refused": 0}


async def test_the_health_page_counts_what_a_call_holds() -> None:
    async with open_world() as world:
        before = (await world.http.get("/health")).json()["process"]
        async with world.dial() as websocket:
            await world.start(websocket, await world.token())
            await world.wait_for(lambda: CALL in world.switchboard.lines)
            during = (await world.http.get("/health")).json()["process"]
        assert during["tasks"] > before["tasks"] > 0
        assert during["descriptors"] > before["descriptors"] > 0
        assert during["threads"] >= before["threads"] > 0


async def test_the_health_page_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world() as world:
        many = {f"CA{number:032}": object() for number in range(5000)}
        monkeypatch.setattr(world.switchboard, "lines", many)
        assert len((await world.http.get("/health")).content) < 32_000


async def test_metrics_are_exposed() -> None:
    async with open_world() as world:
        await world.post("voice")
        answer = await world.http.get("/metrics")
        assert 'frontdesk_webhooks_total{path="voice",result="connect"} 1.0' in answer.text


async def test_an_address_in_use_is_a_configuration_error_that_names_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match="FRONTDESK_BIND"):
        listen(f"127.0.0.1:{taken.getsockname()[1]}")


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "[::1]:0"])
def test_port_zero_takes_any_that_is_free(bind: str) -> None:
    with listen(bind) as sock:
        assert sock.getsockname()[1] > 0


async def test_an_idle_gateway_ends_at_once_when_told() -> None:
    async with open_world() as world:
        world.shutdown.set()
        with trio.fail_after(5):
            await world.finished.wait()
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", world.serving.port)


async def _drain_begun(world: World) -> None:
    world.shutdown.set()
    await world.wait_for(lambda: world.switchboard.draining)


async def test_a_draining_gateway_keeps_its_calls_and_gives_new_ones_the_static_script() -> None:
    async with open_world() as world:
        async with world.dial() as websocket:
            await world.start(websocket, await world.token())
            await world.wait_for(lambda: CALL in world.switchboard.lines)
            await _drain_begun(world)

            ready = await world.http.get("/health/ready")
            assert (ready.status_code, ready.json()["status"]) == (503, "draining")
            assert verbs((await world.post("voice", CallSid=OTHER_CALL)).text) == ["Say", "Dial"]
            assert await world.refused_with() == 503
            await websocket.send_message(key_press("9"))
            await world.wait_for(lambda: world.switchboard.keys == ["9"])
            assert not world.finished.is_set()
        with trio.fail_after(5):
            await world.finished.wait()


async def test_requests_in_flight_are_no_reason_to_end_a_call(mock_clock: trio.testing.MockClock) -> None:
    """hypercorn gives its connections 3 s; a media socket is none of them any more."""
    mock_clock.rate = 20
    async with open_world(settings={"drain_s": 30.0}) as world, world.dial() as websocket:
        await world.start(websocket, await world.token())
        await world.wait_for(lambda: CALL in world.switchboard.lines)
        await _drain_begun(world)
        await trio.sleep(6)
        assert CALL in world.switchboard.lines
