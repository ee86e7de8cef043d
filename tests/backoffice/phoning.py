"""A back office beside a gateway that takes calls, and a page's part spoken by hand."""

import base64
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

from engine.backoffice.app import Serving, serve_backoffice
from engine.backoffice.office import Office, open_office
from engine.call.admission import Bars
from engine.server.app import listen
from engine.sim.brain import GroundedBrain
from engine.sim.gemini import SimGemini
from engine.sim.serving import free_ports
from engine.sim.world import World, open_world
from engine.tenants import examples
from engine.tenants.tenant import Tenant
from engine.voice.cache import VoiceCache
from tests.backoffice.conftest import TOKEN, settings_for, there
from tests.backoffice.wire import Wire
from tests.calls import InlineVoice, cache_dir, phrase_ear

PAGE = {"x-frontdesk-page": "test"}
FRAME, SILENCE = 160, b"\xff"


@dataclass
class Phone:
    """A browser's part of a call. ``heard`` and ``to_say`` are mu-law, ``told`` every other message."""

    socket: WebSocketConnection
    heard: bytearray = field(default_factory=bytearray)
    told: list[dict[str, Any]] = field(default_factory=list)
    closed: int | None = None
    to_say: bytearray = field(default_factory=bytearray)

    async def say(self, event: str, **facts: Any) -> None:
        await self.socket.send_message(orjson.dumps({"event": event, **facts}).decode())

    async def live(self) -> None:
        """Sends what there is to say, and silence; answers marks at once; until the line is closed."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._speak)
            try:
                while True:
                    message = orjson.loads(await self.socket.get_message())
                    if message["event"] == "media":
                        self.heard += base64.b64decode(message["media"]["payload"])
                        continue
                    self.told.append(message)
                    if message["event"] == "mark":
                        await self.say("mark", mark=message["mark"])
            except ConnectionClosed as closed:
                self.closed = closed.reason.code if closed.reason else None
            nursery.cancel_scope.cancel()

    def break_off(self) -> None:
        """The socket is reset, without a word."""
        stream = self.socket._stream
        assert isinstance(stream, trio.SocketStream)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.socket.close()

    async def until(self, event: str, times: int = 1) -> dict[str, Any]:
        with trio.fail_after(15):
            while len(found := [one for one in self.told if one["event"] == event]) < times:
                await trio.sleep(0.02)
        return found[times - 1]

    async def _speak(self) -> None:
        try:
            while True:
                frame, self.to_say[:FRAME] = bytes(self.to_say[:FRAME]).ljust(FRAME, SILENCE), b""
                await self.say("media", media={"payload": base64.b64encode(frame).decode()})
                await trio.sleep(0.02)
        except ConnectionClosed:
            return


@dataclass
class Exchange:
    """Both sides of it."""

    office: Office
    world: World
    tenant: Tenant
    url: str

    @asynccontextmanager
    async def page(self) -> AsyncIterator[httpx.AsyncClient]:
        """Somebody who has logged in."""
        async with httpx.AsyncClient(base_url=self.url, headers=PAGE) as page:
            assert (await page.post("/ops/login", json={"token": TOKEN})).status_code == 204
            yield page

    async def ring(self, page: httpx.AsyncClient) -> dict[str, str]:
        body = {"tenant_id": self.tenant.id, "caller": "+15550100199"}
        answer = await page.post("/phone/calls", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def line(self, path: str, page: httpx.AsyncClient) -> AbstractAsyncContextManager[Phone]:
        """The line of a call that has rung."""
        return on_the_line(self.url, path, page)


@asynccontextmanager
async def on_the_line(url: str, path: str, page: httpx.AsyncClient) -> AsyncIterator[Phone]:
    """The line of a call at the back office of that address."""
    cookies = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
    opened = open_websocket_url(f"{url.replace('http', 'ws', 1)}{path}", extra_headers=[(b"cookie", cookies.encode())])
    async with opened as socket, trio.open_nursery() as nursery:
        phone = Phone(socket)
        nursery.start_soon(phone.live)
        yield phone
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await socket.aclose()
            await socket._stream.aclose()  # which its client leaves open where the server was the first to close


@asynccontextmanager
async def phoning(
    url: str, tmp_path: Path, speech: VoiceCache, *, known_to_the_carrier: bool = True, wire: Wire | None = None
) -> AsyncIterator[Exchange]:
    """See the module.

    Args:
        url: of the database.
        known_to_the_carrier: what the gateway orders of its carrier reaches a browser's call, as in the demo.
        wire: by which the gateway is known and reached, served already.
    """
    public: dict[str, Any] = {} if wire is None else {"public_url": wire.url}
    (ops,) = free_ports(1)
    model = SimGemini(ear=phrase_ear(speech), brain=GroundedBrain(), voice=InlineVoice(speech))
    gateways = f"http://127.0.0.1:{ops}"
    async with open_office(settings_for(url, tmp_path, gateways=gateways)) as opened:
        await there(opened, "harbor-dental")
        tenant = examples.load("harbor-dental")
        world = open_world(
            data_dir=cache_dir(speech),
            tenants=[tenant],
            model=model,
            admin_token=TOKEN,
            ops_bind=f"127.0.0.1:{ops}",
            **public,
        )
        async with world as on, trio.open_nursery() as nursery:
            if wire is not None:
                wire.to = ("127.0.0.1", on.serving.port)
            # All of it shares this one process: its loop may be late, and nobody is refused for that.
            on.composed.switchboard._admissions._bars = Bars(late_ms=1e6, hopeless_ms=1e6)
            same = ("public_url", "twilio_account_sid", "twilio_auth_token")
            told = opened.settings.model_copy(update={name: getattr(on.settings, name) for name in same})
            office = replace(opened, settings=told, exchange=on.rest if known_to_the_carrier else None)
            shutdown, listener = trio.Event(), listen("127.0.0.1:0")

            async def serve(*, task_status: trio.TaskStatus[Serving]) -> None:
                await serve_backoffice(office, shutdown=shutdown, listener=listener, task_status=task_status)

            serving = await nursery.start(serve)
            yield Exchange(office, on, tenant, serving.url)
            nursery.cancel_scope.cancel()
