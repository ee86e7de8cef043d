"""PURE: what the caller says, as an OpenAI Realtime service understands it: several items make a turn.

The service takes what was said for an item at every pause, and its text comes later, item by item, perhaps only after
the turn was committed. Text of an earlier turn that comes once the next one is open has no place any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from engine.messages import CallerTranscript
from engine.wire import openai_realtime_events as wire


@dataclass(slots=True)
class _Item:
    text: str = ""
    whole: bool = False


class CallerWords:
    """Of one session. Also knows whether the service has taken all of the open turn for an item."""

    def __init__(self) -> None:
        self._items: dict[str, _Item] = {}  # of this turn, in order
        self._earlier: set[str] = set()
        self._sent = self._speaking = self._taken = False

    def turn_opened(self) -> None:
        """Items from here on are of a new turn."""
        self._earlier.update(self._items)
        self._items = {}
        self._sent = self._speaking = self._taken = False

    def sound_sent(self) -> None:
        """A window of the turn went up."""
        self._sent = True

    @property
    def to_be_taken(self) -> bool:
        """Whether something of the turn may still be no item, so that it has to be made one before it is answered."""
        return self._sent and (self._speaking or not self._taken)

    def take(self, event: wire.ServerEvent) -> Iterator[CallerTranscript]:
        """What this event tells of the caller's words."""
        match event:
            case wire.SpeechStarted(item_id):
                if self._of_this_turn(item_id) is not None:
                    self._speaking = True
            case wire.Committed(item_id):
                if self._of_this_turn(item_id) is not None:
                    self._speaking, self._taken = False, True
            case wire.HeardDelta(item_id, delta):
                if (item := self._of_this_turn(item_id)) is not None and delta and not item.whole:
                    item.text += delta
                    yield CallerTranscript(self._text(), final=False)
            case wire.HeardWhole(item_id, transcript):
                yield from self._whole(item_id, transcript)
            case wire.NotUnderstood(item_id):
                yield from self._whole(item_id, "")
            case _:
                pass

    def _whole(self, item_id: str, text: str) -> Iterator[CallerTranscript]:
        item = self._of_this_turn(item_id)
        if item is None:
            return
        item.text, item.whole = text, True
        if said := self._text():
            yield CallerTranscript(said, final=all(one.whole for one in self._items.values()))

    def _of_this_turn(self, item_id: str) -> _Item | None:
        return None if item_id in self._earlier else self._items.setdefault(item_id, _Item())

    def _text(self) -> str:
        return " ".join(text for item in self._items.values() if (text := item.text.strip()))
