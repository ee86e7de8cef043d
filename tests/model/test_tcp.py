"""The lean TCP stream over real sockets, and the websocket on it: what one system call does not take is never lost."""

import socket

import pytest
import trio
import trio.testing

from engine.errors import ModelClosed, ModelStalled
from engine.model.stream import SEND_DEADLINE_S, ModelSocket
from engine.model.tcp import TcpStream
from tests.model.fake_gemini import FakeGemini

LARGE = b'{"a":"' + bytes([97]) * 3_000_000 + b'"}'  # more than the system takes at once


def connected(*, small: bool = False) -> tuple[TcpStream, trio.SocketStream]:
    ours, theirs = socket.socketpair()
    if small:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return TcpStream(trio.SocketStream(trio.socket.from_stdlib_socket(ours))), trio.SocketStream(
        trio.socket.from_stdlib_socket(theirs)
    )


async def test_it_keeps_the_rules_of_a_trio_stream() -> None:
    async def pair() -> tuple[TcpStream, TcpStream]:
        ours, theirs = socket.socketpair()
        ends = [TcpStream(trio.SocketStream(trio.socket.from_stdlib_socket(end))) for end in (ours, theirs)]
        return ends[0], ends[1]

    one, other = await pair()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery, one, other:
            nursery.start_soon(one.send_all, LARGE)
            received = b""
            while len(received) < len(LARGE):
                received += await other.receive_some(65536)
            assert received == LARGE


async def test_a_send_that_the_system_takes_is_no_step_of_the_loop_and_arrives() -> None:
    tcp, theirs = connected()
    mine = ModelSocket(tcp)
    fake = FakeGemini(theirs)
    steps: list[str] = []

    class Steps(trio.abc.Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            steps.append(task.name)

    steps_of = Steps()
    trio.lowlevel.add_instrument(steps_of)
    await mine.send(b'{"clientContent":{}}')
    assert steps == []
    trio.lowlevel.remove_instrument(steps_of)
    assert await fake.expect() == {"clientContent": {}}
    await mine.aclose()
    await theirs.aclose()


async def test_frames_of_many_senders_stay_whole_where_the_peer_reads_slowly() -> None:
    tcp, theirs = connected(small=True)
    mine, fake = ModelSocket(tcp), FakeGemini(theirs)
    large = [b'{"clientContent":{"turns":[{"parts":[{"text":"%s"}]}]}}' % (b"%d" % n * 40_000) for n in range(5)]
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for one in large:
                nursery.start_soon(mine.send, one)
            said = [(await fake.expect())["clientContent"]["turns"][0]["parts"][0]["text"] for _ in large]
    assert sorted(said) == [str(n) * 40_000 for n in range(5)]
    await theirs.aclose()
    await mine.aclose()


async def test_a_ping_is_answered_after_a_frame_that_went_at_once() -> None:
    tcp, theirs = connected()
    mine, fake = ModelSocket(tcp), FakeGemini(theirs)
    await fake.ping(b"one")
    mine._sort(bytes(await tcp.receive_some(100)))  # read, and not answered yet
    await mine.send(b'{"clientContent":{}}')
    await fake.expect()
    await mine.send(b'{"clientContent":{}}')
    await fake.expect()
    assert fake.pongs == [b"one"]
    await mine.aclose()
    await theirs.aclose()


async def test_a_peer_that_takes_nothing_is_stalled_and_the_reader_is_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    tcp, theirs = connected(small=True)
    mine = ModelSocket(tcp)
    started = trio.current_time()
    told: list[Exception] = []

    async def read() -> None:
        try:
            await mine.receive()
        except ModelStalled as stalled:
            told.append(stalled)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        with pytest.raises(ModelStalled):
            await mine.send(LARGE)
    assert trio.current_time() - started == pytest.approx(SEND_DEADLINE_S)
    assert len(told) == 1
    with pytest.raises(ModelClosed):
        await mine.send(b"more")
    await mine.aclose()
    await theirs.aclose()


async def test_nothing_follows_a_frame_of_which_only_a_part_went_out(autojump_clock: trio.testing.MockClock) -> None:
    tcp, theirs = connected(small=True)
    mine = ModelSocket(tcp)
    with trio.CancelScope() as given_up:
        given_up.cancel()
        await mine.send(LARGE)
    assert given_up.cancelled_caught
    with pytest.raises(ModelClosed):
        await mine.send(b"more")
    await mine.aclose()
    received = b"".join([bytes(data) async for data in theirs])
    assert len(received) < len(LARGE)
    await theirs.aclose()


async def test_a_peer_that_has_gone_is_1006_both_ways() -> None:
    tcp, theirs = connected()
    mine = ModelSocket(tcp)
    await theirs.aclose()
    with pytest.raises(ModelClosed) as closed:
        await mine.send(b"x")
    assert closed.value.code == 1006
    with pytest.raises(ModelClosed) as closed:
        await mine.receive()
    assert closed.value.code == 1006
    await mine.aclose()


async def test_closing_wakes_who_waits_and_nothing_works_afterwards() -> None:
    tcp, theirs = connected()
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await tcp.receive_some()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await tcp.aclose()
    await tcp.aclose()
    for use in (tcp.receive_some, tcp.wait_send_all_might_not_block):
        with pytest.raises(trio.ClosedResourceError):
            await use()
    with pytest.raises(trio.ClosedResourceError):
        await tcp.send_all(b"x")
    await theirs.aclose()
