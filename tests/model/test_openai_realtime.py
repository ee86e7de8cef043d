"""The OpenAI Realtime provider against a strict scripted server: how sessions open, and how they are refused."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from engine.errors import ConfigurationError, ModelRefused
from engine.model.openai_realtime import OpenAIRealtimeProvider
from engine.model.openai_setup import session_fields, silence_ms
from engine.model.provider import HistoryItem, ModelProvider, SessionSetup, WritingStream
from engine.model.setup import instruction
from tests.model.fake_gemini import TENANT
from tests.model.fake_openai import FakeOpenAI
from tests.model.openai_open import Connect, nothing_more, opened, provider

Clock = trio.testing.MockClock
SETUP = SessionSetup(TENANT, "CA1")


# --- opening --------------------------------------------------------------------------------------------------------


def test_provider_and_stream_fill_the_interface() -> None:
    filled: ModelProvider = provider()
    assert filled.name == "openai-realtime"
    assert filled.capabilities.connection_limit_s == 3600
    assert filled.capabilities.truncation
    assert not filled.capabilities.resume


@pytest.mark.parametrize("url", ["http://model.test", "ws://", "model.test"])
def test_a_url_that_is_no_websocket_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ws://"):
        provider(url)


async def head_of(connect_to: Connect, url: str, model: str) -> str:
    """The head of the handshake for that address."""
    fake = FakeOpenAI(connect_to().stream)
    given = OpenAIRealtimeProvider(url, "the-key", model, transcribe_model="gpt-transcribe")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fake.begin)
        async with given.open_stream(SETUP) as stream:
            checked: WritingStream = stream
            assert checked is stream
    assert await fake.wait_closed() == (1000, "")
    return fake.head


async def test_a_session_begins_with_path_model_and_key(connect_to: Connect, autojump_clock: Clock) -> None:
    head = await head_of(connect_to, "ws://model.test/v1/realtime", "gpt realtime/2")
    assert head.startswith("GET /v1/realtime?model=gpt%20realtime%2F2 HTTP/1.1\r\n")
    assert "Authorization: Bearer the-key\r\n" in head
    assert "openai-beta" not in head.lower()
    assert "api-key:" not in head.lower()


async def test_nothing_is_asked_of_a_session_that_is_not_there_yet(connect_to: Connect, autojump_clock: Clock) -> None:
    fake = FakeOpenAI(connect_to().stream)

    async def serve() -> None:
        await fake.upgrade()
        await nothing_more(fake)
        await created(fake)
        await fake.send("session.updated", session={"type": "realtime"})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with provider().open_stream(SETUP):
            pass


async def test_an_address_of_azures_gets_its_key_where_it_looks(connect_to: Connect, autojump_clock: Clock) -> None:
    head = await head_of(connect_to, "ws://acme.openai.azure.com/openai/v1/realtime?a=b", "desk")
    assert head.startswith("GET /openai/v1/realtime?a=b&model=desk HTTP/1.1\r\n")
    assert "api-key: the-key\r\n" in head
    assert "Bearer" not in head


async def test_the_settings_are_those_of_the_tenant(connect_to: Connect, autojump_clock: Clock) -> None:
    fields = session_fields(SETUP, "gpt-transcribe")
    assert fields["output_modalities"] == ["audio"]
    assert fields["instructions"] == "\n\n".join(instruction(TENANT))
    heard, said = fields["audio"]["input"], fields["audio"]["output"]
    assert heard["format"] == said["format"] == {"type": "audio/pcmu"}
    assert said["voice"] == TENANT.openai_voice
    assert heard["transcription"] == {"model": "gpt-transcribe", "language": "en"}
    assert heard["turn_detection"]["create_response"] is heard["turn_detection"]["interrupt_response"] is False
    (tool,) = fields["tools"]
    assert (tool["type"], tool["name"], tool["parameters"]) == ("function", "book", TENANT.tools[0].parameters)
    fake = FakeOpenAI(connect_to().stream)
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            assert await fake.begin() == {"type": "realtime", **session_fields(SETUP, "gpt-live-transcribe")}

        nursery.start_soon(serve)
        async with provider().open_stream(SETUP):
            pass


def test_a_session_in_writing_asks_for_text_and_one_without_tools_for_none() -> None:
    plain = TENANT.model_copy(update={"tools": ()})
    fields = session_fields(SessionSetup(plain, "CA1", in_writing=True), "t")
    assert fields["output_modalities"] == ["text"]
    assert "tools" not in fields


@pytest.mark.parametrize(("ours", "theirs"), [(200, 100), (400, 200), (500, 300), (2000, 300)])
def test_the_service_ends_what_was_said_before_we_end_the_turn(ours: int, theirs: int) -> None:
    timing = TENANT.timing.model_copy(update={"endpointing_ms": ours})
    assert silence_ms(TENANT.model_copy(update={"timing": timing})) == theirs


async def test_what_was_said_before_is_told_item_by_item(connect_to: Connect, autojump_clock: Clock) -> None:
    history = (HistoryItem("agent", "Hello."), HistoryItem("caller", ""), HistoryItem("caller", "Hi."))
    async with opened(connect_to, history=history) as (_, fake):
        told = [(await fake.expect("conversation.item.create"))["item"] for _ in range(2)]
    assert [(item["role"], item["content"][0]["text"]) for item in told] == [("assistant", "Hello."), ("user", "Hi.")]
    assert len({item["id"] for item in told}) == 2


# --- refusals -------------------------------------------------------------------------------------------------------


async def refused_by(connect_to: Connect, *steps: Callable[[FakeOpenAI], Awaitable[object]]) -> ModelRefused:
    """How a server that does this instead of what it should is refused."""
    fake = FakeOpenAI(connect_to().stream)

    async def serve() -> None:
        await fake.upgrade()
        for step in steps:
            await step(fake)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(ModelRefused) as refused:
            async with provider().open_stream(SETUP):
                pytest.fail("there was no session")
    return refused.value


async def created(fake: FakeOpenAI) -> None:
    await fake.send("session.created", session={"type": "realtime"})
    await fake.expect("session.update")


async def other_sound(fake: FakeOpenAI) -> None:
    audio = {"output": {"format": {"type": "audio/pcm", "rate": 24000}}}
    await fake.send("session.updated", session={"type": "realtime", "audio": audio})


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([lambda fake: fake.close(3000, "no such model")], "no such model"),
        ([lambda fake: fake.complain("invalid_api_key")], "invalid_api_key"),
        ([created, lambda fake: fake.complain("invalid_value")], "invalid_value"),
        ([created, lambda fake: fake.raw(b"nonsense")], "not JSON"),
        ([created, lambda fake: fake.stream.aclose()], "without a goodbye"),
        ([created, other_sound], "audio/pcm"),
        ([created, lambda fake: fake.wait_closed()], r"4\.0 s"),
        ([lambda fake: fake.wait_closed()], r"4\.0 s"),
    ],
)
async def test_what_is_no_session_is_refused(
    connect_to: Connect, steps: list[Any], why: str, autojump_clock: Clock
) -> None:
    refused = await refused_by(connect_to, *steps)
    assert refused.resumable
    assert refused.code == (3000 if "model" in why else 1006 if "goodbye" in why else None)
    with pytest.raises(ModelRefused, match=why):
        raise refused
