"""A provider whose connections end at a fake server, under virtual time."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from engine.model.gemini_live import GeminiLiveProvider
from engine.model.gemini_stream import GeminiStream
from engine.model.provider import SessionSetup
from engine.model.setup import prepare
from engine.model.stream import ModelSocket
from engine.sim.elevenlabs import SimElevenLabs
from engine.sim.moods import Mood, Rule
from tests.model import lean
from tests.model.fake_gemini import TENANT, FakeGemini
from tests.model.own_voice import VOICE_ID, Make, connected
from tests.model.running import Running, run_over

Run = Callable[[], AbstractAsyncContextManager[Running]]
OverTcp = Callable[[], AbstractAsyncContextManager[tuple[GeminiStream, FakeGemini]]]
Open = Callable[..., AbstractAsyncContextManager[tuple[GeminiStream, FakeGemini]]]


@pytest.fixture
def open_session(connect_to: Callable[[], FakeGemini]) -> Open:
    """Opens a session through the real provider; gives the stream and the server's end after its ``begin``."""

    @asynccontextmanager
    async def opened(**changes: Any) -> AsyncIterator[tuple[GeminiStream, FakeGemini]]:
        fake = connect_to()
        provider = GeminiLiveProvider("ws://model.test", "the-key", "gemini-3.8-live")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fake.begin)
            async with provider.open_stream(SessionSetup(TENANT, "CA1", **changes)) as stream:
                yield stream, fake

    return opened


@pytest.fixture
def connect_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[], FakeGemini]:
    """Makes the next TCP connection end at the fake server that it returns."""
    prepare()

    def make() -> FakeGemini:
        ours, theirs = trio.testing.memory_stream_pair()

        async def connected() -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            return ours

        def connect(host: str, port: int) -> Awaitable[trio.abc.Stream]:
            return connected()

        monkeypatch.setattr(trio, "open_tcp_stream", connect)
        return FakeGemini(theirs)

    return make


@pytest.fixture
def running(open_session: Open) -> Run:
    """Opens a session and runs the actor over it."""

    @asynccontextmanager
    async def run() -> AsyncIterator[Running]:
        async with open_session() as (stream, fake), run_over(stream, fake) as session:
            yield session

    return run


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery) -> Make:
    """Makes a simulated voice that misbehaves by these moods, at which every connection from then on ends."""

    def simulated(*moods: Mood, **manner: Any) -> SimElevenLabs:
        voice = SimElevenLabs(voices=[VOICE_ID], rules=[Rule(mood) for mood in moods], **manner)
        connected(monkeypatch, nursery, voice)
        return voice

    return simulated


@pytest.fixture(params=["plain", "tls"])
def over_tcp(request: pytest.FixtureRequest) -> OverTcp:
    """A stream on a connection of the kernel's, which can be asked what has come."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[GeminiStream, FakeGemini]]:
        ours, theirs = lean.plain() if request.param == "plain" else await lean.secured()
        mine = ModelSocket(ours)
        try:
            yield GeminiStream(mine, "acme"), FakeGemini(theirs)
        finally:
            await mine.aclose()
            await trio.aclose_forcefully(theirs)

    return opened
