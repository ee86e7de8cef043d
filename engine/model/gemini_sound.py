"""The caller's windows as messages for Gemini: as they are, or resampled to its own rate; in base64, in JSON. PURE.

The service takes any rate that is named. What a telephone brings at 8 kHz is all that there is: at 16 kHz the same is
sent in twice the bytes, after a filter that costs as much as the rest of the way up.

The speaking model and the listener hear the same windows, one after the other. What a window becomes depends on it and
on the few milliseconds before it, and on nothing else, so it is worked out once for both.
"""

from functools import lru_cache
from typing import Final

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.wire import gemini_live as codec

_SEEN_BYTES: Final = round(2 * Resampler(g711.SAMPLE_RATE_HZ, codec.INPUT_RATE_HZ).delay_ms * g711.BYTES_PER_MS)
"""How far back the filter looks from a sample: twice its delay."""

_KEPT: Final = 64  # messages: those of a moment, of all calls; the second one who needs a window comes at once


class CallerSound:
    """One stream's way through the windows of its turns, at ``rate_hz``: 8000 or 16000."""

    def __init__(self, rate_hz: int = g711.SAMPLE_RATE_HZ) -> None:
        self._before = b""
        self._is_resampled = rate_hz != g711.SAMPLE_RATE_HZ

    def reset(self) -> None:
        """A turn opens: what comes next follows nothing."""
        self._before = b""

    def message(self, mulaw: bytes) -> bytes:
        """The next window, which is not empty, as a message."""
        if not self._is_resampled:
            return _as_it_is(mulaw)
        message = _message(self._before, mulaw)
        self._before = mulaw[-_SEEN_BYTES:] if len(mulaw) >= _SEEN_BYTES else (self._before + mulaw)[-_SEEN_BYTES:]
        return message


@lru_cache(maxsize=_KEPT)
def _as_it_is(mulaw: bytes) -> bytes:
    return codec.audio_message(g711.decode(mulaw).astype("<i2", copy=False).tobytes(), g711.SAMPLE_RATE_HZ)


@lru_cache(maxsize=_KEPT)
def _message(before: bytes, mulaw: bytes) -> bytes:
    """Bit for bit what one resampler would make of the whole turn: it does not see further back than ``before``."""
    pcm = Resampler(g711.SAMPLE_RATE_HZ, codec.INPUT_RATE_HZ).process(g711.decode(before + mulaw))
    ratio = codec.INPUT_RATE_HZ // g711.SAMPLE_RATE_HZ
    return codec.audio_message(pcm[ratio * len(before) :].astype("<i2", copy=False).tobytes())
