"""One Realtime connection, after the handshake: what comes in, in order, and what it sets going.

The reader below judges every event, keeps the conversation and the input buffer, and starts a response as a task of
its own (``openai_speech``). What the service would refuse is answered by an ``error`` event, and the session goes on.
"""

from collections.abc import Mapping
from typing import Any

import trio

from engine.sim import openai_events as events
from engine.sim.link import Link
from engine.sim.openai_audio import CallerAudio
from engine.sim.openai_config import Config
from engine.sim.openai_items import Item
from engine.sim.openai_record import SessionRecord, Setup
from engine.sim.openai_responses import Responses
from engine.sim.openai_rules import ClientEvent, parse, read_event
from engine.sim.openai_schema import Refused
from engine.sim.openai_stage import House, OpenStage
from engine.sim.openai_told import item_of


async def run_session(house: House, link: Link, record: SessionRecord, config: Config) -> None:
    """Converse until the connection ends, by whomever."""
    async with trio.open_nursery() as nursery:
        stage = OpenStage(house, link, record, nursery, config)
        nursery.start_soon(link.run, nursery.cancel_scope)
        nursery.start_soon(stage.expire, house.limit_s, house.limit_s / 60)
        await stage.emit(events.session("created", config.fields))
        await stage.emit(events.conversation_created(stage.conversation_id))
        reader = Reader(stage)
        while (raw := await link.receive()) is not None:
            await reader.read(raw)
        nursery.cancel_scope.cancel()


class Reader:
    """Takes the client's events one after the other."""

    def __init__(self, stage: OpenStage) -> None:
        self._stage = stage
        self._responses = Responses(stage)
        self._caller = CallerAudio(stage, self._responses)

    async def read(self, raw: str | bytes) -> None:
        """Take one frame, or refuse it."""
        parsed: Mapping[str, Any] = {}
        try:
            parsed = parse(raw)
            await self._take(read_event(parsed))
        except Refused as refused:
            await self._stage.refuse(refused, parsed.get("event_id"))

    async def _take(self, event: ClientEvent) -> None:
        body = event.body
        match event.type:
            case "session.update":
                await self._update(body["session"])
            case "input_audio_buffer.append":
                await self._caller.append(body["audio"])
            case "input_audio_buffer.commit":
                await self._caller.commit()
            case "input_audio_buffer.clear":
                await self._caller.clear()
            case "conversation.item.create":
                await self._create_item(body["item"], body.get("previous_item_id"))
            case "conversation.item.retrieve":
                await self._stage.emit(events.retrieved(self._stage.conversation.find(body["item_id"], "retrieve")))
            case "conversation.item.truncate":
                await self._truncate(body["item_id"], body["content_index"], body["audio_end_ms"])
            case "conversation.item.delete":
                await self._delete(body["item_id"])
            case "response.create":
                await self._responses.create(body.get("response"), by="client")
            case _:
                await self._responses.cancel(body.get("response_id"))

    async def _update(self, change: Mapping[str, Any]) -> None:
        stage, config = self._stage, self._stage.config
        config.update(change, has_spoken=stage.has_spoken)
        self._caller.reconfigure()
        await stage.emit(events.session("updated", config.fields))
        first = stage.record.setup is None
        stage.record.setup = Setup(config.model, config.instructions, config.tools, config.fields)
        if first:
            stage.note("opened")
            await stage.take_turn_moods()

    async def _create_item(self, given: Mapping[str, Any], after: str | None) -> None:
        stage = self._stage
        item = item_of(given, stage)
        if item.kind == "result" and self._responses.loses(item):
            return
        previous = stage.conversation.add(item, after)
        if item.kind == "result":
            self._responses.answered(item)
        stage.note("item", f"{item.kind} {item.id}")
        await stage.emit(events.item_event("added", item, previous))
        await stage.emit(events.item_event("done", item, previous))

    async def _truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        item = self._stage.conversation.find(item_id, "truncate")
        if item.kind != "assistant" or not item.voiced:
            raise Refused("Only model output audio messages can be truncated.", "invalid_value", "item_id")
        if content_index:
            raise Refused(f"No content part at index {content_index}.", "invalid_value", "content_index")
        if audio_end_ms > item.audio_ms:
            raise Refused(
                f"Audio content of {item.audio_ms:.0f}ms is already shorter than {audio_end_ms}ms",
                "invalid_value",
                "audio_end_ms",
            )
        item.cut(audio_end_ms)
        self._stage.record.truncated[item_id] = audio_end_ms
        self._stage.note("truncated", f"{item_id} to {audio_end_ms} ms")
        await self._stage.emit(events.truncated(item_id, audio_end_ms))

    async def _delete(self, item_id: str) -> None:
        item: Item = self._stage.conversation.find(item_id, "delete")
        self._stage.conversation.remove(item)
        self._stage.record.deleted.append(item_id)
        await self._stage.emit(events.deleted(item_id))
