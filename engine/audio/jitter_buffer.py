"""Caller audio placed by its timestamps, and handed out in frames of 20 ms.

Theory. Media Streams is one TCP connection: packets come late and in bursts (gaps to 233 ms are normal), never out of
order, and nothing behind this buffer plays at a clock's pace. So nothing is held back to smooth arrival: a frame goes
out as soon as it is contiguous, and a burst comes out whole. What remains to be done is to keep media time right:

    packet's place, against the end of what is there      | what happens
    ------------------------------------------------------+-----------------------------------------------------------
    within 20 ms (timestamps are rounded to a millisecond) | PLACED: put right behind
    20 ms to ``hole_cap_ms`` ahead                         | FILLED: the hole becomes silence, at once
    farther ahead                                          | RESYNCED: put right behind, and measure from there
    behind, where silence was handed out for patience      | LATE: put right behind it, and measure from there
    behind anything else (the sender's clock jumped)       | RESYNCED

Drift is always measured from the last resync and never forgotten, so losses of less than 20 ms add up to a hole once
they reach it. Where nothing arrives for ``patience_ms``, ``pop`` hands out silence at real-time pace, so that
endpointing goes on; that is the only use of the clock.

What comes after its place was taken by such silence is heard all the same. A caller who spoke while the network held
their words for seconds has still asked for something; that it lies later in media time than it was said costs nothing,
since nobody plays it.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.audio.g711 import BYTES_PER_MS, FRAME_BYTES, FRAME_MS
from engine.errors import MisuseError

_FRAME_S: Final = FRAME_MS / 1000
_CATCH_UP_S: Final = 0.1  # silence for at most this long at once: a stall of ours is not the line's silence
_SILENCE: Final = b"\xff" * FRAME_BYTES


class Placement(StrEnum):
    """What became of a packet."""

    PLACED = "placed"
    FILLED = "filled"
    LATE = "late"
    RESYNCED = "resynced"


_PLACED: Final = Placement.PLACED


@dataclass(frozen=True, slots=True)
class JitterStatistics:
    """What a jitter buffer has done.

    Attributes:
        placed: packets.
        late: how often one came after silence had been handed out in its place; what follows it is on time again.
        late_ms: how late these were, together.
        padded_ms: silence put in, for holes and for patience.
        holes: how often timestamps left something out.
        resyncs: how often timestamps jumped and were measured anew.
        depth_ms: audio not yet handed out.
        peak: the most that ever was, in milliseconds.
    """

    placed: int
    late: int
    late_ms: float
    padded_ms: float
    holes: int
    resyncs: int
    depth_ms: float
    peak: float


class JitterBuffer:
    """One call's inbound audio. ``insert`` what arrives, then ``pop`` until there is nothing.

    Args:
        patience_ms: how long nothing may arrive before silence is handed out instead.
        hole_cap_ms: a longer hole is a clock that jumped, not audio that was lost.

    Raises:
        MisuseError: a patience or a cap that is not positive.
    """

    def __init__(self, patience_ms: int = 300, hole_cap_ms: int = 10_000) -> None:
        if patience_ms <= 0 or hole_cap_ms <= 0:
            raise MisuseError(f"a patience of {patience_ms} ms and a cap of {hole_cap_ms} ms must be positive")
        self._patience_s = patience_ms / 1000
        self._hole_cap = hole_cap_ms * BYTES_PER_MS
        self._frames: deque[bytes] = deque()  # whole frames
        self._tail = b""  # less than a frame
        # Places are in samples (= bytes) on one axis; a packet's is its timestamp's plus this, set by the first packet.
        self._offset: int | None = None
        self._end = 0  # where the next contiguous packet belongs
        self._padded_from: int | None = None  # where silence handed out for patience begins, if it reaches to the end
        self._pad_at: float | None = None  # when the next frame of such silence is due
        self._placed = self._late = self._late_bytes = self._padded_bytes = self._holes = self._resyncs = self._peak = 0

    def insert(self, timestamp_ms: int, payload: bytes, now: float) -> Placement:
        """Place a packet of one or more bytes of mu-law; any first timestamp will do."""
        self._pad_at = now + self._patience_s
        place = timestamp_ms * BYTES_PER_MS
        if self._offset is None:
            self._offset = -place
        ahead = place + self._offset - self._end
        placement = _PLACED if -FRAME_BYTES < ahead < FRAME_BYTES else self._displaced(ahead)
        self._placed += 1
        self._end += len(payload)
        self._padded_from = None
        frames = self._frames
        if len(payload) == FRAME_BYTES and not self._tail:  # nearly always
            frames.append(payload)
        else:
            self._rechunk(payload)
        if len(frames) > self._peak:
            self._peak = len(frames)
        return placement

    def pop(self, now: float) -> bytes | None:
        """The next 20 ms (160 bytes), or None if there is nothing to hand out yet."""
        if self._frames:
            return self._frames.popleft()
        if self._pad_at is None or now < self._pad_at:
            return None
        self._pad_at = max(self._pad_at, now - _CATCH_UP_S) + _FRAME_S
        if self._padded_from is None:
            self._padded_from = self._end
        frame = self._tail + _SILENCE[len(self._tail) :]
        self._end += FRAME_BYTES - len(self._tail)
        self._padded_bytes += FRAME_BYTES - len(self._tail)
        self._tail = b""
        return frame

    def take(self, now: float) -> list[bytes]:
        """Everything that ``pop`` would give, one after the other."""
        if self._frames:
            frames = list(self._frames)
            self._frames.clear()
            return frames
        return list(iter(lambda: self.pop(now), None)) if self._pad_at is not None and now >= self._pad_at else []

    def next_deadline(self) -> float | None:
        """When ``pop`` will have silence if nothing arrives; None before the first packet."""
        return self._pad_at

    def statistics(self) -> JitterStatistics:
        """Counts since the beginning, and the depth now."""
        return JitterStatistics(
            placed=self._placed,
            late=self._late,
            late_ms=self._late_bytes / BYTES_PER_MS,
            padded_ms=self._padded_bytes / BYTES_PER_MS,
            holes=self._holes,
            resyncs=self._resyncs,
            depth_ms=(len(self._frames) * FRAME_BYTES + len(self._tail)) / BYTES_PER_MS,
            peak=self._peak * FRAME_MS,
        )

    def _displaced(self, ahead: int) -> Placement:
        """Make the end of what is there the place of a packet that belongs so far ahead of it."""
        if 0 < ahead <= self._hole_cap:
            self._holes += 1
            self._padded_bytes += ahead
            self._end += ahead
            self._rechunk(b"\xff" * ahead)
            return Placement.FILLED
        assert self._offset is not None
        self._offset -= ahead
        if ahead < 0 and self._padded_from is not None and self._end + ahead > self._padded_from - FRAME_BYTES:
            self._late += 1
            self._late_bytes -= ahead
            return Placement.LATE
        self._resyncs += 1
        return Placement.RESYNCED

    def _rechunk(self, payload: bytes) -> None:
        joined = self._tail + payload
        whole = len(joined) - len(joined) % FRAME_BYTES
        self._frames.extend(joined[start : start + FRAME_BYTES] for start in range(0, whole, FRAME_BYTES))
        self._tail = joined[whole:]
