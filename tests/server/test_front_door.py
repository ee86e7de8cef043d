"""One port for two servers: what is taken, what is left to hypercorn, and what becomes of those who dawdle."""

import gc
import importlib.metadata
import os

import hypercorn.trio.run as hypercorn_run
import pytest
import trio
import trio.testing
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypothesis import example, given
from hypothesis import strategies as st

from engine.server import front_door
from engine.server.front_door import Wish, read_wish
from tests.server.carrier import key_press, opening, read_response, upgrade_head, wait_closed
from tests.server.world import open_world

HEALTH = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("line", ["/twilio/media ", "/twilio/media/ ", "/twilio/media?a=b ", "/twilio/media/?a "])
def test_media_paths_are_recognised(line: str) -> None:
    assert read_wish(f"GET {line}HTTP/1.1\r\n".encode()) is Wish.MEDIA


@pytest.mark.parametrize(
    "line",
    [
        "GET /twilio/mediator HTTP/1.1",
        "POST /twilio/media HTTP/1.1",
        "GET /twilio/voice HTTP/1.1",
        "GET /twilio/media/x",
    ],
)
def test_everything_else_is_left_to_hypercorn(line: str) -> None:
    assert read_wish(line.encode()) is Wish.OTHER


_beginnings = st.sampled_from([b"", b"GET /twilio/media", b"GET /twilio/media/", b"GET /twi", b"POST /twilio/media"])


@given(data=st.tuples(_beginnings, st.binary(max_size=8)).map(b"".join), cut=st.integers(0, 40))
@example(data=b"GET /twilio/media/ HTTP/1.1", cut=18)
def test_a_wish_once_decided_is_not_changed_by_what_follows(data: bytes, cut: int) -> None:
    early = read_wish(data[:cut])
    assert early is Wish.UNDECIDED or early is read_wish(data)


@given(data=st.binary(min_size=20))
def test_twenty_bytes_always_decide(data: bytes) -> None:
    assert read_wish(data) is not Wish.UNDECIDED


def test_hypercorn_is_the_version_whose_private_name_is_known() -> None:
    assert importlib.metadata.version("hypercorn") == "0.18.0"
    assert hypercorn_run.TCPServer is TCPServer  # type: ignore[attr-defined]
    assert "TCPServer" in hypercorn_run.worker_serve.__code__.co_names


def test_the_name_is_replaced_only_while_a_gateway_serves() -> None:
    with front_door.installed():
        assert vars(hypercorn_run)["TCPServer"] is front_door.FrontDoorServer
        with front_door.installed():
            pass
        assert vars(hypercorn_run)["TCPServer"] is front_door.FrontDoorServer
    assert vars(hypercorn_run)["TCPServer"] is TCPServer


async def test_plain_http_is_kept_alive_on_the_same_port() -> None:
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        for _ in range(3):
            await stream.send_all(HEALTH)
            assert await read_response(stream) == (200, b'{"status":"ok"}\n')


async def test_a_request_that_begins_like_media_is_given_to_hypercorn_whole() -> None:
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        await stream.send_all(b"GET /twilio/me")
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(b"ter HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_response(stream))[0] == 404


async def test_an_upgrade_may_be_a_later_request_of_a_connection() -> None:
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        for _ in range(2):
            await stream.send_all(HEALTH)
            assert (await read_response(stream))[0] == 200
        await stream.send_all(upgrade_head())
        assert (await read_response(stream))[0] == 101


async def test_an_upgrade_that_overtakes_the_end_of_an_answer_waits_for_it() -> None:
    """The body has arrived before hypercorn has finished with the request: the door must not give up on idleness."""
    async with open_world() as world:
        for _ in range(30):
            async with await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
                await stream.send_all(HEALTH)
                got = b""
                while not got.endswith(b"}\n"):
                    got += bytes(await stream.receive_some())
                await stream.send_all(upgrade_head())
                assert (await read_response(stream))[0] == 101


async def test_a_head_that_comes_byte_by_byte_is_served() -> None:
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        for byte in upgrade_head():
            await stream.send_all(bytes([byte]))
        assert (await read_response(stream))[0] == 101


async def test_frames_sent_along_with_the_head_are_not_lost() -> None:
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        token = await world.token()
        frames = b"".join(_frame(text) for text in [*opening(token), key_press("5")])
        await stream.send_all(upgrade_head() + frames)
        assert (await read_response(stream))[0] == 101
        await world.wait_for(lambda: world.switchboard.keys == ["5"])


async def test_a_connection_that_says_nothing_is_dropped(mock_clock: trio.testing.MockClock) -> None:
    mock_clock.rate = 50
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        began = trio.current_time()
        await wait_closed(stream)
        assert 4.5 < trio.current_time() - began < 30


async def test_a_connection_kept_alive_is_closed_when_idle_for_long(mock_clock: trio.testing.MockClock) -> None:
    mock_clock.rate = 200
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        await stream.send_all(HEALTH)
        await read_response(stream)
        began = trio.current_time()
        await wait_closed(stream)
        assert trio.current_time() - began > 70


async def test_a_request_line_that_dribbles_is_dropped(mock_clock: trio.testing.MockClock) -> None:
    mock_clock.rate = 50
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        await stream.send_all(b"GET /twilio/m")
        await wait_closed(stream)


async def test_a_head_that_never_ends_is_answered_with_408(mock_clock: trio.testing.MockClock) -> None:
    mock_clock.rate = 50
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        await stream.send_all(upgrade_head()[:-2] + b"X-More: ")
        assert await read_response(stream) == (408, b"slow_head")
        assert world.refused("slow_head") == 1


async def test_a_head_that_is_too_long_is_answered_with_431() -> None:
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        await stream.send_all(upgrade_head(extra=f"X-Long: {'x' * 20_000}\r\n"))
        assert (await read_response(stream))[0] == 431
        assert world.refused("bad_head") == 1


async def test_nonsense_after_the_media_line_is_answered_with_400() -> None:
    async with open_world() as world, await trio.open_tcp_stream("127.0.0.1", world.serving.port) as stream:
        await stream.send_all(b"GET /twilio/media nonsense\r\n\r\n")
        assert (await read_response(stream))[0] == 400


async def test_no_descriptor_outlives_its_connection() -> None:
    async with open_world() as world:
        before = len(os.listdir("/proc/self/fd"))
        for number in range(50):
            await _one_connection(world.serving.port, number)
        await world.wait_for(lambda: len(os.listdir("/proc/self/fd")) == before)
        assert world.gateway.plane.statistics().members == 0


async def test_a_connection_that_is_over_is_freed_without_the_collector() -> None:
    async with open_world() as world:
        gc.collect()
        gc.disable()
        try:
            for number in range(5):
                await _one_connection(world.serving.port, number)
            await world.wait_for(lambda: not [one for one in gc.get_objects() if type(one) is H11Protocol])
        finally:
            gc.enable()


async def _one_connection(port: int, number: int) -> None:
    """One of the ways in which a connection begins and ends."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        match number % 5:
            case 0:  # says nothing
                pass
            case 1:  # a kept-alive request, then gone
                await stream.send_all(HEALTH)
                await read_response(stream)
            case 2:  # refused
                await stream.send_all(upgrade_head(signature="bad"))
                await wait_closed(stream)
            case 3:  # accepted, on a connection used before, then gone without a word
                await stream.send_all(HEALTH)
                await read_response(stream)
                await stream.send_all(upgrade_head())
                assert (await read_response(stream))[0] == 101
            case _:  # gone in the middle of its head
                await stream.send_all(upgrade_head()[:40])


def _frame(text: str) -> bytes:
    """A masked text frame; the mask is zero, which the protocol allows."""
    data = text.encode()
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + length + b"\0\0\0\0" + data
