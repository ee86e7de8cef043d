"""Frames into windows for the model, with a pre-roll for the sounds before speech was certain."""

from typing import Final

from engine.audio.g711 import BYTES_PER_MS
from engine.errors import MisuseError

PREROLL_MS: Final = 400
"""Enough for what comes before an onset of the ordinary kind is certain, and for the turn-keeper to open."""


class WindowBuilder:
    """Closed, it remembers the last ``keep_ms``; open, it hands out windows of exactly ``window_ms``.

    ``preroll_ms`` of what it remembers are given when it opens, or as much more as it is told; ``keep_ms`` is the same
    where nothing is said.

    No byte is given twice or lost between ``open`` and ``close``: what was left in a window that ``close`` found
    unfinished is the beginning of the next pre-roll.

    Raises:
        MisuseError: no window length, a negative pre-roll, less kept than that, a frame longer than a
            window, or ``open`` when open.
    """

    def __init__(self, window_ms: int = 100, preroll_ms: int = PREROLL_MS, keep_ms: int | None = None) -> None:
        if window_ms <= 0 or preroll_ms < 0 or (keep_ms is not None and keep_ms < preroll_ms):
            raise MisuseError(f"a window of {window_ms} ms after a pre-roll of {preroll_ms} ms cannot be built")
        self._window = window_ms * BYTES_PER_MS
        self._preroll = preroll_ms * BYTES_PER_MS
        self._keep = self._preroll if keep_ms is None else keep_ms * BYTES_PER_MS
        self._held = bytearray()  # the pre-roll when closed, the unfinished window when open
        self._open = False

    @property
    def window_ms(self) -> int:
        """How long a window is."""
        return self._window // BYTES_PER_MS

    @property
    def keep_ms(self) -> int:
        """How much it remembers at most."""
        return self._keep // BYTES_PER_MS

    @property
    def is_open(self) -> bool:
        """Whether frames go into windows now."""
        return self._open

    @property
    def missing(self) -> int:
        """Bytes until the next window is whole; that of a whole one where it is closed."""
        return self._window - len(self._held) if self._open else self._window

    def push(self, frame: bytes) -> bytes | None:
        """Add mu-law; when open, the window that this completes, else None."""
        if len(frame) > self._window:
            raise MisuseError(f"a frame of {len(frame)} bytes is longer than a window of {self._window}")
        held = self._held
        if len(frame) == self._window and self._open and not held:
            return frame
        held += frame
        if self._open:
            return self._cut(self._window) if len(held) >= self._window else None
        if len(held) > self._keep:
            del held[: len(held) - self._keep]
        return None

    def open(self, at_least_ms: int = 0) -> bytes:
        """Begin windows with the next frame, and give the pre-roll, empty if nothing came.

        Args:
            at_least_ms: how far back it must reach where ``preroll_ms`` is too short for what has begun.
        """
        if self._open:
            raise MisuseError("the windows are open already")
        self._open = True
        wanted = max(self._preroll, at_least_ms * BYTES_PER_MS)
        if len(self._held) > wanted:
            del self._held[: len(self._held) - wanted]
        return self._cut(len(self._held))

    def flush(self) -> bytes | None:
        """The unfinished window at once (end of speech), None where there is nothing in it; stays open."""
        return self._cut(len(self._held)) if self._open and self._held else None

    def held(self) -> bytes:
        """What has come and is in no window yet: closed, what it remembers."""
        return bytes(self._held)

    def close(self) -> None:
        """Back to remembering. Closing twice does nothing."""
        self._open = False
        if len(self._held) > self._keep:
            del self._held[: len(self._held) - self._keep]

    def _cut(self, size: int) -> bytes:
        piece = bytes(self._held[:size])
        del self._held[:size]
        return piece
