"""A bare Realtime client over a memory stream, which judges every event by the official SDK's own types."""

import base64
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast, get_args

import numpy as np
import orjson
import trio
from numpy.typing import NDArray
from openai.types import realtime as sdk
from pydantic import BaseModel
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from engine.audio import g711
from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.ear import ToneEar
from engine.sim.moods import Mood, Rule
from engine.sim.openai import PATH, SimOpenAI
from engine.sim.tones import tone_clip

URL = f"{PATH}?model=gpt-realtime-2.1"
KEY = [(b"Authorization", b"Bearer test")]
PCMU = {"type": "audio/pcmu"}
VAD = {"type": "server_vad", "silence_duration_ms": 300, "create_response": False, "interrupt_response": False}
BOOK = {"type": "function", "name": "book", "description": "Book.", "parameters": {"type": "object"}}
SETUP: dict[str, Any] = {
    "type": "realtime",
    "instructions": "You are a receptionist.",
    "tools": [BOOK],
    "audio": {
        "input": {"format": PCMU, "turn_detection": VAD, "transcription": {"model": "gpt-live-transcribe"}},
        "output": {"format": PCMU, "voice": "cedar"},
    },
}
NOTES = "[reference notes k1 begin]\n(1) source: hours.md\nWe open at nine.\n[reference notes k1 end]"
ANSWER = "We open at nine."
QUESTION = tone_clip(17, 600)
BOOKING = tone_clip(99, 600)
SILENCE = np.zeros(8 * 400, np.int16)

# The official union of all server events, by the word that tells them apart: to try each of them in turn is slow.
_EVENTS: dict[str, type[BaseModel]] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(get_args(sdk.RealtimeServerEvent)[0])
}
# Known to the service's session object alone, and to the type by which the SDK creates one over HTTP.
_OF_THE_EFFECTIVE_SESSION = {"id", "object", "expires_at"}


class Untyped(AssertionError):
    """An event that the official types do not describe."""


def assert_typed(event: dict[str, Any]) -> BaseModel:
    """Every required field is there, every type is right, and nothing is in it that the types do not know."""
    judged = event
    if event["type"] in ("session.created", "session.updated"):
        whole = sdk.RealtimeSessionCreateResponse.model_validate(event["session"], strict=True)
        _assert_known(whole, "session")
        plain = {name: value for name, value in event["session"].items() if name not in _OF_THE_EFFECTIVE_SESSION}
        judged = {**event, "session": plain}
    typed = _EVENTS[event["type"]].model_validate_json(orjson.dumps(judged), strict=True)
    _assert_known(typed, event["type"])
    return typed


def _assert_known(value: Any, where: str) -> None:
    if isinstance(value, BaseModel):
        # What a type does not know it keeps aside; what it knows may be another model, or a list of them.
        if value.model_extra:
            raise Untyped(f"{where}: {sorted(value.model_extra)} unknown to {type(value).__name__}")
        for name in type(value).model_fields:
            _assert_known(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            _assert_known(item, f"{where}[{at}]")


class Client:
    """One websocket; events as dicts, each one judged as it comes."""

    def __init__(self, websocket: WebSocketConnection) -> None:
        self.websocket = websocket
        self.got: list[dict[str, Any]] = []

    async def send(self, kind: str, **body: Any) -> None:
        await self.websocket.send_message(orjson.dumps({"type": kind, **body}).decode())

    async def update(self, **session: Any) -> dict[str, Any]:
        await self.send("session.update", session={"type": "realtime", **session})
        return (await self.until("session.updated"))[-1]

    async def audio(self, pcm: NDArray[np.int16]) -> None:
        mulaw = g711.encode(pcm)
        for at in range(0, len(mulaw), 800):
            await self.send("input_audio_buffer.append", audio=base64.b64encode(mulaw[at : at + 800]).decode())

    async def say(self, pcm: NDArray[np.int16] = QUESTION) -> str:
        """Speak and be silent, until it is an item: its id."""
        await self.audio(pcm)
        await self.audio(SILENCE)
        return str((await self.until("input_audio_buffer.committed"))[-1]["item_id"])

    async def note(self, text: str = NOTES, **more: Any) -> None:
        content = [{"type": "input_text", "text": text}]
        await self.send(
            "conversation.item.create", item={"type": "message", "role": "system", "content": content}, **more
        )

    async def result(self, call_id: str, message: str = "Done.") -> None:
        output = orjson.dumps({"status": "ok", "message": message}).decode()
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        await self.send("conversation.item.create", item=item)

    async def respond(self, **response: Any) -> None:
        await self.send("response.create", response=response)

    async def turn(self, pcm: NDArray[np.int16] = QUESTION, notes: str | None = NOTES) -> None:
        """What the caller says, the notes for it, and the request to answer."""
        item_id = await self.say(pcm)
        if notes is not None:
            await self.note(notes, previous_item_id=item_id)
        await self.respond()

    async def get(self) -> dict[str, Any]:
        raw = await self.websocket.get_message()
        assert isinstance(raw, str), "events come in text frames"
        event: dict[str, Any] = orjson.loads(raw)
        assert_typed(event)
        self.got.append(event)
        return event

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Events up to and including the first of this type."""
        got = [await self.get()]
        while got[-1]["type"] != kind:
            got.append(await self.get())
        return got

    async def error(self) -> dict[str, Any]:
        """The next error."""
        found: dict[str, Any] = (await self.until("error"))[-1]["error"]
        return found

    async def done(self) -> dict[str, Any]:
        """The next response that is over."""
        found: dict[str, Any] = (await self.until("response.done"))[-1]["response"]
        return found

    async def closed_with(self) -> int:
        try:
            while True:
                await self.get()
        except ConnectionClosed as closed:
            return closed.reason.code if closed.reason else 0


def of(events: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


def mulaw_of(events: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(base64.b64decode(event["delta"]) for event in of(events, "response.output_audio.delta"))


def said_in(events: Iterable[dict[str, Any]]) -> str:
    return "".join(event["delta"] for event in of(events, "response.output_audio_transcript.delta"))


@asynccontextmanager
async def dial(sim: SimOpenAI, *, path: str = URL, headers: Any = KEY) -> AsyncIterator[Client]:
    """A connection; the simulator's side is served in the background until the block ends."""
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sim.serve_stream, theirs)
        # Typed for sockets; any stream will do.
        websocket = await wrap_client_stream(nursery, cast("Any", ours), "sim", path, extra_headers=list(headers))
        yield Client(websocket)
        nursery.cancel_scope.deadline = trio.current_time() + 5  # for a simulator that is deaf
        await websocket.aclose()


@asynccontextmanager
async def session(sim: SimOpenAI, **setup: Any) -> AsyncIterator[Client]:
    """A session that has been set up."""
    async with dial(sim) as client:
        assert (await client.get())["type"] == "session.created"
        await client.send("session.update", session=SETUP | setup)
        await client.until("session.updated")
        yield client


def grounded(*moods: Mood, turn: int | None = None, **more: Any) -> SimOpenAI:
    told: dict[str, Any] = {
        "ear": ToneEar(),
        "brain": GroundedBrain({"tone 99": ToolWish("book", {"day": "tomorrow"})}),
        "rules": [Rule(mood, turn=turn) for mood in moods],
    }
    return SimOpenAI(**told | more)


def moment(sim: SimOpenAI, what: str) -> float:
    [found] = [one.at for one in sim.moments if one.what == what]
    return found
