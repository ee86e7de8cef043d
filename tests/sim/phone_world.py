"""A tiny, strict server for the simulated carrier to call: TwiML by a mock transport, media by trio-websocket.

Everything is checked with code that is not ours: signatures by Twilio's own validator, frames by wsproto.
"""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import httpx
import numpy as np
import orjson
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket
from twilio.request_validator import RequestValidator

from engine.audio import g711
from engine.sim.carrier_web import CarrierAccount
from engine.sim.scenario import Clip
from engine.telephony.plane import MediaPlane

TOKEN = "sim-token"
ORIGIN = "http://gateway.test"
ACCOUNT = CarrierAccount("AC" + "0" * 31 + "1", TOKEN, ORIGIN)


def tone(ms: int, hz: float = 440.0) -> bytes:
    """A steady tone, loud throughout."""
    at = np.arange(ms * 8) / 8000
    return g711.encode((8000 * np.sin(2 * np.pi * hz * at + 0.3)).astype(np.int16))


def clip(ms: int, *, lead_ms: int = 0, tail_ms: int = 0, text: str = "hello") -> Clip:
    """Something to say: a tone between stretches of silence."""
    return Clip(text, b"\xff" * (8 * lead_ms) + tone(ms, 300.0) + b"\xff" * (8 * tail_ms))


@dataclass
class Stream:
    """One media websocket, as a test's server script sees it."""

    ws: WebSocketConnection
    sid: str = ""
    start: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    caller: bytearray = field(default_factory=bytearray)
    marks: list[tuple[str, float]] = field(default_factory=list)
    closed: int | None = None
    ended_at: float | None = None
    changed: trio.Event = field(default_factory=trio.Event)

    async def read(self) -> None:
        """Take in all that comes until the end."""
        try:
            while True:
                message = orjson.loads(await self.ws.get_message())
                self.messages.append(message)
                self.arrivals.append(trio.current_time())
                match message["event"]:
                    case "start":
                        self.sid, self.start = message["streamSid"], message["start"]
                    case "media":
                        self.caller += b64decode(message["media"]["payload"], validate=True)
                    case "mark":
                        self.marks.append((message["mark"]["name"], trio.current_time()))
                self._change()
        except ConnectionClosed as closed:
            self.closed = closed.reason.code if closed.reason else 1006
        finally:
            self.ended_at = trio.current_time()
            self._change()

    def _change(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something has come that makes this true."""
        while not condition():
            await self.changed.wait()

    async def play(self, mulaw: bytes, mark: str | None = None) -> None:
        """Send audio in one message, and a mark behind it."""
        await self.send({"event": "media", "media": {"payload": b64encode(mulaw).decode()}})
        if mark is not None:
            await self.send({"event": "mark", "mark": {"name": mark}})

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message with this stream's sid."""
        await self.ws.send_message(orjson.dumps({"streamSid": self.sid, **message}).decode())

    def of(self, event: str) -> list[dict[str, Any]]:
        """All messages of this kind."""
        return [message for message in self.messages if message["event"] == event]


Script = Callable[[Stream], Awaitable[None]]


@dataclass
class World:
    """The plane, the media server's URL, what was asked by HTTP, and the streams so far."""

    plane: MediaPlane
    http: httpx.AsyncClient
    media_url: str
    requests: list[tuple[str, dict[str, str]]]
    streams: list[Stream]
    twiml: dict[str, str]

    def forms(self, path: str) -> list[dict[str, str]]:
        """Parameters of every request to this path."""
        return [form for asked, form in self.requests if asked == path]

    def connect(self, *, after: str = "", action: str = "") -> str:
        """The usual document: connect to the media server, then ``after``."""
        attribute = f' action="{action}"' if action else ""
        return (
            f'<Response><Connect{attribute}><Stream url="{self.media_url}">'
            f'<Parameter name="token" value="t0"/></Stream></Connect>{after}</Response>'
        )


@asynccontextmanager
async def world(script: Script) -> AsyncIterator[World]:
    """Serve ``script`` for every media stream, and ``World.twiml`` by path; unsigned requests get 403."""
    validator = RequestValidator(TOKEN)
    here: World | None = None

    def answer(request: httpx.Request) -> httpx.Response:
        assert here is not None
        form = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
        here.requests.append((request.url.path, form))
        signature = request.headers.get("x-twilio-signature", "")
        if not validator.validate(str(request.url), form, signature):
            return httpx.Response(403)
        if request.url.path not in here.twiml:
            return httpx.Response(404)
        return httpx.Response(200, content=here.twiml[request.url.path], headers={"content-type": "text/xml"})

    async def serve(request: WebSocketRequest) -> None:
        assert here is not None
        headers = {name.lower().decode(): value.decode() for name, value in request.headers}
        assert not {"origin", "sec-websocket-extensions", "sec-websocket-protocol"} & set(headers)
        if not any(
            validator.validate(here.media_url + slash, {}, headers.get("x-twilio-signature", "")) for slash in ("", "/")
        ):
            await request.reject(403)
            return
        stream = Stream(await request.accept())
        here.streams.append(stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.read)
            await stream.until(lambda: bool(stream.sid))
            with suppress(ConnectionClosed):
                await script(stream)

    async with trio.open_nursery() as nursery:
        plane = MediaPlane()
        await nursery.start(plane.run)
        server = await nursery.start(partial(serve_websocket, serve, "127.0.0.1", 0, ssl_context=None))
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            url = f"ws://127.0.0.1:{server.port}/twilio/media"
            here = World(plane, http, url, [], [], {})
            here.twiml["/twilio/voice"] = here.connect()
            yield here
        assert plane.statistics().members == 0, "a phone was left on the plane"
        assert plane.statistics().faults == 0
        nursery.cancel_scope.cancel()
