"""PURE: in which items of the conversation an OpenAI Realtime model's words are, so that what nobody heard can go.

All sound that a stream passes on is one long tape; a piece is known by where on the tape it begins, in milliseconds.
What the caller heard of an utterance is told by that place, and here it becomes items again.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

_BYTES_PER_MS: Final = 8
_KEPT: Final = 32  # items; an utterance that is cut is among the newest few


@dataclass(slots=True)
class _Spoken:
    response_id: str
    item_id: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Shorten:
    """Of this item so much was heard."""

    item_id: str
    heard_ms: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Nothing of this item was heard."""

    item_id: str


Mend: TypeAlias = Shorten | Remove


class Said:
    """What one session said, in order."""

    def __init__(self) -> None:
        self._tape_ms = 0.0
        self._spoken: deque[_Spoken] = deque(maxlen=_KEPT)
        self._writing: str | None = None  # the newest response in writing
        self._written: list[str] = []  # its items
        self._passed_on: deque[str] = deque(maxlen=_KEPT)  # items of which anything was passed on

    def sound(self, response_id: str, item_id: str, mulaw: bytes) -> float:
        """More sound, mu-law at 8 kHz; where on the tape it begins."""
        began_ms = self._tape_ms
        self._tape_ms += len(mulaw) / _BYTES_PER_MS
        last = self._spoken[-1] if self._spoken else None
        if last is not None and last.item_id == item_id:
            last.end_ms = self._tape_ms
        else:
            self._spoken.append(_Spoken(response_id, item_id, began_ms, self._tape_ms))
            self._passed_on.append(item_id)
        return began_ms

    def text(self, response_id: str, item_id: str) -> None:
        """More text of a response in writing."""
        if response_id != self._writing:
            self._writing = response_id
            self._written = []
        if item_id not in self._written:
            self._written.append(item_id)
            self._passed_on.append(item_id)

    def cut(self, began_ms: float | None, heard_ms: float) -> list[Mend]:
        """Of the utterance that began there on the tape, only so much was heard, and nothing of what came after.

        Only its own response is meant: what came later answers somebody who knows what they heard. Without a place it
        is the newest response, from its beginning.
        """
        if began_ms is None:
            newest = self._spoken[-1].response_id if self._spoken else None
            began_ms = next((one.start_ms for one in self._spoken if one.response_id == newest), 0.0)
        first = next((one for one in self._spoken if one.start_ms <= began_ms < one.end_ms), None)
        if first is None:
            return []
        until_ms = began_ms + max(0.0, heard_ms)
        mends: list[Mend] = []
        for one in [one for one in self._spoken if one.response_id == first.response_id and one.end_ms > began_ms]:
            if one.end_ms <= until_ms:
                continue
            heard_of_it = int(until_ms - one.start_ms)
            if heard_of_it <= 0:
                mends.append(Remove(one.item_id))
                self._spoken.remove(one)
            else:
                mends.append(Shorten(one.item_id, heard_of_it))
                one.end_ms = until_ms
        return mends

    def take_written(self) -> list[str]:
        """The items of the newest response in writing, which are about to be replaced."""
        written, self._written = self._written, []
        return written

    def is_passed_on(self, item_id: str) -> bool:
        """Whether anybody could have heard of it."""
        return item_id in self._passed_on
