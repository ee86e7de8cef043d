"""A caller's voice made for load: frames of 20 ms that lie ready but for their numbers.

What goes out is what ``sim.mouth.Mouth`` sends, byte for byte once it is unmasked. Left out: a fresh mask for every
frame (the key is one byte four times, another for each process, so that masking is a table; the server unmasks as
ever), echo, odd chunk sizes, and the recording of what was said.
"""

import random
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from engine.sim.carrier_wire import MEDIA_END
from engine.sim.frame_clock import FIRST_MEDIA_S, FRAME_MS
from engine.sim.hearing import FRAME_BYTES, SILENCE
from engine.sim.mouth import Parts

_KEY: Final = random.randrange(1, 256)
_MASKED: Final = bytes(code ^ _KEY for code in range(256))
_HEAD: Final = b"\x81\xfe"  # one text frame, masked, of 126 to 65535 bytes
_KEY_FOUR_TIMES: Final = bytes([_KEY] * 4)
_FRAME_S: Final = FRAME_MS / 1000


@lru_cache(maxsize=4096)
def _end(mulaw: bytes | None) -> bytes:
    """The last part of a message, masked: the sound, which is that of a few clips, again and again."""
    return (b64encode(mulaw or SILENCE * FRAME_BYTES) + MEDIA_END).translate(_MASKED)


class LightVoice:
    """See ``sim.mouth.Voice``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._begin = parts.wire.media_begin
        self._first_at: float | None = None
        self._first_ms = 0
        self._next_at = parts.started_at + FIRST_MEDIA_S + _FRAME_S
        self._given = 0

    @property
    def spoken(self) -> bytes:
        """Not kept."""
        return b""

    def due(self, now: float, *, full: bool) -> Sequence[tuple[float, bytes | None]]:
        """See ``sim.mouth.Voice``."""
        given: list[tuple[float, bytes | None]] = []
        while now >= self._next_at:
            self._give(given, now, full=full)
        return given

    def _give(self, given: list[tuple[float, bytes | None]], now: float, *, full: bool) -> None:
        parts = self._parts
        if self._first_at is None:
            self._first_at = now
            self._first_ms = round((now - parts.started_at) * 1000) - FRAME_MS
        timestamp_ms = self._first_ms + FRAME_MS * self._given
        due_at = self._first_at + _FRAME_S * self._given
        self._given += 1
        # Half a frame early is on time: ticks come a little sooner or later.
        self._next_at = due_at + _FRAME_S / 2
        mulaw = parts.handset.take(FRAME_BYTES, parts.started_at + timestamp_ms / 1000)
        leaves_at = parts.route.media(due_at)
        if leaves_at is None:
            parts.wire.skip_chunk()
        elif full:
            parts.wire.skip_chunk()
            given.append((leaves_at, None))
        else:
            begin = (self._begin % (*parts.wire.next_chunk(), timestamp_ms)).translate(_MASKED)
            end = _end(mulaw)
            size = len(begin) + len(end)
            given.append((leaves_at, _HEAD + size.to_bytes(2, "big") + _KEY_FOUR_TIMES + begin + end))
