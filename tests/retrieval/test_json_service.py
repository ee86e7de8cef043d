"""Requests in JSON over kept connections, against small servers on the loopback interface."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import h11
import pytest
import trio
import trio.testing
import trustme

from engine.retrieval import json_service
from engine.retrieval.json_service import UNREACHABLE, JsonService, open_json_service

Serve: TypeAlias = Callable[[trio.SocketStream], Awaitable[None]]


@dataclass
class Peer:
    """Answers each request with its own body, after ``gate``; closes a connection after so many answers."""

    closes_after: int = 1000
    connections: int = 0
    asked: list[bytes] = field(default_factory=list)
    gate: trio.Event = field(default_factory=trio.Event)

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        for _ in range(self.closes_after):
            if not (body := await read_request(stream)):
                return
            self.asked.append(body)
            await self.gate.wait()
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


async def read_request(stream: trio.abc.Stream) -> bytes:
    http, body = h11.Connection(h11.SERVER), b""
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            http.receive_data(bytes(await stream.receive_some()))
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.ConnectionClosed):
            return b""
    return body


@asynccontextmanager
async def asking(serve: Serve) -> AsyncIterator[JsonService]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        with trio.fail_after(10):
            async with open_json_service(f"http://127.0.0.1:{port}/base/", [("x-key", "k")]) as service:
                yield service
        nursery.cancel_scope.cancel()


async def test_one_connection_serves_one_request_after_another() -> None:
    peer = Peer()
    peer.gate.set()
    async with asking(peer.serve) as service:
        for body in (b"[1]", b"[2]", b"[3]"):
            assert await service.post("/x", body) == (200, body)
    assert (peer.connections, peer.asked) == (1, [b"[1]", b"[2]", b"[3]"])


async def test_what_is_lost_with_a_connection_that_was_closed_meanwhile_is_asked_again() -> None:
    peer = Peer(closes_after=1)
    peer.gate.set()
    async with asking(peer.serve) as service:
        for body in (b"[1]", b"[2]", b"[3]"):
            assert await service.post("/x", body) == (200, body)
            await trio.testing.wait_all_tasks_blocked(0.01)  # its hang-up is here
    assert (peer.connections, peer.asked) == (3, [b"[1]", b"[2]", b"[3]"])


async def test_a_connection_left_by_a_cancelled_request_serves_again_once_its_answer_is_there() -> None:
    peer = Peer()
    async with asking(peer.serve) as service:
        with trio.move_on_after(0.05) as left:
            await service.post("/x", b"[1]")
        assert left.cancelled_caught
        peer.gate.set()
        while not any(one.has_something() for one in service._owing):
            await trio.sleep(0.001)
        assert await service.post("/x", b"[2]") == (200, b"[2]"), "its own answer, not the one that was left"
        assert await service.post("/x", b"[3]") == (200, b"[3]")
    assert (peer.connections, peer.asked) == (1, [b"[1]", b"[2]", b"[3]"])


async def test_nobody_waits_for_an_answer_that_was_left_and_does_not_come() -> None:
    peer, stuck = Peer(), trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        if peer.connections == 0:
            stuck.set()
            peer.connections += 1
            await trio.sleep_forever()
        await peer.serve(stream)

    peer.gate.set()
    async with asking(serve) as service:
        with trio.move_on_after(0.05):
            await service.post("/x", b"[1]")
        assert await service.post("/x", b"[2]") == (200, b"[2]")
    assert (stuck.is_set(), peer.connections) == (True, 2)


async def test_connections_that_were_left_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_service, "OWING", 2)
    open_now = 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal open_now
        open_now += 1
        while await stream.receive_some():
            pass
        open_now -= 1

    async with asking(serve) as service:
        for _ in range(6):
            with trio.move_on_after(0.02):
                await service.post("/x", b"[1]")
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert open_now == 2
    assert not service._owing


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[1", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nx" * 9999]
)
async def test_a_service_that_breaks_off_or_speaks_no_http_cannot_be_reached(said: bytes) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await read_request(stream)
        with trio.move_on_after(1):
            with suppress(trio.BrokenResourceError):
                await stream.send_all(said)

    async with asking(serve) as service:
        with pytest.raises(UNREACHABLE):
            await service.post("/x", b"[1]")


async def test_chunks_early_news_and_a_goodbye_are_understood() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        body = await read_request(stream)
        await stream.send_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await stream.send_all(b"HTTP/1.1 429 No\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")
        await stream.send_all(b"3\r\n%s\r\n0\r\n\r\n" % body)

    async with asking(serve) as service:
        for body in (b"[1]", b"[2]"):
            assert await service.post("/x", body) == (429, body)


async def test_a_certificate_is_checked_against_the_name() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    peer = Peer()
    peer.gate.set()

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):  # who does not trust us
            await peer.serve(trio.SSLStream(stream, context, server_side=True, https_compatible=True))

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        url = f"https://localhost:{listeners[0].socket.getsockname()[1]}"
        async with open_json_service(url, []) as stranger, open_json_service(url, []) as friend:
            with pytest.raises(UNREACHABLE):
                await stranger.post("/x", b"[1]")
            assert friend._tls is not None
            authority.configure_trust(friend._tls)
            for body in (b"[1]", b"[2]"):
                assert await friend.post("/x", body) == (200, body)
        nursery.cancel_scope.cancel()
    assert peer.asked == [b"[1]", b"[2]"]
