"""The Gemini Live provider against a strict scripted server: how sessions open, and how they are refused."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from engine.errors import ConfigurationError, ModelRefused
from engine.model.gemini_live import PATH, GeminiLiveProvider
from engine.model.provider import (
    HistoryItem,
    ModelProvider,
    ModelStream,
    SessionSetup,
)
from tests.model.fake_gemini import TENANT, FakeGemini

Connect = Callable[[], FakeGemini]

Clock = trio.testing.MockClock


def setup(**changes: Any) -> SessionSetup:
    return SessionSetup(TENANT, "CA1", **changes)


def provider() -> GeminiLiveProvider:
    return GeminiLiveProvider("ws://model.test", "the-key", "gemini-3.8-live")


# --- opening ---------------------------------------------------------------------------------------------------------


def test_provider_and_stream_fill_the_interface() -> None:
    filled: ModelProvider = provider()
    assert filled.name == "gemini-live"
    assert filled.capabilities.resume


@pytest.mark.parametrize("url", ["http://model.test", "ws://", "model.test"])
def test_a_url_that_is_no_websocket_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ws://"):
        GeminiLiveProvider(url, "k", "m")


async def test_a_session_begins_with_path_key_and_setup(connect_to: Connect, autojump_clock: Clock) -> None:
    fake = connect_to()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fake.begin)
        async with provider().open_stream(setup()) as stream:
            checked: ModelStream = stream
            assert checked is stream
    assert fake.head.startswith(f"GET {PATH} HTTP/1.1\r\n")
    assert "x-goog-api-key: the-key" in fake.head
    assert await fake.wait_closed() == (1000, "")


async def test_what_was_said_before_is_told_only_without_a_handle(connect_to: Connect, autojump_clock: Clock) -> None:
    history = (HistoryItem("caller", "Hi."), HistoryItem("agent", "Hello."))
    for handle in (None, "h"):
        fake = connect_to()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fake.begin)
            async with provider().open_stream(setup(handle=handle, history=history)) as stream:
                await stream.open_turn()
                first = await fake.expect()
        if handle is None:
            content = first["clientContent"]
            assert content["turnComplete"] is True
            assert [(turn["role"], turn["parts"][0]["text"]) for turn in content["turns"]] == [
                ("user", "Hi."),
                ("model", "Hello."),
            ]
        else:
            assert "realtimeInput" in first


async def test_messages_before_setup_complete_are_passed_over(connect_to: Connect, autojump_clock: Clock) -> None:
    fake = connect_to()

    async def serve() -> None:
        await fake.upgrade()
        await fake.expect()
        await fake.say(usageMetadata={"totalTokenCount": 1})
        await fake.say(setupComplete={}, usageMetadata={})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with provider().open_stream(setup()):
            pass


async def refuse(fake: FakeGemini, how: Callable[[FakeGemini], Awaitable[object]]) -> None:
    await fake.upgrade()
    await fake.expect()
    await how(fake)


@pytest.mark.parametrize("code", [1007, 1008, 1011])
@pytest.mark.parametrize("given", [{}, {"handle": "h"}, {"history": (HistoryItem("caller", "Hi."),)}])
async def test_a_close_instead_of_setup_complete_is_refused(
    connect_to: Connect, code: int, given: dict[str, Any], autojump_clock: Clock
) -> None:
    fake = connect_to()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuse, fake, lambda server: server.close(code, "no such thing"))
        with pytest.raises(ModelRefused, match="no such thing") as refused:
            async with provider().open_stream(setup(**given)):
                pytest.fail("there was no session")
    assert refused.value.code == code
    assert refused.value.resumable is (code == 1011 or not given)


@pytest.mark.parametrize(
    "how",
    [
        lambda server: server.say(error={"code": 403, "message": "key"}),
        lambda server: server.raw(b"nonsense"),
        lambda server: server.stream.send_all(b"\xff\xff\xff"),
        lambda server: server.stream.aclose(),
    ],
)
async def test_an_error_or_nonsense_or_an_end_instead_of_setup_complete_is_refused(
    connect_to: Connect, how: Callable[[FakeGemini], Awaitable[object]], autojump_clock: Clock
) -> None:
    fake = connect_to()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuse, fake, how)
        with pytest.raises(ModelRefused) as refused:
            async with provider().open_stream(setup(handle="h")):
                pytest.fail("there was no session")
    assert refused.value.resumable


async def test_a_service_that_says_nothing_is_refused_at_the_deadline(
    connect_to: Connect, autojump_clock: Clock
) -> None:
    fake = connect_to()
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuse, fake, lambda server: server.wait_closed())
        with pytest.raises(ModelRefused, match=r"4\.0 s"):
            async with provider().open_stream(setup()):
                pytest.fail("there was no session")
        assert trio.current_time() - started == pytest.approx(4.0)
