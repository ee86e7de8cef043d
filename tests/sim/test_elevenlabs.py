"""The simulated voice is as strict as the service, and tells the truth about when it says what."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import orjson
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from trio.testing import MockClock, memory_stream_pair
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from engine.audio import g711
from engine.sim.elevenlabs import SimElevenLabs
from engine.sim.elevenlabs_rules import alignment
from engine.sim.tones import ToneVoice, identify
from engine.wire import elevenlabs as codec

KEY = [(b"xi-api-key", b"test")]
ADDRESS = codec.address("voice1234", "eleven_flash_v2_5", "en-US")
SENTENCE = "We are open until five, or 5.30 on Mondays."


class Client:
    def __init__(self, websocket: WebSocketConnection) -> None:
        self.websocket = websocket
        self.sound: dict[str, bytes] = {}
        self.chars: dict[str, list[tuple[str, float]]] = {}

    async def send(self, message: bytes | str | dict[str, Any]) -> None:
        if isinstance(message, dict):
            message = orjson.dumps(message)
        await self.websocket.send_message(message.decode() if isinstance(message, bytes) else message)

    async def read(self) -> dict[str, Any]:
        message: dict[str, Any] = orjson.loads(await self.websocket.get_message())
        if message.get("audio"):
            context = message["contextId"]
            before = self.sound.get(context, b"")
            self.sound[context] = before + base64.b64decode(message["audio"])
            if (times := message["alignment"]) is not None:
                starts = (start + len(before) / 8 for start in times["charStartTimesMs"])
                self.chars.setdefault(context, []).extend(zip(times["chars"], starts, strict=True))
        return message

    async def until_final(self, context: str = "one") -> None:
        with trio.fail_after(20.0):
            while await self.read() != {"isFinal": True, "audio": None, "contextId": context}:
                pass

    async def refused(self) -> str:
        """The service's word for it; and it closes."""
        error = ""
        with trio.fail_after(400.0):
            try:
                while True:
                    error = (await self.read()).get("error", error)
            except ConnectionClosed:
                pass
        assert self.websocket.closed is not None
        assert self.websocket.closed.code == 1008
        return error


@asynccontextmanager
async def connect(sim: SimElevenLabs, address: str = ADDRESS, headers: Any = KEY) -> AsyncIterator[Client]:
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sim.serve_stream, theirs)
        wire: Any = ours
        yield Client(await wrap_client_stream(nursery, wire, "voice.test", address, extra_headers=headers))
        nursery.cancel_scope.cancel()


async def test_a_sentence_is_said_in_its_voice(autojump_clock: MockClock) -> None:
    sim = SimElevenLabs()
    async with connect(sim) as client:
        await client.send(codec.open_context("one", {"stability": 0.4}))
        await client.send(codec.say("one", SENTENCE))
        await client.send(codec.close_context("one"))
        await client.until_final()
    assert identify(g711.decode(client.sound["one"]), 8000) == ToneVoice.index_of(SENTENCE)
    (context,) = sim.sessions[0].contexts
    assert (context.texts, context.said_ms) == ([SENTENCE], len(client.sound["one"]) / 8)
    assert sim.protocol_faults == []


async def test_each_character_is_told_once_with_its_time(autojump_clock: MockClock) -> None:
    async with connect(SimElevenLabs(chunk_ms=130)) as client:
        await client.send(codec.open_context("one", {}))
        for sentence in (SENTENCE, "Bye."):
            await client.send(codec.say("one", sentence))
        await client.send(codec.close_context("one"))
        await client.until_final()
    assert "".join(char for char, _ in client.chars["one"]) == f"{SENTENCE} Bye. "
    starts = [start for _, start in client.chars["one"]]
    assert starts == sorted(starts)
    second = starts[len(SENTENCE) + 1]
    assert second == pytest.approx(280 * len(SENTENCE.split()), abs=8)


async def test_contexts_are_said_side_by_side(autojump_clock: MockClock) -> None:
    async with connect(SimElevenLabs(pace=1.0)) as client:
        for name in ("one", "two"):
            await client.send(codec.open_context(name, {}))
            await client.send(codec.say(name, SENTENCE))
            await client.send(codec.close_context(name))
        began = trio.current_time()
        finals: list[str] = []
        while len(finals) < 2:
            message = await client.read()
            finals += [message["contextId"]] if message.get("isFinal") else []
        assert sorted(finals) == ["one", "two"]
        assert trio.current_time() - began < 1.5 * len(client.sound["one"]) / 8000


async def test_without_whole_sentences_text_waits_for_more(autojump_clock: MockClock) -> None:
    async with connect(SimElevenLabs(), ADDRESS.replace("auto_mode=true", "auto_mode=false")) as client:
        await client.send(codec.open_context("one", {}))
        await client.send({"text": f"{SENTENCE} ", "context_id": "one"})
        with trio.move_on_after(5.0) as nothing:
            await client.read()
        assert nothing.cancelled_caught
        await client.send({"context_id": "one", "flush": True})
        assert (await client.read())["audio"]


async def test_what_was_not_flushed_is_not_said_after_a_close(autojump_clock: MockClock) -> None:
    async with connect(SimElevenLabs(), ADDRESS.replace("auto_mode=true", "auto_mode=false")) as client:
        await client.send(codec.open_context("one", {}))
        await client.send({"text": f"{SENTENCE} ", "context_id": "one"})
        await client.send(codec.close_context("one"))
        await client.until_final()
    assert client.sound == {}


async def test_a_sixth_context_is_one_too_many(autojump_clock: MockClock) -> None:
    sim = SimElevenLabs()
    async with connect(sim) as client:
        for number in range(6):
            await client.send(codec.open_context(str(number), {}))
        assert await client.refused() == "max_active_conversations"
    assert [fault.code for fault in sim.protocol_faults] == ["max_active_conversations"]


async def test_a_closed_context_counts_until_its_last_word(autojump_clock: MockClock) -> None:
    async with connect(SimElevenLabs(pace=1.0)) as client:
        for number in range(5):
            await client.send(codec.open_context(str(number), {}))
            await client.send(codec.say(str(number), SENTENCE))
            await client.send(codec.close_context(str(number)))
        await client.until_final("4")
        await client.send(codec.open_context("5", {}))
        await client.send(codec.say("5", SENTENCE))
        for number in range(6, 11):
            await client.send(codec.open_context(str(number), {}))
        assert await client.refused() == "max_active_conversations"


async def test_silence_of_the_client_ends_the_connection(autojump_clock: MockClock) -> None:
    async with connect(SimElevenLabs()) as client:
        await client.send(codec.open_context("one", {}))
        began = trio.current_time()
        for _ in range(3):
            await trio.sleep(100.0)
            await client.send(codec.keep_alive("one"))
        assert await client.refused() == "input_timeout_exceeded"
        assert trio.current_time() - began == pytest.approx(480.0, abs=0.1)


OPEN = {"text": " ", "context_id": "one"}


@pytest.mark.parametrize(
    "messages",
    [
        [{"text": "Hello. ", "context_id": "one"}],
        [{"text": "", "context_id": "one"}],
        [OPEN, {**OPEN, "voice_settings": {"speed": 1.0}}],
        [{**OPEN, "voice_settings": {"speed": 1.3}}],
        [{**OPEN, "voice_settings": {"loudness": 1.0}}],
        [{**OPEN, "language": "en"}],
        [{"text": " "}],
        [OPEN, {"text": "Hello.", "context_id": "one"}],
        [OPEN, {"context_id": "two", "close_context": True}],
        [OPEN, {"context_id": "one", "close_context": True}, {"context_id": "one", "flush": True}],
        [{"context_id": "one", "close_context": False}],
        ["not JSON"],
        ["[]"],
    ],
    ids=repr,
)
async def test_what_the_service_would_not_take_ends_the_connection(
    autojump_clock: MockClock, messages: list[Any]
) -> None:
    sim = SimElevenLabs()
    async with connect(sim) as client:
        for message in messages:
            await client.send(message)
        assert await client.refused()
    assert len(sim.protocol_faults) == 1


async def test_a_voice_that_does_not_exist_is_refused(autojump_clock: MockClock) -> None:
    async with connect(SimElevenLabs(voices=["other123"])) as client:
        await client.send(codec.open_context("one", {}))
        assert await client.refused() == "voice_id_does_not_exist"


@pytest.mark.parametrize(
    "address",
    [
        "/v1/text-to-speech/voice1234/stream-input",
        ADDRESS.replace("eleven_flash_v2_5", "eleven_nothing"),
        ADDRESS.replace("ulaw_8000", "mp3_44100_128"),
        ADDRESS.replace("=180", "=181"),
        ADDRESS.replace("=true", "=yes"),
        ADDRESS.replace("=en", "=en-US"),
        ADDRESS + "&colour=red",
    ],
)
async def test_a_wrong_address_is_refused(autojump_clock: MockClock, address: str) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with connect(SimElevenLabs(), address):
            pass
    assert caught.group_contains(ConnectionRejected)


async def test_a_wrong_key_is_refused(autojump_clock: MockClock) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with connect(SimElevenLabs(api_key="right")):
            pass
    assert caught.group_contains(ConnectionRejected)


async def test_any_voice_of_the_other_simulators_will_do(autojump_clock: MockClock) -> None:
    async def hum(text: str) -> NDArray[np.int16]:
        await trio.lowlevel.checkpoint()
        return np.zeros(24 * 40 * len(text), np.int16)

    async with connect(SimElevenLabs(voice=hum)) as client:
        await client.send(codec.open_context("one", {}))
        await client.send(codec.say("one", "Hm."))
        await client.send(codec.close_context("one"))
        await client.until_final()
    assert len(client.sound["one"]) == pytest.approx(3 * 40 * 8, abs=30)


@given(st.text("ab 5.,?é\n", max_size=60), st.floats(20.0, 30_000.0))
def test_the_times_of_a_text_fill_its_sound(text: str, ms: float) -> None:
    times = alignment(text, ms)
    assert "".join(char for char, _, _ in times) == text
    if text.strip():
        starts = [start for _, start, _ in times]
        assert starts == sorted(starts)
        assert min(starts) == 0
        assert all(length >= 0 for _, _, length in times)
        assert times[-1][1] + times[-1][2] == int(ms)
