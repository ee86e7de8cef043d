"""A rendering of any voice, made ready for the line: 8 kHz, without silence around it, as loud as telephone speech."""

import numpy as np
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.resample import Resampler

LINE_RATE = 8_000

LEVEL = 10 ** (-20 / 20)  # RMS of the voiced parts: where telephone speech usually lies
CEILING = 10 ** (-3 / 20)  # no peak above; headroom for the carrier's own processing
KNEE = 10 ** (-9 / 20)  # peaks bend from here on; at this level that touches a few samples per sentence

_BLOCK = LINE_RATE // 100  # 10 ms: the grain of trimming
QUIET = 10 ** (-56 / 20)  # before levelling (about +7 dB): softer than any consonant the voice makes
_LEAD_BLOCKS = 1  # kept before the first sound, and after the last: a word's edge is not cut off, and what
_TAIL_BLOCKS = 4  # remains, with the block's own grain, stays below 20 and 60 ms


def for_the_line(samples: NDArray[np.int16], rate_hz: int, *, quiet: float = QUIET) -> bytes:
    """Mu-law at 8 kHz; nothing where there is nothing but silence.

    Args:
        samples: of a whole rendering.
        rate_hz: theirs, 16 or 24 kHz.
        quiet: RMS of what is silence before and after; softer than any consonant of that voice.
    """
    trimmed = _trim(_to_line_rate(samples, rate_hz), quiet)
    return g711.encode(to_int16(_level(trimmed))) if len(trimmed) else b""


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """From the range -1 to 1."""
    return np.rint(samples * 32767).astype(np.int16)


def _to_line_rate(samples: NDArray[np.int16], rate_hz: int) -> NDArray[np.float32]:
    resampler = Resampler(rate_hz, LINE_RATE)
    resampled = np.concatenate((resampler.process(samples), resampler.flush()))
    return np.divide(resampled, 32768, dtype=np.float32)


def _loudness(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """RMS of each whole 10 ms block."""
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    return np.asarray(np.sqrt(np.mean(blocks**2, axis=1)), dtype=np.float32)


def _trim(samples: NDArray[np.float32], quiet: float) -> NDArray[np.float32]:
    """Without the silence around it; empty where there is nothing but silence."""
    loud = np.flatnonzero(_loudness(samples) > quiet)
    if not len(loud):
        return samples[:0]
    first = max(int(loud[0]) - _LEAD_BLOCKS, 0)
    last = int(loud[-1]) + 1 + _TAIL_BLOCKS
    return samples[first * _BLOCK : last * _BLOCK]


def _level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """At ``LEVEL`` over its voiced blocks, with peaks bent below ``CEILING``."""
    blocks = _loudness(samples)
    voiced = blocks[blocks > blocks.max() / 10]  # within 20 dB of the loudest: pauses must not make a line louder
    wave = samples * (LEVEL / float(np.sqrt(np.mean(voiced**2))))
    size = np.abs(wave)
    bent = KNEE + (CEILING - KNEE) * np.tanh((size - KNEE) / (CEILING - KNEE))
    return np.where(size > KNEE, np.sign(wave) * bent, wave).astype(np.float32)
