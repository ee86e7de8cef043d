"""The websocket client over memory streams, under virtual time; and over real sockets once each."""

import ssl
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
import trustme

from engine.errors import HandshakeRefused, ModelClosed, ModelGarbled, ModelRefused, ModelStalled
from engine.model.stream import CLOSE_DEADLINE_S, SEND_DEADLINE_S, ModelSocket, open_websocket, upgrade
from tests.model.fake_gemini import FakeGemini

URL = "ws://model.test/live?x=1"


FRAME_HEAD = 6  # of a short masked frame


async def until_end(stream: trio.abc.ReceiveStream) -> bytes:
    return b"".join([bytes(data) async for data in stream])


def pair() -> tuple[ModelSocket, FakeGemini]:
    ours, theirs = trio.testing.memory_stream_pair()
    return ModelSocket(ours), FakeGemini(theirs)


async def test_handshake_sends_the_headers_and_keeps_what_came_early(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    fake = FakeGemini(theirs)
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await fake.upgrade()
            await fake.say(early=True)

        nursery.start_soon(serve)
        socket = await upgrade(ours, URL, [("x-goog-api-key", "secret")])
    assert fake.head.startswith("GET /live?x=1 HTTP/1.1\r\n")
    assert "x-goog-api-key: secret" in fake.head
    assert await socket.receive() == b'{"early": true}'


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0\r\n\r\n", b""])
async def test_anything_but_an_upgrade_is_refused(answer: bytes, autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(answer)
    await theirs.send_eof()
    with pytest.raises(HandshakeRefused):
        await upgrade(ours, URL, [])


async def test_messages_pass_both_ways_and_text_and_binary_are_the_same() -> None:
    socket, fake = pair()
    await socket.send(b'{"clientContent":{}}')
    assert await fake.expect() == {"clientContent": {}}
    await fake.say(a=1)
    await fake.raw(b"plain")
    assert [await socket.receive(), await socket.receive()] == [b'{"a": 1}', b"plain"]


async def test_a_ping_is_answered_by_the_reader(autojump_clock: trio.testing.MockClock) -> None:
    socket, fake = pair()
    await fake.ping(b"one")
    await fake.ping(b"two")
    await fake.raw(b"x")
    assert await socket.receive() == b"x"
    await socket.send(b'{"clientContent":{}}')
    await fake.expect()
    assert fake.pongs[-1] == b"two"


async def test_a_ping_during_a_send_is_answered_after_it_and_the_reader_does_not_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()  # a send waits until the peer reads
    socket, fake = ModelSocket(ours), FakeGemini(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(socket.send, b'{"clientContent":{}}')
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as sending:
            sending.start_soon(theirs.send_all, fake.codec.ping(b"p") + fake.codec.text(b"message"))
            assert await socket.receive() == b"message"
        assert await fake.expect() == {"clientContent": {}}
        while not fake.pongs:
            await fake._read()
    assert fake.pongs == [b"p"]


async def test_concurrent_sends_are_whole_frames() -> None:
    socket, fake = pair()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(socket.send, b'{"clientContent":{}}')
    for _ in range(20):
        assert await fake.expect() == {"clientContent": {}}


async def test_messages_before_a_close_are_still_read_and_then_its_code_is_told() -> None:
    socket, fake = pair()
    await fake.raw(b"last words")
    await fake.close(1011, "internal error")
    assert await socket.receive() == b"last words"
    for _ in range(2):
        with pytest.raises(ModelClosed, match="internal error") as closed:
            await socket.receive()
        assert closed.value.code == 1011


async def test_an_end_without_goodbye_is_1006() -> None:
    socket, fake = pair()
    await fake.stream.aclose()
    with pytest.raises(ModelClosed) as closed:
        await socket.receive()
    assert closed.value.code == 1006
    with pytest.raises(ModelClosed) as closed:
        await socket.send(b"x")
    assert closed.value.code == 1006


async def test_a_reset_is_1006() -> None:
    class Reset(trio.abc.Stream):
        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            raise trio.BrokenResourceError

        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            raise trio.BrokenResourceError

        async def wait_send_all_might_not_block(self) -> None:
            raise NotImplementedError

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    socket = ModelSocket(Reset())
    for use in (socket.receive(), socket.send(b"x")):
        with pytest.raises(ModelClosed) as closed:
            await use
        assert closed.value.code == 1006
    await socket.aclose()


async def test_a_peer_that_reads_nothing_is_stalled_and_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    socket = ModelSocket(ours)
    started = trio.current_time()
    with pytest.raises(ModelStalled):
        await socket.send(b"window")
    assert trio.current_time() - started == pytest.approx(SEND_DEADLINE_S)
    with pytest.raises(ModelClosed):
        await socket.send(b"window")
    with pytest.raises(ModelStalled):
        await socket.receive()
    assert len(await until_end(theirs)) == FRAME_HEAD + len(b"window")


@pytest.mark.parametrize("garbage", [b"\x83\x00", b"\x81\x81\x00\x00\x00\x00\x41", b"\x82\x7f" + (1 << 40).to_bytes(8)])
async def test_broken_frames_and_giant_messages_are_garbled(garbage: bytes) -> None:
    socket, fake = pair()
    await fake.raw(b"good")
    await fake.stream.send_all(garbage)
    assert await socket.receive() == b"good"
    with pytest.raises(ModelGarbled):
        await socket.receive()
    await socket.aclose()
    await fake.wait_closed()
    assert fake.closed is not None
    assert fake.closed[0] in {1002, 1009}


async def test_closing_says_goodbye_once() -> None:
    socket, fake = pair()
    await socket.aclose()
    await socket.aclose()
    assert await fake.wait_closed() == (1000, "")


async def test_closing_never_waits_long_and_works_while_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    socket = ModelSocket(ours)
    started = trio.current_time()
    with trio.CancelScope() as scope:
        scope.cancel()
        await socket.aclose()
    assert trio.current_time() - started == pytest.approx(CLOSE_DEADLINE_S)
    await until_end(theirs)


async def test_nothing_follows_a_frame_that_was_cut_by_cancellation(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    socket = ModelSocket(ours)
    with trio.move_on_after(0.1):
        await socket.send(b"half a window")
    started = trio.current_time()
    await socket.aclose()
    assert trio.current_time() == started
    assert len(await until_end(theirs)) == FRAME_HEAD + len(b"half a window")


# --- opening ---------------------------------------------------------------------------------------------------------


async def serve_once(listener: trio.SocketListener, wrap: Callable[[trio.SocketStream], trio.abc.Stream]) -> None:
    fake = FakeGemini(wrap(await listener.accept()))
    await fake.upgrade()
    message = await fake.expect()
    await fake.say(**message)
    await fake.wait_closed()
    await fake.stream.aclose()


async def talk(url: str, context: ssl.SSLContext | None) -> bytes:
    async with open_websocket(url, [], ssl_context=context, deadline_s=5.0) as socket:
        await socket.send(b'{"clientContent":{}}')
        return await socket.receive()


async def test_a_plain_socket() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery, listener:
        nursery.start_soon(serve_once, listener, lambda stream: stream)
        assert await talk(f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/", None) == b'{"clientContent": {}}'


async def test_a_socket_under_tls_and_its_certificate_is_checked() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)

    def wrap(stream: trio.SocketStream) -> trio.abc.Stream:
        return trio.SSLStream(stream, server, server_side=True, https_compatible=True)

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"wss://localhost:{listener.socket.getsockname()[1]}/"
    async with trio.open_nursery() as nursery, listener:
        nursery.start_soon(serve_once, listener, wrap)
        assert await talk(url, client) == b'{"clientContent": {}}'

        async def refused_by_client() -> None:
            stream = trio.SSLStream(await listener.accept(), server, server_side=True)
            with pytest.raises(trio.BrokenResourceError):
                await stream.do_handshake()
            await trio.aclose_forcefully(stream)

        nursery.start_soon(refused_by_client)
        with pytest.raises(ModelRefused, match="could not connect"):
            await talk(url, ssl.create_default_context())


async def test_nobody_listening_is_refused() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(ModelRefused):
        await talk(f"ws://127.0.0.1:{port}/", None)


async def test_a_server_that_never_answers_is_refused_at_the_deadline_and_left(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()

    def connect(host: str, port: int) -> Awaitable[trio.abc.Stream]:
        async def connected() -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            return ours

        return connected()

    monkeypatch.setattr(trio, "open_tcp_stream", connect)
    started = trio.current_time()
    with pytest.raises(ModelRefused):
        async with open_websocket("ws://x/", [], deadline_s=3.0):
            pytest.fail("there was no handshake")
    assert trio.current_time() - started == pytest.approx(3.0)
    assert await until_end(theirs)
