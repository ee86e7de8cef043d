"""Over real sockets, in real time, briefly: what memory streams cannot show."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trustme
from trio_websocket import ConnectionClosed, wrap_client_stream

from engine.sim.brain import EchoBrain
from engine.sim.ear import ToneEar
from engine.sim.gemini import PATH, SimGemini
from engine.sim.moods import Cut, Deaf, Refuse, Rule
from engine.sim.tones import tone_clip

from .gemini_client import KEY, SETUP, Client


def quick(*rules: Rule) -> SimGemini:
    brain = EchoBrain(tone_clip(5, 200, 24000))
    return SimGemini(ear=ToneEar(), brain=brain, pace=50.0, think_ms=1, rules=rules)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def contexts(authority: trustme.CA) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@asynccontextmanager
async def connect(url: str, context: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """A client whose stream is closed whatever became of the websocket."""
    stream: Any = await trio.open_tcp_stream("127.0.0.1", int(url.rsplit(":", 1)[1]))
    if context is not None:
        stream = trio.SSLStream(stream, context, server_hostname="127.0.0.1", https_compatible=True)
    try:
        async with trio.open_nursery() as nursery:
            yield Client(await wrap_client_stream(nursery, stream, "127.0.0.1", PATH, extra_headers=KEY))
            nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)


async def test_a_session_runs_over_tls(nursery: trio.Nursery, authority: trustme.CA) -> None:
    server, client_context = contexts(authority)
    sim = quick()

    async def serve(task_status: trio.TaskStatus[str]) -> None:
        await sim.serve(ssl_context=server, task_status=task_status)

    url = await nursery.start(serve)
    assert url.startswith("wss://127.0.0.1:")
    async with connect(url, client_context) as client:
        await client.send({"setup": SETUP})
        await client.turn(tone_clip(1, 200, 16000))
        await client.until("turnComplete")
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("tls", [False, True])
async def test_a_cut_with_1006_is_a_tcp_reset(nursery: trio.Nursery, authority: trustme.CA, tls: bool) -> None:
    server, client_context = contexts(authority) if tls else (None, None)
    sim = quick(Rule(Cut(1006, after_ms=80)))

    async def serve(task_status: trio.TaskStatus[str]) -> None:
        await sim.serve(ssl_context=server, task_status=task_status)

    url = await nursery.start(serve)
    async with connect(url, client_context) as client:
        await client.send({"setup": SETUP})
        await client.turn(tone_clip(1, 200, 16000))
        with trio.fail_after(3), pytest.raises(ConnectionClosed):
            await client.until("turnComplete")
    assert [one.detail for one in sim.moments if one.what == "cut"] == ["1006"]
    nursery.cancel_scope.cancel()


async def test_refused_connections_are_reset_until_they_are_taken_again(nursery: trio.Nursery) -> None:
    sim = quick(Rule(Refuse("reset"), connection=1))
    url = await nursery.start(sim.serve)
    port = int(url.rsplit(":", 1)[1])

    async def is_reset() -> bool:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            try:
                await stream.send_all(b"GET / HTTP/1.1\r\n")
                await stream.receive_some(1)
            except trio.BrokenResourceError as broken:
                return isinstance(broken.__cause__, ConnectionResetError | BrokenPipeError)
        return False

    with trio.fail_after(3):
        assert await is_reset()
        sim.refuse_connections(True)
        assert await is_reset()
        sim.refuse_connections(False)
        async with connect(url) as client:
            await client.send({"setup": SETUP})
            assert "setupComplete" in await client.get()
    assert [one.closed_code for one in sim.sessions[:2]] == [1006, 1006]
    nursery.cancel_scope.cancel()


async def test_a_deaf_model_stops_taking_bytes(nursery: trio.Nursery) -> None:
    sim = quick(Rule(Deaf(), turn=0))
    url = await nursery.start(sim.serve)
    big = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "x" * 500_000}]}]}}
    async with connect(url) as client:
        await client.send({"setup": SETUP})
        assert "setupComplete" in await client.get()
        sent = 0
        with trio.move_on_after(0.5) as stuck:
            for _ in range(100):
                await client.send(big)
                sent += 1
        assert stuck.cancelled_caught
        assert sent < 60
    nursery.cancel_scope.cancel()


async def test_what_is_no_websocket_does_no_harm(nursery: trio.Nursery) -> None:
    sim = quick()
    url = await nursery.start(sim.serve)
    for nonsense in (b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01"):
        stream = await trio.open_tcp_stream("127.0.0.1", int(url.rsplit(":", 1)[1]))
        await stream.send_all(nonsense)
        await trio.aclose_forcefully(stream)
    async with connect(url) as client:
        await client.send({"setup": SETUP})
        assert "setupComplete" in await client.get()
    nursery.cancel_scope.cancel()
