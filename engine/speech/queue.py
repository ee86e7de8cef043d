"""Whose turn is it? A queue that is fair between those who ask, however much one of them asks. Pure."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """First come, first served within a key; one of each key in turn between keys."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Hashable, deque[T]] = OrderedDict()
        self._again: deque[T] = deque()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, key: Hashable, item: T) -> None:
        """Behind what waits for this key."""
        self._waiting.setdefault(key, deque()).append(item)
        self._length += 1

    def put_back(self, item: T) -> None:
        """Before all others: its turn had come, and nothing came of it."""
        self._again.append(item)
        self._length += 1

    def discard(self, key: Hashable, item: T) -> None:
        """Forget an item, wherever it waits; nothing where it does not."""
        for line in (self._again, self._waiting.get(key, deque())):
            if item in line:
                line.remove(item)
                self._length -= 1
        if key in self._waiting and not self._waiting[key]:
            del self._waiting[key]

    def take(self) -> T | None:
        """The next item; None where nobody waits."""
        if self._again:
            self._length -= 1
            return self._again.popleft()
        if not self._waiting:
            return None
        key, line = self._waiting.popitem(last=False)
        self._length -= 1
        item = line.popleft()
        if line:
            self._waiting[key] = line  # behind everybody else
        return item
