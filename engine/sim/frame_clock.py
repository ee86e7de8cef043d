"""PURE: which chunks of the caller's voice are due. Frame n is due n x 20 ms after the first: nothing drifts.

A frame leaves when its 20 ms have been spoken, so it is due 20 ms after its timestamp.
"""

import math
from typing import NamedTuple

from engine.sim.hearing import BYTES_PER_MS

FRAME_MS = 20
FRAME_BYTES = FRAME_MS * BYTES_PER_MS
FIRST_MEDIA_S = 0.155  # the first timestamp seen in the field is 155 to 171, not 0


class Chunk(NamedTuple):
    """One media message to be: how much, when (on the stream) it began to be spoken, and the instant it is due at."""

    size: int
    timestamp_ms: float
    due_at: float


class FrameClock:
    """Chunks of one stream, in the given sizes by turns. A tick a few ms early or late still yields one frame."""

    def __init__(self, started_at: float, sizes: tuple[int, ...] = (FRAME_BYTES,)) -> None:
        self._started_at = started_at
        self._sizes = sizes
        self._first_at: float | None = None
        self._chunks = self._given = 0
        self.first_timestamp_ms = 0

    def due(self, now: float) -> list[Chunk]:
        """All that is due by now and was not given before; the first no sooner than ``FIRST_MEDIA_S``."""
        if self._first_at is None:
            if now < self._started_at + FIRST_MEDIA_S + FRAME_MS / 1000:
                return []
            self._first_at = now
            self.first_timestamp_ms = round((now - self._started_at) * 1000) - FRAME_MS
        due_bytes = (math.floor((now - self._first_at) * 1000 / FRAME_MS + 0.5) + 1) * FRAME_BYTES
        chunks: list[Chunk] = []
        while self._given + (size := self._sizes[self._chunks % len(self._sizes)]) <= due_bytes:
            at_ms = self._given / BYTES_PER_MS
            chunks.append(Chunk(size, self.first_timestamp_ms + at_ms, self._first_at + at_ms / 1000))
            self._given += size
            self._chunks += 1
        return chunks
