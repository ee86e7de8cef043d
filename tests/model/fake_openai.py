"""A scripted OpenAI Realtime server over any trio stream: a test says what it expects and what it says.

Strict where the service is: each client message passes the vendor's own types, and so does each of the server's.
"""

import base64
from typing import Any

import orjson

from tests.model.fake_gemini import FakeGemini
from tests.wire.openai_types import by_vendor, from_vendor

READY = {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcmu"}}}}


class FakeOpenAI(FakeGemini):
    """The server's end of one connection."""

    async def expect(self, kind: str | None = None) -> dict[str, Any]:
        """The client's next message, of that type."""
        while not self.messages:
            assert await self._read(), "the client went away"
        message = self.messages.pop(0)
        by_vendor(orjson.dumps(message))
        if kind is not None:
            assert message["type"] == kind, message
        return message

    async def send(self, kind: str, **fields: Any) -> None:
        """One server message, in a text frame as the service does it."""
        await self.raw(from_vendor(type=kind, **fields))

    async def begin(self) -> dict[str, Any]:
        """Handshake and settings; returns the settings asked for."""
        await self.upgrade()
        await self.send("session.created", session={"type": "realtime"})
        settings = (await self.expect("session.update"))["session"]
        await self.send("session.updated", session=READY)
        assert isinstance(settings, dict)
        return settings

    async def create(self, response_id: str) -> dict[str, Any]:
        """Expect the request for a response and begin it; returns what the request carried."""
        asked = await self.expect("response.create")
        metadata: dict[str, Any] = asked["response"]["metadata"]
        await self.send("response.created", response={"id": response_id, "metadata": metadata})
        return metadata

    async def piece(self, response_id: str, mulaw: bytes = bytes(160), *, item: str = "") -> None:
        """Sound of a response."""
        place = _place(response_id, item)
        await self.send("response.output_audio.delta", delta=base64.b64encode(mulaw).decode(), **place)

    async def words(self, response_id: str, delta: str, *, item: str = "", written: bool = False) -> None:
        """Text of a response."""
        kind = "response.output_text.delta" if written else "response.output_audio_transcript.delta"
        await self.send(kind, delta=delta, **_place(response_id, item))

    async def call(
        self, response_id: str, call_id: str, arguments: str = "{}", *, status: str = "completed"
    ) -> dict[str, Any]:
        """A response calls the tool ``book``; returns the item."""
        item = {
            "type": "function_call",
            "id": f"item_{call_id}",
            "call_id": call_id,
            "name": "book",
            "arguments": arguments,
            "status": status,
        }
        await self.send("response.output_item.done", response_id=response_id, output_index=0, item=item)
        return item

    async def done(self, response_id: str, status: str = "completed", **fields: Any) -> None:
        """A response is over."""
        await self.send("response.done", response={"id": response_id, "status": status, **fields})

    async def complain(self, code: str, event_id: str | None = None) -> None:
        """An error."""
        error = {"type": "invalid_request_error", "code": code, "message": "as you see", "event_id": event_id}
        await self.send("error", error=error)

    async def hear(self, item_id: str, *deltas: str, whole: str | None = None) -> None:
        """What the caller said in an item."""
        kind = "conversation.item.input_audio_transcription"
        for delta in deltas:
            await self.send(f"{kind}.delta", item_id=item_id, delta=delta)
        if whole is not None:
            usage = {"type": "duration", "seconds": 1.0}
            await self.send(f"{kind}.completed", item_id=item_id, content_index=0, transcript=whole, usage=usage)


def _place(response_id: str, item: str) -> dict[str, Any]:
    return {
        "response_id": response_id,
        "item_id": item or f"item_{response_id}",
        "output_index": 0,
        "content_index": 0,
    }
