"""The strict simulator and the light one, told the same by the same client: what does each say, and when?"""

import base64
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import orjson
import trio
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.loadtest.light_answers import Pacer, Sentence
from engine.loadtest.light_link import SoundReader
from engine.loadtest.light_loop import Loop
from engine.loadtest.light_model import LightHouse, LightSession
from engine.loadtest.peers import answer_sound
from engine.loadtest.plan import Tools
from engine.loadtest.talk import Busy, LengthEar
from engine.sim.brain import EchoBrain
from engine.sim.gemini import SimGemini
from engine.sim.gemini_rules import read_message
from engine.sim.scenario import Clip
from engine.wire.websocket import Role, WebSocketCodec
from tests.sim.gemini_client import SETUP, dial

Message: TypeAlias = dict[str, Any]
Script: TypeAlias = Sequence[tuple[float, Message]]
Told: TypeAlias = list[tuple[float, Message]]

LISTENS: Message = {
    "model": "models/gemini-3.5-transcribe-live",
    "generationConfig": {"responseModalities": ["TEXT"]},
    "realtimeInputConfig": {"automaticActivityDetection": {"disabled": False, "silenceDurationMs": 1000}},
    "inputAudioTranscription": {},
}
PACE, THINK_MS = 3.0, 250
START: Message = {"realtimeInput": {"activityStart": {}}}
END: Message = {"realtimeInput": {"activityEnd": {}}}
FLUSH: Message = {"realtimeInput": {"audioStreamEnd": True}}


def note(text: str) -> Message:
    """Text within the activity."""
    return {"realtimeInput": {"text": text}}


def sound(pcm: NDArray[np.int16], per_ms: int = 8) -> Message:
    """One message of sound, of so many samples per millisecond."""
    data = base64.b64encode(pcm.astype("<i2").tobytes()).decode()
    return {"realtimeInput": {"audio": {"data": data, "mimeType": f"audio/pcm;rate={1000 * per_ms}"}}}


def windows(
    clip: Clip, *, at: float, quiet_ms: int = 300, window_ms: int = 100, per_ms: int = 8
) -> list[tuple[float, Message]]:
    """A clip between stretches of silence, as the gateway sends it in real time."""
    silence = np.zeros(per_ms * quiet_ms, np.int16)
    voice = g711.decode(clip.mulaw)
    pcm = np.concatenate((silence, Resampler(8000, 16000).process(voice) if per_ms == 16 else voice, silence))
    pcm = pcm[: len(pcm) // (20 * per_ms) * 20 * per_ms]  # whole frames, as from a telephone
    size = per_ms * window_ms
    pieces = [pcm[first : first + size] for first in range(0, len(pcm), size)]
    # A little slower than real time: three windows are never just as long as the model's own 0.3 s.
    return [(at + 1.003 * window_ms / 1000 * (one + 1), sound(piece, per_ms)) for one, piece in enumerate(pieces)]


def turn(clip: Clip, *, at: float, notes: str = "") -> list[tuple[float, Message]]:
    """What the gateway sends for one turn."""
    told = [(at, START), *windows(clip, at=at)]
    ends = told[-1][0] + 0.01
    return [*told, *([(ends, note(notes))] if notes else []), (ends + 0.001, END)]


async def strict(
    script: Script,
    ear: LengthEar,
    *,
    setup: Message = SETUP,
    tools: Tools = "offered",
    answers: bool = True,
    until: float,
) -> Told:
    """What ``SimGemini`` says; needs virtual time. ``answers``: the client answers tool calls."""
    echo = EchoBrain(answer_sound())
    brain = Busy(echo.answer) if tools == "used" else echo
    sim = SimGemini(ear=ear, brain=brain, pace=PACE, think_ms=THINK_MS)
    told: Told = []
    async with dial(sim) as client, trio.open_nursery() as nursery:
        began = trio.current_time()

        async def read() -> None:
            while True:
                message = await client.get()
                told.append((trio.current_time() - began, message))
                if answers and (answer := answer_to(message)) is not None:
                    await client.send(answer)

        nursery.start_soon(read)
        await client.send({"setup": setup})
        for at, message in script:
            await trio.sleep_until(began + at)
            await client.send(message)
        await trio.sleep_until(began + until)
        nursery.cancel_scope.cancel()
    assert not sim.protocol_faults
    return told


def answer_to(message: Message) -> Message | None:
    """What the gateway says to a tool call."""
    if "toolCall" not in message:
        return None
    one = message["toolCall"]["functionCalls"][0]
    answer = {"id": one["id"], "name": one["name"], "response": {"status": "ok"}}
    return {"toolResponse": {"functionResponses": [answer]}}


@dataclass
class Clock:
    """Time that passes when it is told to."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def house(loop: Loop, ear: LengthEar | None, *, tools: Tools = "offered") -> LightHouse:
    """A light model like the strict one."""
    sentence = Sentence.of(answer_sound(), EchoBrain(answer_sound()).answer.text)
    return LightHouse(loop, sentence, Pacer(loop, PACE), ear, THINK_MS / 1000, tools, random.Random(1))


@dataclass
class Light:
    """A light session on a clock of its own, without a socket."""

    ear: LengthEar | None
    tools: Tools = "offered"
    clock: Clock = field(default_factory=Clock)
    told: Told = field(default_factory=list)
    answers: bool = True

    def __post_init__(self) -> None:
        self.began = self.clock.now
        self.loop = Loop(self.clock)
        self.session = LightSession(house(self.loop, self.ear, tools=self.tools), self._sent)
        self._reader = SoundReader()
        self._codec = WebSocketCodec(Role.CLIENT, max_message=2**20)

    def run(self, script: Script, *, setup: Message = SETUP, until: float) -> Told:
        """To its end, a millisecond at a time."""
        waiting = [(0.0, {"setup": setup}), *script]
        while (passed := self.clock.now - self.began) <= until:
            while waiting and waiting[0][0] <= passed + 1e-9:
                self.say(waiting.pop(0)[1])
            self.loop.turn(0)
            self.clock.now += 0.001
        return self.told

    def say(self, message: Message) -> None:
        """The client says this."""
        payload = orjson.dumps(message)
        if "audio" in message.get("realtimeInput", {}):
            key = os.urandom(4)
            masked = bytes(code ^ key[at % 4] for at, code in enumerate(payload))
            window = self._reader.read(key, masked)
            assert window is not None
            self.session.audio(window)
        else:
            self.session.take(read_message(payload))

    def _sent(self, data: bytes) -> None:
        for _, payload in self._codec.receive_data(data):
            message = orjson.loads(payload)
            self.told.append((self.clock.now - self.began, message))
            if self.answers and (answer := answer_to(message)) is not None:
                self.say(answer)


def plain(told: Told) -> list[Message]:
    """Without what is random, and without the sound itself."""
    return [_without_ids(message) for _, message in told]


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: "..." if name in {"id", "ids", "sessionId", "newHandle"} else _without_ids(one)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_without_ids(one) for one in value]
    return hash(value) if isinstance(value, str) and len(value) > 500 else value
