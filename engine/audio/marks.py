"""Marks on their way: asked for, and not echoed yet. The pacer's bookkeeping."""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from engine.audio.playout import Mark
from engine.audio.utterance import Utterance


@dataclass(frozen=True, slots=True)
class WaitingMark:
    """A mark whose echo has not come back. ``position`` is on the carrier's axis."""

    name: str
    position: int
    utterance: Utterance
    is_end: bool


class Marks:
    """In the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: deque[WaitingMark] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, utterance: Utterance, position: int, *, is_end: bool) -> Mark:
        """A new one behind what was sent of this utterance, to be waited for."""
        mark = Mark(utterance.next_mark(end=is_end))
        self._waiting.append(WaitingMark(mark.name, position, utterance, is_end))
        return mark

    def echoed(self, name: str) -> WaitingMark | None:
        """It came back: those before it will not, but for ends, which are waited for. None: it was not waited for."""
        index = next((i for i, waiting in enumerate(self._waiting) if waiting.name == name), None)
        if index is None:
            return None
        passed = [self._waiting.popleft() for _ in range(index + 1)]
        self._waiting.extendleft(mark for mark in reversed(passed[:-1]) if mark.is_end)
        return passed[-1]

    def keep_only(self, utterances: Collection[Utterance]) -> None:
        """The carrier's queue was cleared: only these have marks to come."""
        self._waiting = deque(mark for mark in self._waiting if mark.utterance in utterances)
