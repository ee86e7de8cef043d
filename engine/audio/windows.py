"""Frames into windows for the model, with a pre-roll for the sounds before speech was certain."""

from engine.audio.g711 import BYTES_PER_MS
from engine.errors import MisuseError


class WindowBuilder:
    """Closed, it remembers the last ``preroll_ms``; open, it hands out windows of exactly ``window_ms``.

    No byte is given twice or lost between ``open`` and ``close``: what was left in a window that ``close`` found
    unfinished is the beginning of the next pre-roll.

    Raises:
        MisuseError: no window length, a negative pre-roll, a frame longer than a window, or ``open`` when open.
    """

    def __init__(self, window_ms: int = 100, preroll_ms: int = 400) -> None:
        if window_ms <= 0 or preroll_ms < 0:
            raise MisuseError(f"a window of {window_ms} ms after a pre-roll of {preroll_ms} ms cannot be built")
        self._window = window_ms * BYTES_PER_MS
        self._preroll = preroll_ms * BYTES_PER_MS
        self._held = bytearray()  # the pre-roll when closed, the unfinished window when open
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether frames go into windows now."""
        return self._open

    def push(self, frame: bytes) -> bytes | None:
        """Add mu-law; when open, the window that this completes, else None."""
        if len(frame) > self._window:
            raise MisuseError(f"a frame of {len(frame)} bytes is longer than a window of {self._window}")
        held = self._held
        held += frame
        if self._open:
            return self._cut(self._window) if len(held) >= self._window else None
        if len(held) > self._preroll:
            del held[: len(held) - self._preroll]
        return None

    def open(self) -> bytes:
        """Begin windows with the next frame, and give the pre-roll: at most ``preroll_ms``, empty if nothing came."""
        if self._open:
            raise MisuseError("the windows are open already")
        self._open = True
        return self._cut(len(self._held))

    def flush(self) -> bytes | None:
        """The unfinished window at once (end of speech), None where there is nothing in it; stays open."""
        return self._cut(len(self._held)) if self._open and self._held else None

    def close(self) -> None:
        """Back to remembering. Closing twice does nothing."""
        self._open = False
        if len(self._held) > self._preroll:
            del self._held[: len(self._held) - self._preroll]

    def _cut(self, size: int) -> bytes:
        piece = bytes(self._held[:size])
        del self._held[:size]
        return piece
