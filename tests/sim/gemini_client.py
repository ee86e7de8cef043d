"""A bare Live client over a memory stream: what the tests of the simulated model speak to it with."""

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np
import orjson
import trio
from numpy.typing import NDArray
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.ear import ToneEar
from engine.sim.gemini import PATH, SimGemini
from engine.sim.tones import tone_clip

MANUAL = {"automaticActivityDetection": {"disabled": True}}
SETUP: dict[str, Any] = {
    "model": "models/gemini-3.8-live",
    "generationConfig": {"responseModalities": ["AUDIO"]},
    "realtimeInputConfig": MANUAL,
    "inputAudioTranscription": {},
    "outputAudioTranscription": {},
    "sessionResumption": {},
}
KEY = [(b"x-goog-api-key", b"test")]


class Client:
    """One websocket; messages as dicts."""

    def __init__(self, websocket: WebSocketConnection) -> None:
        self.websocket = websocket
        self.raw: list[bytes] = []

    async def send(self, message: dict[str, Any]) -> None:
        await self.websocket.send_message(orjson.dumps(message).decode())

    async def realtime(self, **body: Any) -> None:
        await self.send({"realtimeInput": body})

    async def audio(self, pcm: NDArray[np.int16], rate: int = 16000) -> None:
        step = rate // 10
        for at in range(0, len(pcm), step):
            data = base64.b64encode(pcm[at : at + step].astype("<i2").tobytes()).decode()
            await self.realtime(audio={"data": data, "mimeType": f"audio/pcm;rate={rate}"})

    async def turn(self, pcm: NDArray[np.int16] | None = None, notes: str | None = None) -> None:
        await self.realtime(activityStart={})
        if pcm is not None:
            await self.audio(pcm)
        if notes is not None:
            await self.realtime(text=notes)
        await self.realtime(activityEnd={})

    async def get(self) -> dict[str, Any]:
        raw = await self.websocket.get_message()
        assert isinstance(raw, bytes), "the service's JSON comes in binary frames"
        self.raw.append(raw)
        message: dict[str, Any] = orjson.loads(raw)
        return message

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Messages up to and including the first that has this field, at the top or in ``serverContent``."""
        got = []
        while True:
            got.append(await self.get())
            if kind in got[-1] or kind in got[-1].get("serverContent", {}):
                return got

    async def closed_with(self) -> int:
        try:
            while True:
                await self.get()
        except ConnectionClosed as closed:
            return closed.reason.code if closed.reason else 0


def contents(messages: list[dict[str, Any]], kind: str) -> list[Any]:
    return [one["serverContent"][kind] for one in messages if kind in one.get("serverContent", {})]


def text_of(messages: list[dict[str, Any]], kind: str) -> str:
    return "".join(one["text"] for one in contents(messages, kind))


def pcm_of(messages: list[dict[str, Any]]) -> NDArray[np.int16]:
    parts = [part for turn in contents(messages, "modelTurn") for part in turn["parts"] if "inlineData" in part]
    return np.frombuffer(b"".join(base64.b64decode(part["inlineData"]["data"]) for part in parts), "<i2")


@asynccontextmanager
async def dial(sim: SimGemini, *, path: str = PATH, headers: Any = KEY) -> AsyncIterator[Client]:
    """A connection without a set-up; the simulator's side is served in the background until the block ends."""
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sim.serve_stream, theirs)
        # Typed for sockets; any stream will do.
        websocket = await wrap_client_stream(nursery, cast("Any", ours), "sim", path, extra_headers=list(headers))
        yield Client(websocket)
        nursery.cancel_scope.deadline = trio.current_time() + 5  # for a simulator that is deaf
        await websocket.aclose()


@asynccontextmanager
async def session(sim: SimGemini, **setup: Any) -> AsyncIterator[Client]:
    """A session that has been set up."""
    async with dial(sim) as client:
        await client.send({"setup": SETUP | setup})
        assert "setupComplete" in await client.get()
        yield client


NOTES = "[reference notes k1 begin]\n(1) source: hours.md\nWe open at nine.\n[reference notes k1 end]"
ANSWER = "We open at nine."
QUESTION = tone_clip(17, 1200, 16000)


def grounded(**more: Any) -> SimGemini:
    wishes: dict[str, ToolWish | Sequence[ToolWish]] = {
        "tone 99": ToolWish("book", {"day": "tomorrow"}),
        "tone 98": (ToolWish("a"), ToolWish("b")),
    }
    told: dict[str, Any] = {"ear": ToneEar(), "brain": GroundedBrain(wishes)}
    return SimGemini(**told | more)


TOOLS = [{"functionDeclarations": [{"name": name} for name in ("book", "a", "b")]}]


def told(sim: SimGemini, what: str) -> list[float]:
    return [moment.at for moment in sim.moments if moment.what == what]


async def answer(client: Client, call: dict[str, Any], message: str = "Done.", **more: Any) -> None:
    one = {"id": call["id"], "name": call["name"], "response": {"status": "ok", "message": message}, **more}
    await client.send({"toolResponse": {"functionResponses": [one]}})
