"""PURE: the conversation of a Realtime session: items in order, and what a model makes of them when it is to answer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal

import orjson

from engine.sim.brain import HeardTurn, Said, ToolAnswer
from engine.sim.openai_config import Wanted
from engine.sim.openai_schema import Refused

Kind = Literal["caller", "user", "system", "assistant", "call", "result"]
_AUDIO_TOKENS_PER_MS = {"caller": 1 / 100, "assistant": 1 / 50}
_TOKENS_PER_WORD = 1.4


@dataclass(slots=True)
class Item:
    """One item.

    Attributes:
        kind: ``caller`` is a user's sound, ``user`` a user's text.
        text: what is in it, as far as the model knows: said, written, arguments, output.
        audio_ms: of sound, heard or sent.
        whole_text, whole_ms: of an answer, had it not been cut: how much of its text belongs to how much of its sound.
        arrived: counts up over the session.
        fresh: no response has been asked for since it came.
        transcript: as the service tells it; a truncation takes it away.
    """

    id: str
    kind: Kind
    text: str = ""
    call_id: str = ""
    name: str = ""
    status: str = "completed"
    audio_ms: float = 0.0
    whole_text: str = ""
    whole_ms: float = 0.0
    arrived: int = 0
    fresh: bool = True
    by_client: bool = False
    voiced: bool = False
    transcript: str | None = None
    content: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """As the service tells it."""
        shared = {"id": self.id, "object": "realtime.item", "status": self.status}
        match self.kind:
            case "call":
                return {
                    **shared,
                    "type": "function_call",
                    "call_id": self.call_id,
                    "name": self.name,
                    "arguments": self.text,
                }
            case "result":
                return {**shared, "type": "function_call_output", "call_id": self.call_id, "output": self.text}
            case "caller" | "user":
                role = "user"
            case _:
                role = self.kind
        return {**shared, "type": "message", "role": role, "content": self._parts()}

    def _parts(self) -> list[dict[str, Any]]:
        if self.content:
            return self.content
        match self.kind:
            case "caller":
                return [{"type": "input_audio", "transcript": self.transcript}]
            case "assistant" if self.voiced and self.status != "in_progress":
                return [{"type": "output_audio", "transcript": self.transcript}]
            case "assistant" if self.text and not self.voiced:
                return [{"type": "output_text", "text": self.text}]
            case _:
                return []

    def cut(self, audio_end_ms: int) -> None:
        """Forget what comes after so much of its sound."""
        words = self.whole_text.split()
        share = audio_end_ms / self.whole_ms if self.whole_ms else 0.0
        self.text = " ".join(words[: min(len(words), ceil(len(words) * share))])
        self.transcript, self.audio_ms = None, audio_end_ms

    @property
    def tokens(self) -> tuple[int, int]:
        """Of text and of sound."""
        if per_ms := _AUDIO_TOKENS_PER_MS.get(self.kind if self.audio_ms else "", 0.0):
            return 0, round(self.audio_ms * per_ms)
        return round(len(self.text.split()) * _TOKENS_PER_WORD), 0


class Conversation:
    """Items in order, and every call that was asked or answered in it."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._arrived = 0

    def find(self, item_id: str, verb: str) -> Item:
        """The item of this id.

        Raises:
            Refused: there is none; ``verb`` says what was to be done with it.
        """
        for item in self.items:
            if item.id == item_id:
                return item
        raise Refused(
            f"Error {verb.removesuffix('e')}ing item: the item with id '{item_id}' does not exist.",
            f"item_{verb}_invalid_item_id",
            "item_id",
        )

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put an item at the end, behind another or (``root``) at the front; the id of the one before it.

        Raises:
            Refused: no such place, an id that is taken, an output without its call.
        """
        if any(one.id == item.id for one in self.items):
            raise Refused(f"An item with id '{item.id}' already exists.", "item_create_duplicate_item_id", "item.id")
        if item.kind == "result":
            self._match(item)
        at = len(self.items)
        if after == "root":
            at = 0
        elif after is not None:
            at = self._place_of(after) + 1
        self._arrived += 1
        item.arrived = self._arrived
        self.items.insert(at, item)
        return self.items[at - 1].id if at else None

    def _place_of(self, item_id: str) -> int:
        for at, item in enumerate(self.items):
            if item.id == item_id:
                return at
        raise Refused(
            f"Error creating item: the previous item with id '{item_id}' does not exist.",
            "item_create_invalid_previous_item_id",
            "previous_item_id",
        )

    def _match(self, result: Item) -> None:
        asked = [item for item in self.items if item.kind == "call" and item.call_id == result.call_id]
        answered = sum(item.kind == "result" and item.call_id == result.call_id for item in self.items)
        if not asked:
            raise Refused(f"Tool call ID '{result.call_id}' not found in conversation.", "invalid_tool_call_id")
        if answered >= len(asked):
            raise Refused(f"Tool call ID '{result.call_id}' already has an output.", "invalid_tool_call_id")
        result.name = asked[0].name

    def before(self, item: Item) -> str | None:
        """The id of the item before this one; None at the front, and where it was deleted."""
        ids = [one.id for one in self.items]
        at = ids.index(item.id) if item.id in ids else 0
        return ids[at - 1] if at else None

    def remove(self, item: Item) -> None:
        """Forget it."""
        self.items.remove(item)

    def freshen(self) -> None:
        """Where nothing came since the last request, all that no model item follows is asked about once more."""
        if any(item.fresh for item in self.items):
            return
        for item in reversed(self.items):
            if item.kind in ("assistant", "call"):
                return
            item.fresh = True

    def tokens(self) -> tuple[int, int]:
        """Of text and of sound, in all items."""
        counts = [item.tokens for item in self.items]
        return sum(text for text, _ in counts), sum(sound for _, sound in counts)


def heard_turn(items: Iterable[Item], wanted: Wanted) -> HeardTurn:
    """What a model has before it; fresh items are the turn, all others the history.

    A caller's sound is what is answered; without any, text of the user is, unless something instructs besides (then
    it is history, as where a conversation is told to a new session).
    """
    listed = list(items)
    last = max((at for at, item in enumerate(listed) if item.kind == "assistant"), default=-1)
    notes = [item.text for item in listed if item.fresh and item.kind == "system"]
    if wanted.own_instructions:
        notes.append(wanted.own_instructions)
    words = [item for item in listed if item.fresh and item.kind == "caller"]
    if not words and not notes:
        words = [item for item in listed[last + 1 :] if item.fresh and item.kind == "user"]
    transcript = " ".join(item.text for item in words if item.text) if words else None
    before = [item for item in listed if item not in words and not (item.fresh and item.kind == "system")]
    return HeardTurn(
        transcript,
        "\n".join(notes),
        history_of(before),
        instruction=wanted.instructions,
        tools=wanted.tools,
    )


def history_of(items: Iterable[Item]) -> tuple[Said, ...]:
    """Who said what; notes come ahead of the words that they belong to, whichever way they were put in."""
    said: list[Said] = []
    words: list[Said] = []
    for item in items:
        if item.kind == "assistant":
            said += [*words, Said("model", item.text)] if item.text else words
            words = []
        elif item.kind == "system":
            said.append(Said("user", item.text))
        elif item.kind in ("caller", "user") and item.text:
            words.append(Said("user", item.text))
    return (*said, *words)


def answer_of(item: Item) -> ToolAnswer:
    """A function call's output as a brain takes it: an object as such, anything else as its message."""
    try:
        parsed = orjson.loads(item.text)
    except orjson.JSONDecodeError:
        parsed = None
    response: Mapping[str, Any] = parsed if isinstance(parsed, dict) else {"message": item.text}
    return ToolAnswer(item.call_id, item.name, response)
