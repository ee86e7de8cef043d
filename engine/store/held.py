"""Records that neither the database nor the disk takes: kept in memory, in order, up to a bound. PURE.

The last resort before a loss. What is held is logged when it comes, with all it says but its sound, so that a process
which dies holding it has at least told.
"""

from collections import deque
from dataclasses import dataclass

RECORDS = 2_000
BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """``name`` is that of the file which it could not become."""

    name: str
    data: bytes


class Held:
    """First in, first out; ``take`` refuses what would be too much."""

    def __init__(self, *, records: int = RECORDS, most_bytes: int = BYTES) -> None:
        self._records, self._most_bytes = records, most_bytes
        self._waiting: deque[HeldRecord] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, record: HeldRecord) -> bool:
        """Hold it; False where there is no room."""
        if len(self._waiting) >= self._records or self._bytes + len(record.data) > self._most_bytes:
            return False
        self._waiting.append(record)
        self._bytes += len(record.data)
        return True

    def first(self) -> HeldRecord | None:
        """The oldest, which stays until ``let_go``."""
        return self._waiting[0] if self._waiting else None

    def let_go(self, record: HeldRecord) -> None:
        """It is kept elsewhere now; nothing where it has been let go of before."""
        if self._waiting and self._waiting[0] is record:
            self._waiting.popleft()
            self._bytes -= len(record.data)
