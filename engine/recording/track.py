"""Two tracks of mu-law on one time axis, from what came and what was sent, whenever it did. PURE.

What the caller said comes as a stream of frames. What the agent said is placed where the carrier plays it: behind what
it still holds, or at once; what is cleared there was never heard, and is not in the recording. So the newest part of
the axis may still change, and ``take`` leaves it. Instants are seconds of the call's clock.
"""

from typing import Final

from engine.audio.g711 import SAMPLE_RATE_HZ

SILENCE: Final = 0xFF
HOLD_S: Final = 2.0  # more than the longest lead (1 s): what is older cannot be cleared, or blanked, any more
GAP_S: Final = 0.4  # so far the caller's frames may lag before what is missing is taken to be silence
KEY_BEFORE_S: Final = 0.5  # a key's tone sounds before the carrier tells of it
KEY_AFTER_S: Final = 0.3
MOST: Final = 30 * SAMPLE_RATE_HZ  # in one piece


class Tracks:
    """What was said since ``began``. ``take`` gives it away piece by piece."""

    def __init__(self, began: float, *, held_s: float = 0.0) -> None:
        """Begin. ``held_s``: so much of the agent's sound the carrier holds already; it is not in the recording."""
        self._began = began
        self._base = 0  # position of the first byte that is still here; positions are samples since ``began``
        self._caller, self._agent = bytearray(), bytearray(_silence(round(held_s * SAMPLE_RATE_HZ)))
        self._blanks: list[tuple[int, int]] = []  # of both tracks
        self._key_blanks: list[tuple[int, int]] = []  # of the caller's
        self._paused_at: int | None = None

    def heard(self, mulaw: bytes, now: float) -> None:
        """The caller's sound that has come until now."""
        behind = self._position(now) - (self._base + len(self._caller) + len(mulaw))
        if behind > GAP_S * SAMPLE_RATE_HZ or not self._caller:
            self._caller += _silence(behind)
        self._caller += mulaw

    def said(self, mulaw: bytes, now: float) -> None:
        """The agent's, sent now."""
        self._agent += _silence(self._position(now) - (self._base + len(self._agent)))
        self._agent += mulaw

    def cleared(self, now: float) -> None:
        """The carrier drops what it has not played."""
        del self._agent[max(0, self._position(now) - self._base) :]

    def key(self, now: float) -> None:
        """The carrier told of a key: its tone is nobody's business."""
        self._key_blanks.append((self._position(now - KEY_BEFORE_S), self._position(now + KEY_AFTER_S)))

    def pause(self, now: float) -> None:
        """From now on silence, on both tracks. Harmless while paused."""
        if self._paused_at is None:
            self._paused_at = self._position(now)

    def resume(self, now: float) -> None:
        """What comes from now on is recorded. Harmless unless paused."""
        if self._paused_at is not None:
            self._blanks.append((self._paused_at, self._position(now)))
            self._paused_at = None

    def take(self, now: float, *, all_of_it: bool = False) -> bytes:
        """What cannot change any more: so much of the caller, then as much of the agent; empty where there is nothing.

        Not all of it at once after a long time: ask until it is empty.

        ``all_of_it``: the line is over, and the carrier plays nothing of what it still held.
        """
        size = min(MOST, self._position(now - (0.0 if all_of_it else HOLD_S)) - self._base)
        if size <= 0:
            return b""
        caller, agent = _first(self._caller, size), _first(self._agent, size)
        open_blank = [] if self._paused_at is None else [(self._paused_at, self._base + size)]
        for begin, end in (*self._blanks, *open_blank):
            _blank(caller, begin - self._base, end - self._base)
            _blank(agent, begin - self._base, end - self._base)
        for begin, end in self._key_blanks:
            _blank(caller, begin - self._base, end - self._base)
        self._base += size
        self._blanks = [blank for blank in self._blanks if blank[1] > self._base]
        self._key_blanks = [blank for blank in self._key_blanks if blank[1] > self._base]
        return bytes(caller + agent)

    def _position(self, at: float) -> int:
        return round((at - self._began) * SAMPLE_RATE_HZ)


def _silence(size: int) -> bytes:
    return bytes((SILENCE,)) * max(0, size)


def _first(track: bytearray, size: int) -> bytearray:
    """Cut off, and filled up."""
    first = track[:size]
    del track[:size]
    return first + _silence(size - len(first))


def _blank(track: bytearray, begin: int, end: int) -> None:
    begin, end = max(0, begin), min(len(track), end)
    if begin < end:
        track[begin:end] = _silence(end - begin)
