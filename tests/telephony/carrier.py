"""A phone line over a real socket pair: our side on a running plane, the carrier's side spoken by wsproto."""

import base64
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from engine.metrics import Metrics
from engine.telephony.line import MediaLine
from engine.telephony.plane import MediaPlane

STREAM = "MZ1"
FRAME = b"\x7f\xff" * 80
START: dict[str, Any] = {
    "streamSid": STREAM,
    "callSid": "CA1",
    "accountSid": "AC1",
    "tracks": ["inbound"],
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    "customParameters": {"token": "t"},
}


def mask_one(payload: bytes) -> bytes:
    """A client's text frame whose mask is zero: fit to be sent before there is a connection object."""
    return bytes((0x81, 0x80 | 126)) + len(payload).to_bytes(2, "big") + b"\0\0\0\0" + payload


class Phone:
    """The carrier's side, by hand: says what it is told, keeps all that it hears."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        sock.setblocking(False)
        self._wire = Connection(ConnectionType.CLIENT)
        self.raw = bytearray()
        self.heard: list[dict[str, Any]] = []
        self.closes: list[tuple[int, str | None]] = []
        self.pongs: list[bytes] = []
        self._has_closed = False

    def send(self, event: Event) -> None:
        self.socket.send(self._wire.send(event))

    def say(self, event: str, **fields: Any) -> None:
        self.text(json.dumps({"event": event, "streamSid": STREAM, **fields}))

    def text(self, text: str) -> None:
        self.send(TextMessage(data=text))

    def binary(self, data: bytes) -> None:
        self.send(BytesMessage(data=data))

    def ping(self, payload: bytes) -> None:
        self.send(Ping(payload=payload))

    def begin(self) -> None:
        self.say("connected", protocol="Call", version="1.0.0")
        self.say("start", sequenceNumber="1", start=START)

    def media(self, timestamp_ms: int, payload: bytes = FRAME) -> None:
        if self._has_closed:
            return  # whoever has said close says nothing more, though the answer is still on its way
        sound = base64.b64encode(payload).decode()
        self.say("media", media={"timestamp": str(timestamp_ms), "chunk": "1", "track": "inbound", "payload": sound})

    def key(self, digit: str) -> None:
        self.say("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> None:
        self.say("mark", mark={"name": name})

    def stop(self) -> None:
        self.say("stop", stop={"accountSid": "AC1", "callSid": "CA1"})

    def close(self, code: int = 1000) -> None:
        self._has_closed = True
        self.send(CloseConnection(code=code))

    def listen(self) -> list[dict[str, Any]]:
        """All that has come since the start, as JSON objects."""
        while (data := self._received()) is not None:
            if not data:
                break
            self.raw += data
            self._wire.receive_data(data)
            for event in self._wire.events():
                self._hear(event)
        return self.heard

    def sound(self) -> bytes:
        """All audio that has come."""
        return b"".join(base64.b64decode(m["media"]["payload"]) for m in self.listen() if m["event"] == "media")

    def marks(self) -> list[str]:
        return [m["mark"]["name"] for m in self.listen() if m["event"] == "mark"]

    def _received(self) -> bytes | None:
        try:
            return self.socket.recv(1_000_000)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return b""

    def _hear(self, event: Event) -> None:
        match event:
            case TextMessage(data=text):
                self.heard.append(json.loads(text))
            case CloseConnection(code=code, reason=reason):
                self.closes.append((int(code), reason))
            case Pong(payload=payload):
                self.pongs.append(bytes(payload))
            case _:
                raise AssertionError(f"the line said {event!r}")


class Player:
    """The carrier's playback: what comes is played at 1x, and a mark comes back when all before it was played."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._seen = 0
        self._played_at = 0.0
        self._marks: list[tuple[float, str]] = []

    def play(self, now: float) -> None:
        """Take what came, and echo what is due."""
        messages = self._phone.listen()
        for message in messages[self._seen :]:
            if message["event"] == "media":
                sound = base64.b64decode(message["media"]["payload"])
                self._played_at = max(self._played_at, now) + len(sound) / 8000
            elif message["event"] == "mark":
                self._marks.append((self._played_at, message["mark"]["name"]))
            else:
                self._played_at = now
                self._marks = [(now, name) for _, name in self._marks]
        self._seen = len(messages)
        while self._marks and self._marks[0][0] <= now:
            self._phone.mark(self._marks.pop(0)[1])


@dataclass
class Rig:
    """One line, its plane and its carrier."""

    plane: MediaPlane
    line: MediaLine
    phone: Phone
    metrics: Metrics
    crashes: list[None] = field(default_factory=list)

    async def started(self) -> "Rig":
        self.phone.begin()
        await self.line.wait_start()
        return self

    def faults(self, kind: str) -> float:
        return float(self.metrics.media_faults.labels(kind)._value.get())

    async def until(self, condition: Callable[[], bool], within_s: float = 1.0) -> None:
        """Let the plane turn until that is so."""
        with trio.fail_after(within_s):
            while not condition():
                await trio.sleep(0.005)


@asynccontextmanager
async def open_line(*, leftover: bytes = b"") -> AsyncIterator[Rig]:
    """A line on a running plane; closed on the way out."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    crashes: list[None] = []
    plane, metrics = MediaPlane(on_crash=lambda: crashes.append(None)), Metrics()
    with theirs:
        async with trio.open_nursery() as nursery:
            await nursery.start(plane.run)
            line = MediaLine(ours, plane=plane, metrics=metrics, leftover=leftover)
            yield Rig(plane, line, Phone(theirs), metrics, crashes)
            theirs.close()
            await line.aclose()
            nursery.cancel_scope.cancel()


async def end_of(line: MediaLine) -> str:
    """Wait for the line's end; its reason."""
    with trio.fail_after(60):
        async for _ in line.controls:
            pass
    return line.lost.reason
