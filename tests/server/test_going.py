"""A gateway goes: as the last one, and while others serve the same port. Nobody who is on the line or at the door is
dropped."""

import pytest
import trio
import trio.testing
import trio_websocket

from engine.server import app as app_module
from engine.server import front_door
from tests.server.carrier import CALL, OTHER_CALL, read_response, verbs
from tests.server.world import World, open_world

HEALTH = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


async def _call_on_the_line(world: World, websocket: trio_websocket.WebSocketConnection) -> None:
    await world.start(websocket, await world.token())
    await world.wait_for(lambda: CALL in world.switchboard.lines)


async def _is_open(world: World) -> bool:
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", world.serving.port)
    except OSError:
        return False
    await stream.aclose()
    return True


async def _closed(websocket: trio_websocket.WebSocketConnection) -> int:
    with pytest.raises(trio_websocket.ConnectionClosed) as closed:
        await websocket.get_message()
    assert closed.value.reason is not None, "a close frame, not a broken socket"
    return int(closed.value.reason.code)


@pytest.mark.parametrize("alone", [True, False])
async def test_a_call_that_outlasts_the_drain_is_moved_politely(
    mock_clock: trio.testing.MockClock, *, alone: bool
) -> None:
    mock_clock.rate = 20
    async with open_world(settings={"drain_s": 2.0}) as world, world.dial() as websocket:
        await _call_on_the_line(world, websocket)
        (world.shutdown if alone else world.leave).set()
        began = trio.current_time()
        assert await _closed(websocket) in {1000, 1001}
        assert trio.current_time() - began > 1.5
        await world.finished.wait()
        assert world.switchboard.flushed == 1


async def test_whoever_is_moved_by_the_last_gateway_is_answered_by_it(mock_clock: trio.testing.MockClock) -> None:
    mock_clock.rate = 5
    async with open_world(settings={"drain_s": 1.0}) as world, world.dial() as websocket:
        await _call_on_the_line(world, websocket)
        world.shutdown.set()
        await _closed(websocket)
        closed_at = trio.current_time()
        await trio.sleep(2)  # the carrier takes its time
        assert verbs((await world.post("recover")).text) == ["Say", "Dial"]
        await world.finished.wait()
        assert (
            trio.current_time() - closed_at
            < app_module.LAST_ANSWERS_S + app_module.MOVING_S + front_door.LAST_REQUESTS_S + 2
        )


async def test_a_gateway_that_leaves_closes_the_door_and_keeps_its_calls() -> None:
    async with open_world() as world, world.dial() as websocket:
        await _call_on_the_line(world, websocket)
        world.leave.set()
        with trio.fail_after(2):
            while await _is_open(world):
                await trio.sleep(0.01)
        await world.wait_for(lambda: world.switchboard.draining)
        assert CALL in world.switchboard.lines
        assert not world.finished.is_set()


async def test_whoever_was_at_the_door_of_a_gateway_that_leaves_is_served_in_full() -> None:
    async with open_world() as world:
        await world.post("voice")  # its connection is kept alive, and used for the next
        silent = await trio.open_tcp_stream("127.0.0.1", world.serving.port)
        async with silent:
            await trio.testing.wait_all_tasks_blocked()
            world.leave.set()
            while await _is_open(world):
                await trio.sleep(0.01)
            answer = await world.post("voice", CallSid=OTHER_CALL)
            assert verbs(answer.text) == ["Connect"], "not the static script"
            assert answer.headers["connection"] == "close"
            await silent.send_all(HEALTH)
            assert (await read_response(silent))[0] == 200
            with trio.fail_after(2):
                await world.finished.wait()


async def test_connections_kept_alive_are_closed_soon_after_a_gateway_has_left() -> None:
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        await stream.send_all(HEALTH)
        assert (await read_response(stream))[0] == 200
        world.leave.set()
        with trio.fail_after(front_door.LAST_REQUESTS_S + 1.5):
            assert await stream.receive_some() == b""


async def test_a_gateway_that_leaves_waits_until_its_last_callers_cannot_come_back(
    mock_clock: trio.testing.MockClock,
) -> None:
    mock_clock.rate = 20
    async with open_world() as world:
        async with world.dial() as websocket:
            await _call_on_the_line(world, websocket)
            world.leave.set()
            await world.wait_for(lambda: world.switchboard.draining)
            hangs_up_at = (
                trio.current_time()
            )  # not after: the gateway hears of it while the websocket still says goodbye
        await world.finished.wait()
        assert trio.current_time() - hangs_up_at >= app_module.HUNG_UP_S


async def test_a_gateway_that_moves_its_last_calls_waits_for_those_who_hung_up_just_before(
    mock_clock: trio.testing.MockClock,
) -> None:
    mock_clock.rate = 20
    async with open_world(settings={"drain_s": 2.0}) as world, world.dial() as websocket:
        await _call_on_the_line(world, websocket)
        world.leave.set()
        await _closed(websocket)
        moved_at = trio.current_time()
        await world.finished.wait()
        assert trio.current_time() - moved_at >= 0.9 * app_module.HUNG_UP_S
