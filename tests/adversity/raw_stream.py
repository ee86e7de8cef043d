"""A carrier spoken by hand: webhooks and media streams that no simulator would send, against the real gateway."""

import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import trio

from engine.errors import WebSocketFault
from engine.sim.carrier_dial import DialFailed, dial_stream
from engine.sim.carrier_web import Signing
from engine.sim.carrier_wire import CarrierWire
from engine.sim.world import AUTH_TOKEN, CALLER
from engine.telephony.outbox import Outbox, OutboxBroken
from engine.wire.twilio_signature import sign
from engine.wire.websocket import CLOSE, TEXT, Role, WebSocketCodec, parse_close
from tests.calls import TENANT, Stage

FRAME_S = 0.02
SILENT = b"\xff" * 160


def new_sid(kind: str) -> str:
    """A fresh identifier of the carrier's."""
    return kind + secrets.token_hex(16)


async def post(
    on: Stage, name: str, call_sid: str, *, headers: Mapping[str, str] | None = None, **params: str
) -> httpx.Response:
    """A signed webhook about this call."""
    form = {
        "CallSid": call_sid,
        "AccountSid": on.world.account.account_sid,
        "From": CALLER,
        "To": TENANT.numbers[0],
        "CallStatus": "in-progress",
        "Direction": "inbound",
        **params,
    }
    url = f"{on.world.account.origin}/twilio/{name}"
    signed = {"X-Twilio-Signature": sign(AUTH_TOKEN, url, form.items()), **(headers or {})}
    return await on.world.http.post(url, data=form, headers=signed)


def verbs(answer: httpx.Response) -> list[str]:
    """The document's verbs, in order."""
    return [verb.tag for verb in ET.fromstring(answer.text)]


def token_in(answer: httpx.Response) -> str:
    """The token in a ``<Connect><Stream>``."""
    parameter = ET.fromstring(answer.text).find("./Connect/Stream/Parameter[@name='token']")
    assert parameter is not None, answer.text
    return parameter.attrib["value"]


class RawStream:
    """One media websocket. ``close_code`` is the server's; None as long as it has not closed."""

    def __init__(self, sock: Any, leftover: bytes, wire: CarrierWire) -> None:
        self._socket = sock
        self._outbox = Outbox(sock)
        self._codec = WebSocketCodec(Role.CLIENT, max_message=1_048_576)
        self._leftover = leftover
        self.wire = wire
        self.heard: Counter[str] = Counter()
        self.closed = trio.Event()
        self.close_code: int | None = None
        self.timestamp_ms = 155

    async def listen(self) -> None:
        """Count what the server sends until it closes, in whatever way."""
        data = self._leftover
        try:
            while not self.closed.is_set():
                for opcode, payload in self._codec.receive_data(data):
                    if opcode == TEXT:
                        self.heard[json.loads(payload)["event"]] += 1
                    elif opcode == CLOSE:
                        self.close_code = parse_close(payload)[0]
                        self.raw(self._codec.close(1000))
                        return
                await trio.lowlevel.wait_readable(self._socket)
                data = self._socket.recv(65536)
                if not data:
                    return
        except (OSError, WebSocketFault):
            return
        finally:
            self.closed.set()

    def raw(self, data: bytes) -> None:
        """These very bytes; nothing where the server is gone."""
        try:
            self._outbox.write(data)
        except OutboxBroken:
            self.closed.set()

    def text(self, text: bytes) -> None:
        """A text message."""
        self.raw(self._codec.text(text))

    def binary(self, data: bytes) -> None:
        """A binary message: the client's mask is all zeros, so the payload stands as it is."""
        assert len(data) < 126
        self.raw(bytes((0x82, 0x80 | len(data))) + b"\0\0\0\0" + data)

    def frame(self, mulaw: bytes = SILENT) -> None:
        """The next 20 ms of the caller's voice."""
        self.text(self.wire.media(mulaw, self.timestamp_ms))
        self.timestamp_ms += 20

    async def say(self, mulaw: bytes = SILENT * 50) -> None:
        """Frames at the pace of a telephone."""
        began = trio.current_time()
        for index, start in enumerate(range(0, len(mulaw), 160)):
            await trio.sleep_until(began + index * FRAME_S)
            self.frame(mulaw[start : start + 160].ljust(160, b"\xff"))

    async def stay_silent(self, seconds: float) -> None:
        """So much silence."""
        await self.say(SILENT * round(seconds / FRAME_S))


@asynccontextmanager
async def raw_stream(on: Stage, call_sid: str, *, started_with: str | None = None) -> AsyncIterator[RawStream]:
    """A media stream after its handshake, and after its ``start`` where there is a token to start with."""
    dialled = await dial_stream(on.world.account, on.world.settings.stream_url, Signing.GOOD)
    assert not isinstance(dialled, DialFailed), dialled
    wire = CarrierWire(account_sid=on.world.account.account_sid, call_sid=call_sid, stream_sid=new_sid("MZ"))
    stream = RawStream(dialled.sock, dialled.leftover, wire)
    with dialled.sock:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.listen)
            if started_with is not None:
                stream.text(wire.connected())
                stream.text(wire.start({"token": started_with}))
            yield stream
            nursery.cancel_scope.cancel()
