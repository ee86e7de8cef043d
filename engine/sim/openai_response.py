"""The life of one response: begun, item by item opened and closed, and over in one of four ways, with every event."""

from dataclasses import dataclass, field
from typing import Any, Literal

import trio

from engine.sim import openai_events as events
from engine.sim.brain import HeardTurn, Reply, Said, ToolAnswer
from engine.sim.model_record import Spoken
from engine.sim.openai_config import Wanted
from engine.sim.openai_items import Item
from engine.sim.openai_record import ResponseRecord
from engine.sim.openai_stage import OpenStage

Status = Literal["completed", "cancelled", "incomplete", "failed"]
Phase = Literal["running", "ending", "over"]
_TOKENS_AT_HAND = 15_000_000
_MS_PER_TOKEN = 50
_TOKENS_PER_WORD = 1.4
_PARTS: dict[bool, tuple[events.Field, ...]] = {True: ("audio", "transcript"), False: ("text",)}


@dataclass(slots=True)
class Turn:
    """What the caller said, until it is answered, however many responses that takes.

    Attributes:
        calls: ids of the calls whose outputs the brain is to see; of ``wrong_calls`` it is not.
        instead: what to do next whatever the brain thinks (the model called wrongly, and does it again properly).
    """

    number: int
    heard: HeardTurn
    spoken: Spoken
    calls: set[str] = field(default_factory=set)
    wrong_calls: set[str] = field(default_factory=set)
    results: list[ToolAnswer] = field(default_factory=list)
    instead: Reply | None = None
    rounds: int = 0


@dataclass(slots=True)
class Response:
    """A response under way.

    Attributes:
        open: the item that is being produced, of which has been told: that the response has it, that it is in the
            conversation, that it has a part.
        phase: ``ending`` from when its end is being told.
        context, cached: tokens of text and of sound before it, and of the response before.
    """

    id: str
    wanted: Wanted
    turn: Turn
    asked: ResponseRecord
    context: tuple[int, int] = (0, 0)
    cached: tuple[int, int] = (0, 0)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    items: list[Item] = field(default_factory=list)
    open: Item | None = None
    opened: Literal["item", "added", "part"] = "item"
    phase: Phase = "running"

    @property
    def spent(self) -> int:
        """Output tokens so far."""
        sound = sum(item.audio_ms for item in self.items) / _MS_PER_TOKEN
        return round(sound + sum(len(item.text.split()) for item in self.items) * _TOKENS_PER_WORD)

    def as_json(self, stage: OpenStage, status: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
        """As the service tells it."""
        over = status != "in_progress"
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [item.as_json() for item in self.items],
            "conversation_id": stage.conversation_id if self.wanted.in_conversation else None,
            "output_modalities": ["text"] if self.wanted.writes else ["audio"],
            "max_output_tokens": self.wanted.limit or "inf",
            "audio": {"output": {"format": _format(self.wanted.output_format), "voice": self.wanted.voice}},
            "usage": events.usage(self.context, self.cached, self.items) if over else None,
            "metadata": self.wanted.metadata,
        }


def _format(name: str) -> dict[str, Any]:
    return {"type": name} if name == events.PCMU else {"type": name, "rate": events.VOICE_RATE}


async def begin(response: Response, stage: OpenStage) -> None:
    """Tell that it is there."""
    await stage.emit(events.response_event("created", response.as_json(stage, "in_progress")))
    await stage.emit(events.rate_limits(_TOKENS_AT_HAND - sum(response.context) - 4096))


async def open_item(response: Response, stage: OpenStage, item: Item) -> None:
    """A new item of its output; in the conversation at once, though there is nothing in it yet.

    Whoever cancels in the middle of this finds in ``opened`` how much of it the client knows.
    """
    item.status, item.fresh = "in_progress", False
    index = len(response.items)
    await stage.emit(events.output_item("added", response.id, index, item))
    response.items.append(item)
    response.open, response.opened = item, "item"
    if response.wanted.in_conversation:
        previous = stage.conversation.add(item)
        await stage.emit(events.item_event("added", item, previous))
        response.opened = "added"
    if item.kind == "assistant":
        await stage.emit(events.content_part("added", response.id, index, item))
        response.opened = "part"


async def close_item(response: Response, stage: OpenStage, status: Literal["completed", "incomplete"]) -> None:
    """Nothing more comes of the open item, if there is one."""
    item, response.open = response.open, None
    if item is None:
        return
    item.status = status
    index = response.items.index(item)
    if item.kind == "call":
        await stage.emit(events.arguments_done(response.id, index, item))
    elif response.opened == "part":
        for what in _PARTS[item.voiced]:
            await stage.emit(events.part_done(what, response.id, index, item))
        await stage.emit(events.content_part("done", response.id, index, item))
    if response.wanted.in_conversation and response.opened != "item":
        await stage.emit(events.item_event("done", item, stage.conversation.before(item)))
    await stage.emit(events.output_item("done", response.id, index, item))


async def finish(
    response: Response,
    stage: OpenStage,
    status: Status,
    reason: str | None = None,
    trouble: dict[str, Any] | None = None,
) -> None:
    """Tell its end, the open item's before."""
    response.phase = "ending"
    await close_item(response, stage, "completed" if status == "completed" else "incomplete")
    details: dict[str, Any] | None = None
    if status != "completed":
        details = {"type": status}
        if reason is not None:
            details["reason"] = reason
        if trouble is not None:
            details["error"] = trouble
    await stage.emit(events.response_event("done", response.as_json(stage, status, details)))
    _conclude(response, stage, status)


async def break_off(response: Response, stage: OpenStage, reason: str, *, told: bool = True) -> None:
    """Cancel it where it stands; ``told`` False: the client is not to know (in a bad mood)."""
    response.scope.cancel()
    response.turn.spoken.interrupted = True
    stage.note("interrupted", f"{reason} after {response.turn.spoken.audio_ms:.0f} ms")
    if told:
        await finish(response, stage, "cancelled", reason)
    else:
        _conclude(response, stage, "cancelled")


def _conclude(response: Response, stage: OpenStage, status: Status) -> None:
    response.phase = "over"
    response.asked.status = status
    if said := " ".join(item.text for item in response.items if item.kind == "assistant" and item.text):
        stage.record.history.append(Said("model", said))
    stage.note("response_done", f"{response.id} {status}")
    if status == "completed" and not any(item.kind == "call" for item in response.items):
        response.turn.spoken.complete = True
        stage.note("turn_complete")
    stage.go_if_due()
