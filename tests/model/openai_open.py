"""An open OpenAI Realtime session whose other end is a scripted server, under virtual time."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from engine.messages import Asked, CommitTurn, Notes, Passage, Skipped
from engine.model.openai_realtime import OpenAIRealtimeProvider
from engine.model.openai_stream import OpenAIStream
from engine.model.provider import SessionSetup, StreamEvent
from tests.model.fake_gemini import TENANT, FakeGemini
from tests.model.fake_openai import FakeOpenAI

Connect = Callable[[], FakeGemini]
Opened = AbstractAsyncContextManager[tuple[OpenAIStream, FakeOpenAI]]
PRICES = Passage("acme", "prices.md", "A visit costs 80.", 0.9)


def provider(url: str = "ws://model.test/v1/realtime") -> OpenAIRealtimeProvider:
    return OpenAIRealtimeProvider(url, "the-key", "gpt-realtime-2.1", transcribe_model="gpt-live-transcribe")


@asynccontextmanager
async def opened(connect_to: Connect, **changes: Any) -> AsyncIterator[tuple[OpenAIStream, FakeOpenAI]]:
    """The stream, and the server's end after its ``begin``."""
    fake = FakeOpenAI(connect_to().stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fake.begin)
        async with provider().open_stream(SessionSetup(TENANT, "CA1", **changes)) as stream:
            yield stream, fake


async def take(stream: OpenAIStream, count: int) -> list[StreamEvent]:
    """The next events; no more than these may be ready."""
    events = stream.events()
    return [await anext(events) for _ in range(count)]


def at_once(turn_id: int = 1) -> CommitTurn:
    return CommitTurn(Asked(turn_id), Skipped(turn_id, "small talk"))


def with_notes(turn_id: int = 1) -> CommitTurn:
    return CommitTurn(Asked(turn_id), Notes(turn_id, "how much", (PRICES,), 1.0))


def text_of(message: dict[str, Any]) -> str:
    (part,) = message["item"]["content"]
    return str(part["text"])


async def nothing_more(fake: FakeOpenAI) -> None:
    """The client has said nothing that was not expected."""
    await trio.testing.wait_all_tasks_blocked()
    with trio.move_on_after(0.01):
        await fake.expect()
        pytest.fail("the client said something more")
    assert fake.messages == []
