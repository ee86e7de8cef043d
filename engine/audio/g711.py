"""G.711 mu-law <-> PCM16, by table. One byte is one sample at 8 kHz: 8 bytes per millisecond.

The encoder works on 14-bit magnitudes: add the bias, find which of eight segments (each twice as wide as the one
before) the value falls into, keep four bits of where in it, and invert everything for the line. The decoder answers
with the middle of each step. Both are small enough to be worked out once for every possible input.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ: Final = 8000
BYTES_PER_MS: Final = 8
FRAME_MS: Final = 20
FRAME_BYTES: Final = FRAME_MS * BYTES_PER_MS

SILENCE: int = 0xFF
"""The byte for a sample of zero (0x7F, minus zero, sounds the same)."""

_BIAS = 33  # in 14-bit steps; makes the first segment start at a power of two like all others
_LARGEST = 8191  # of a biased magnitude; anything louder is clipped
_SEGMENT_ENDS = np.array([0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF, 0x1FFF], dtype=np.int32)


def _decode_table() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    step, segment, negative = code & 0x0F, (code & 0x70) >> 4, (code & 0x80) != 0
    magnitude = (((2 * step + _BIAS) << segment) - _BIAS) << 2  # << 2: from 14 to 16 bits
    return np.where(negative, -magnitude, magnitude).astype(np.int16)


def _encode_table() -> NDArray[np.uint8]:
    linear = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 2
    magnitude = np.minimum(np.abs(linear) + _BIAS, _LARGEST)
    segment = np.searchsorted(_SEGMENT_ENDS, magnitude)
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0F)
    table: NDArray[np.uint8] = (code ^ np.where(linear < 0, 0x7F, 0xFF)).astype(np.uint8)
    return table


_DECODE: Final = _decode_table()
_ENCODE: Final = _encode_table()


def decode(mulaw: bytes) -> NDArray[np.int16]:
    """Mu-law bytes to PCM16, one sample per byte, in a new array of shape ``(len(mulaw),)``."""
    # A byte is never out of a table of 256: "clip" is the mode that does not look.
    return _DECODE.take(np.frombuffer(mulaw, dtype=np.uint8), mode="clip")


def encode(pcm: NDArray[np.int16]) -> bytes:
    """PCM16 of shape ``(n,)`` to ``n`` mu-law bytes; too loud a sample is clipped, as the standard does."""
    return _ENCODE.take(pcm.view(np.uint16), mode="clip").tobytes()


def silence(ms: int) -> bytes:
    """``ms`` milliseconds of silence."""
    return b"\xff" * (ms * BYTES_PER_MS)
