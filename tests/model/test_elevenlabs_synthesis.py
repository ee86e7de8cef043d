"""One connection to the voice, against a socket that a test holds the other end of."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import trio
import trio.testing

from engine.errors import ModelGarbled, ModelLost, ModelRefused, ModelStalled
from engine.model.elevenlabs_synthesis import FAULTS_TOLERATED, Synthesis
from engine.model.elevenlabs_utterance import Done, Spoken
from engine.model.stream import ModelSocket

Clock = trio.testing.MockClock


class Socket:
    """What was sent, and what is received."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.says, self._says = trio.open_memory_channel[bytes](100)

    async def send(self, payload: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append(json.loads(payload))

    async def receive(self) -> bytes:
        return await self._says.receive()

    def sound(self, context: str, chars: str, ms: int = 100) -> None:
        times = {
            "chars": list(chars),
            "charStartTimesMs": list(range(len(chars))),
            "charDurationsMs": [1] * len(chars),
        }
        audio = base64.b64encode(bytes(8 * ms)).decode()
        self.say({"audio": audio, "alignment": times if chars else None, "contextId": context})

    def say(self, message: Any) -> None:
        self.says.send_nowait(json.dumps(message).encode())


@dataclass
class Held:
    voice: Synthesis
    socket: Socket
    told: list[Spoken] = field(default_factory=list)
    lost: ModelLost | None = None
    over: trio.Event = field(default_factory=trio.Event)

    async def run(self) -> None:
        try:
            await self.voice.run(self.told.append)
        except ModelLost as lost:
            self.lost = lost
        self.over.set()

    def sent(self) -> list[str]:
        return [message.get("text", "close") for message in self.socket.sent]


@asynccontextmanager
async def held() -> AsyncIterator[Held]:
    socket = Socket()
    both = Held(Synthesis(cast("ModelSocket", socket), {}, "en-US"), socket)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(both.run)
        await trio.testing.wait_all_tasks_blocked()
        yield both
        nursery.cancel_scope.cancel()


async def test_a_context_is_open_before_there_is_anything_to_say(autojump_clock: Clock) -> None:
    async with held() as both:
        both.voice.write("Hello there. How")
        await trio.sleep(0.1)
        assert both.sent() == [" ", "Hello there. "]
        both.voice.finish()
        await trio.sleep(0.1)
    assert both.sent() == [" ", "Hello there. ", "How ", "close", " "]


async def test_what_has_been_said_is_over_though_the_service_does_not_say_so(autojump_clock: Clock) -> None:
    async with held() as both:
        both.voice.write("Hi there.")
        both.voice.finish()
        await trio.sleep(0.3)
        both.socket.sound("utterance-1", "Hi there.")
        await trio.sleep(0.9)
        assert not any(isinstance(one, Done) for one in both.told)
        await trio.sleep(0.2)
        assert isinstance(both.told[-1], Done)
        assert not both.voice.busy
        assert both.lost is None


async def test_a_sentence_without_a_sound_is_waited_for_a_second(autojump_clock: Clock) -> None:
    async with held() as both:
        both.voice.write("Hi there. And")
        began = trio.current_time()
        await both.over.wait()
        assert trio.current_time() - began == pytest.approx(1.0)
        assert isinstance(both.lost, ModelStalled)
        assert both.voice.unsaid == "Hi there. And"


async def test_a_sentence_that_has_been_said_is_not_waited_for(autojump_clock: Clock) -> None:
    async with held() as both:
        both.voice.write("Hi there. And")
        both.socket.sound("utterance-1", "Hi there.")
        await trio.sleep(60.0)
        assert not both.over.is_set()
        both.voice.write(" now? Yes")
        await trio.sleep(0.9)
        assert not both.over.is_set()
        await both.over.wait()
    assert isinstance(both.lost, ModelStalled)
    assert both.voice.unsaid == "And now? Yes"


async def test_an_utterance_that_ends_without_a_sound_is_a_fault(autojump_clock: Clock) -> None:
    async with held() as both:
        both.voice.write("Hi there.")
        both.voice.finish()
        await trio.sleep(0.1)
        both.socket.say({"isFinal": True, "contextId": "utterance-1"})
        await both.over.wait()
    assert isinstance(both.lost, ModelGarbled)


async def test_sound_without_times_is_as_good(autojump_clock: Clock) -> None:
    async with held() as both:
        both.voice.write("Hi there.")
        both.voice.finish()
        await trio.sleep(0.1)
        both.socket.sound("utterance-1", "")
        both.socket.say({"isFinal": True, "contextId": "utterance-1"})
        await trio.sleep(0.1)
        assert [one.text for one in both.told] == ["Hi there.", ""]


async def test_nonsense_between_utterances_is_passed_over_a_few_times(autojump_clock: Clock) -> None:
    async with held() as both:
        for _ in range(FAULTS_TOLERATED):
            both.socket.say([])
        await trio.sleep(0.1)
        assert not both.over.is_set()
        both.socket.say([])
        await both.over.wait()
    assert isinstance(both.lost, ModelGarbled)


async def test_what_the_service_refuses_is_said_in_its_words(autojump_clock: Clock) -> None:
    async with held() as both:
        both.socket.say({"error": "quota_exceeded", "message": "No credits left.", "code": 1008})
        await both.over.wait()
    assert isinstance(both.lost, ModelRefused)
    assert "quota_exceeded No credits left." in str(both.lost)


async def test_a_dropped_utterance_leaves_nothing_for_the_next(autojump_clock: Clock) -> None:
    async with held() as both:
        both.voice.write("Hi there. And")
        both.voice.drop()
        both.voice.write(" Yes? ")
        await trio.sleep(0.1)
        both.socket.sound("utterance-1", "Hi")
        both.socket.sound("utterance-2", "Yes?")
        await trio.sleep(0.1)
    assert both.sent() == [" ", "Hi there. ", "close", " ", "Yes? "]
    assert [one.text for one in both.told] == ["Yes?"]
