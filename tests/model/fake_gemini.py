"""A scripted Gemini Live server over any trio stream: a test says what it expects and what it says.

Strict where the service is: each client message is one masked text frame of JSON with one top-level field, and passes
the vendor's own types.
"""

import base64
import json
from typing import Any

import trio
from google.genai import types

from engine.tenants.tenant import Tenant
from engine.wire.handshake import accept, parse_request
from engine.wire.websocket import CLOSE, PING, PONG, TEXT, Role, WebSocketCodec, parse_close

TENANT = Tenant.model_validate(
    {
        "id": "acme",
        "name": "Acme Plumbing",
        "greeting": "Hello, Acme Plumbing.",
        "hours": {"Monday": "9 to 5"},
        "people": [{"name": "Ada", "number": "+15550001111", "for": "billing"}],
        "tools": [
            {
                "name": "book",
                "description": "Book a visit",
                "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
                "effect": "writes",
            }
        ],
    }
)
PCM_40_MS = bytes(1920)


class FakeGemini:
    """The server's end of one connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.codec = WebSocketCodec(Role.SERVER, max_message=1 << 24)
        self.head = ""
        self.messages: list[dict[str, Any]] = []
        self.pongs: list[bytes] = []
        self.pings: list[bytes] = []
        self.closed: tuple[int | None, str] | None = None

    async def upgrade(self) -> None:
        data = bytes(await self.stream.receive_some(4096))
        while (request := parse_request(data)) is None:
            data += await self.stream.receive_some(4096)
        self.head = data.decode()
        await self.stream.send_all(accept(request))

    async def expect(self) -> dict[str, Any]:
        """The client's next message."""
        while not self.messages:
            await self._read()
        message = self.messages.pop(0)
        check_client_message(message)
        return message

    async def wait_closed(self) -> tuple[int | None, str] | None:
        """Read to the end; how the client said goodbye, None where it just went."""
        while await self._read():
            pass
        return self.closed

    async def _read(self) -> bool:
        data = bytes(await self.stream.receive_some(1 << 16))
        for opcode, payload in self.codec.receive_data(data):
            if opcode == PONG:
                self.pongs.append(payload)
            elif opcode == CLOSE:
                self.closed = parse_close(payload)
            elif opcode == PING:
                self.pings.append(payload)
            else:
                assert opcode == TEXT
                self.messages.append(json.loads(payload))
        return bool(data)

    async def say(self, **fields: Any) -> None:
        """One server message, in a binary frame as the service does it."""
        await self.stream.send_all(self.codec.binary(json.dumps(fields).encode()))

    async def content(self, **fields: Any) -> None:
        await self.say(serverContent=fields)

    async def sound(self, pcm: bytes = PCM_40_MS) -> None:
        data = base64.urlsafe_b64encode(pcm).decode()
        await self.content(modelTurn={"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}]})

    async def raw(self, payload: bytes) -> None:
        await self.stream.send_all(self.codec.text(payload))

    async def ping(self, payload: bytes) -> None:
        await self.stream.send_all(self.codec.ping(payload))

    async def close(self, code: int, reason: str = "") -> None:
        await self.stream.send_all(self.codec.close(code, reason))

    async def begin(self) -> dict[str, Any]:
        """Handshake and setup; returns the setup's fields."""
        await self.upgrade()
        setup = await self.expect()
        await self.say(setupComplete={})
        fields = setup["setup"]
        assert isinstance(fields, dict)
        return fields


def check_client_message(message: dict[str, Any]) -> None:
    assert len(message) == 1, "a client message carries exactly one top-level field"
    if "setup" in message:
        setup = dict(message["setup"])
        types.RealtimeInputConfig.model_validate(setup.pop("realtimeInputConfig"))
        message = {"setup": setup}
    types.LiveClientMessage.model_validate(message)
