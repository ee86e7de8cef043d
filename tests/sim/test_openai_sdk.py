"""The official SDK, which is asyncio only, talks to our simulator: what it sends is taken, what it is told it knows.

The simulator runs under trio in a thread of its own. The SDK itself judges little (a field too few does not disturb
it), so every event that it hands out is judged once more, strictly, as ``openai_client`` does.
"""

import asyncio
import base64
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import numpy as np
import openai
import orjson
import pytest
import trio
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types import realtime as sdk

from engine.audio import g711
from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.ear import ToneEar
from engine.sim.moods import Rule
from engine.sim.openai import SimOpenAI
from engine.sim.tones import ToneVoice, identify, tone_clip

from .openai_client import ANSWER, BOOK, NOTES, SETUP, assert_typed

MODEL = "gpt-realtime-2.1"
SILENCE = np.zeros(8 * 320, np.int16)


@contextmanager
def served(sim: SimOpenAI) -> Iterator[str]:
    """The simulator, in a thread: the base URL for the SDK."""
    started, urls, stops = threading.Event(), list[str](), list[Callable[[], None]]()

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            urls.append(await nursery.start(sim.serve))
            token = trio.lowlevel.current_trio_token()
            stops.append(lambda: token.run_sync_soon(nursery.cancel_scope.cancel))
            started.set()

    thread = threading.Thread(target=trio.run, args=(run,))
    thread.start()
    try:
        assert started.wait(5)
        yield urls[0].removesuffix("/realtime")
        until = time.monotonic() + 5  # a close that has been answered may not have been noted yet
        while any(session.closed_at is None for session in sim.sessions) and time.monotonic() < until:
            time.sleep(0.005)
    finally:
        for stop in stops:
            stop()
        thread.join(5)
    assert not thread.is_alive()


def simulator(*rules: Rule, ms_per_word: int = 40) -> SimOpenAI:
    brain = GroundedBrain({"tone 99": ToolWish("book", {"day": "tomorrow"})})
    quick: dict[str, Any] = {"pace": 20.0, "think_ms": 10, "transcribe_ms": 10}
    return SimOpenAI(ear=ToneEar(), brain=brain, voice=ToneVoice(ms_per_word), rules=rules, api_key="x", **quick)


@asynccontextmanager
async def connected(url: str, key: str = "x") -> AsyncIterator[AsyncRealtimeConnection]:
    client = openai.AsyncOpenAI(api_key=key, base_url="http://unused.invalid", websocket_base_url=url)
    async with client, client.realtime.connect(model=MODEL) as connection:
        yield connection


async def until(connection: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """Events up to the first of this type, each judged as it was before the SDK made its objects of it."""
    got: list[Any] = []
    while not got or got[-1].type != kind:
        got.append(connection.parse_event(raw := await connection.recv_bytes()))
        assert_typed(orjson.loads(raw))
    return got


async def speak(connection: AsyncRealtimeConnection, index: int) -> str:
    mulaw = g711.encode(np.concatenate((tone_clip(index, 400), SILENCE)))
    for at in range(0, len(mulaw), 160):
        await connection.input_audio_buffer.append(audio=base64.b64encode(mulaw[at : at + 160]).decode())
    return str((await until(connection, "input_audio_buffer.committed"))[-1].item_id)


def run(sim: SimOpenAI, scenario: Callable[[str], Awaitable[None]]) -> None:
    async def main(url: str) -> None:
        async with asyncio.timeout(10):
            await scenario(url)

    with served(sim) as url:
        asyncio.run(main(url))


def test_the_sdk_is_answered_calls_and_truncates() -> None:
    sim = simulator()

    async def scenario(url: str) -> None:
        async with connected(url) as connection:
            await until(connection, "session.created")
            setup: Any = SETUP
            await connection.session.update(session=setup)
            assert (await until(connection, "session.updated"))[-1].session.audio.output.voice == "cedar"

            item_id = await speak(connection, 17)
            note: Any = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": NOTES}]}
            await connection.conversation.item.create(item=note, previous_item_id=item_id)
            await connection.response.create(response={"metadata": {"turn": "1"}})
            got = await until(connection, "response.done")
            done = got[-1].response
            assert isinstance(done, sdk.RealtimeResponse)
            assert (done.status, done.metadata) == ("completed", {"turn": "1"})
            said = "".join(one.delta for one in got if one.type == "response.output_audio_transcript.delta")
            mulaw = b"".join(base64.b64decode(one.delta) for one in got if one.type == "response.output_audio.delta")
            assert said == ANSWER
            assert identify(g711.decode(mulaw), 8000) == ToneVoice.index_of(ANSWER)

            spoken = str(done.output[0].id if done.output else "")
            await connection.conversation.item.truncate(item_id=spoken, content_index=0, audio_end_ms=80)
            assert (await until(connection, "conversation.item.truncated"))[-1].audio_end_ms == 80
            await connection.conversation.item.truncate(item_id=spoken, content_index=0, audio_end_ms=90, event_id="e")
            error = (await until(connection, "error"))[-1].error
            assert (error.code, error.event_id) == ("invalid_value", "e")

            await speak(connection, 99)
            await connection.response.create()
            [call] = (await until(connection, "response.done"))[-1].response.output
            assert (call.name, call.arguments) == (BOOK["name"], '{"day":"tomorrow"}')
            output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "You are booked."}
            await connection.conversation.item.create(item=output)
            await connection.response.create()
            [spoken_item] = (await until(connection, "response.done"))[-1].response.output
            assert spoken_item.content[0].transcript == "You are booked."

    run(sim, scenario)
    assert [fault.code for fault in sim.protocol_faults] == ["invalid_value"], "the truncation beyond its end"
    assert [commit.transcript for commit in sim.sessions[0].commits] == ["tone 17", "tone 99"]
    assert sim.sessions[0].closed_code == 1000


def test_the_sdk_writes_interrupts_and_is_told_of_refusals() -> None:
    sim = simulator(ms_per_word=4000)

    async def scenario(url: str) -> None:
        async with connected(url) as connection:
            await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
            await connection.response.create(response={"instructions": 'Say "Good day."'})
            got = await until(connection, "response.done")
            assert "".join(one.delta for one in got if one.type == "response.output_text.delta") == "Good day."
            await connection.session.update(session={"type": "realtime", "output_modalities": ["audio"]})
            await connection.response.create(response={"instructions": 'Say "Good day."'})
            await until(connection, "response.output_audio.delta")
            await connection.response.create(event_id="second")
            error = (await until(connection, "error"))[-1].error
            assert (error.code, error.event_id) == ("conversation_already_has_active_response", "second")
            await connection.response.cancel()
            details = (await until(connection, "response.done"))[-1].response.status_details
            assert (details.type, details.reason) == ("cancelled", "client_cancelled")

    run(sim, scenario)


def test_a_wrong_key_reaches_the_sdk_as_an_event_and_a_close() -> None:
    sim = simulator()

    async def scenario(url: str) -> None:
        async with connected(url, key="wrong") as connection:
            assert (await until(connection, "error"))[-1].error.code == "invalid_api_key"
            with pytest.raises(Exception, match="3000"):
                await connection.recv()

    run(sim, scenario)
    assert [fault.code for fault in sim.protocol_faults] == ["invalid_api_key"]
