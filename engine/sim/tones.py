"""Test audio that can be recognised at the far end, so that a test proves *which* audio arrived.

A clip is the sum of four steady tones, one out of each of four groups of eight.  All 32 lie inside the telephone band,
85 Hz apart, so that mu-law noise, resampling and a lost frame here or there cannot turn one clip into another.  The
index is a number of four octal digits, one digit per group.
"""

import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.errors import MisuseError

GROUPS = 4
PER_GROUP = 8
CLIPS: int = PER_GROUP**GROUPS
SHORTEST_MS = 40  # below this two neighbouring tones melt into one spectral line

_TONES_HZ = 420.0 + 85.0 * np.arange(GROUPS * PER_GROUP)
_AMPLITUDE = 0.11 * 32767  # four of them peak at -7 dBFS: loud on a phone, never clipped
_LOOK_MS = 160  # enough to tell; the loudest stretch of this length is looked at
_LEAST_POWER = 100.0**2 / 32  # below some -55 dBFS nothing is told
_LEAST_SHARE = 0.72  # of all power that the four tones must hold; one lost frame of eight leaves about 0.85
_WIDEST_SPREAD = 8.0  # largest amplitude over smallest of the four; speech and noise are far less even


def tone_clip(index: int, ms: int, rate: int = 8000) -> NDArray[np.int16]:
    """Samples of clip ``index`` (0 to ``CLIPS - 1``), ``ms`` milliseconds at ``rate`` Hz (8, 16 or 24 kHz).

    Raises:
        MisuseError: an index that does not exist.
    """
    if not 0 <= index < CLIPS:
        raise MisuseError(f"tone clip {index} does not exist: 0 to {CLIPS - 1}")
    seconds = np.arange(rate * ms // 1000) / rate
    total = np.zeros(len(seconds))
    for tone in _tones_of(index):
        # Spread phases keep the four from peaking together.
        total += np.sin(2 * np.pi * _TONES_HZ[tone] * seconds + 0.7 * tone * tone)
    return np.rint(_AMPLITUDE * total).astype(np.int16)


def identify(pcm: NDArray[np.int16], rate: int) -> int | None:
    """Which clip this is (at least ``SHORTEST_MS`` of it, silence around it allowed); None: silence, or not ours."""
    look = _loudest(pcm.astype(np.float64), rate)
    if len(look) < rate * SHORTEST_MS // 1000:
        return None
    window = np.hanning(len(look))
    power = float(np.dot(window, look * look) / window.sum())
    if power < _LEAST_POWER:
        return None
    # Not a matrix product: BLAS would wake its threads for it, which costs more than the sum itself.
    along, across = np.einsum("wtn,n->wt", _waves(len(look), rate), window * look)
    groups = (2 * np.hypot(along, across) / window.sum()).reshape(GROUPS, PER_GROUP)
    strongest = groups.max(axis=1)
    if float((strongest**2).sum()) / 2 < _LEAST_SHARE * power or strongest.max() > _WIDEST_SPREAD * strongest.min():
        return None
    digits = groups.argmax(axis=1)
    return int(sum(int(digit) * PER_GROUP**group for group, digit in enumerate(digits)))


class ToneVoice:
    """A voice that costs nothing: every text has its own tone clip, as long as a person would need to say it.

    Attributes:
        ms_per_word: how long a word lasts.
    """

    def __init__(self, ms_per_word: int = 280) -> None:
        self.ms_per_word = ms_per_word

    async def __call__(self, text: str) -> NDArray[np.int16]:
        """The clip of this text at 24 kHz."""
        return tone_clip(self.index_of(text), self.ms_per_word * max(1, len(text.split())), 24000)

    @staticmethod
    def index_of(text: str) -> int:
        """What ``identify`` will say when this text is heard."""
        return int(zlib.crc32(text.encode())) % CLIPS


def _tones_of(index: int) -> list[int]:
    return [group * PER_GROUP + index // PER_GROUP**group % PER_GROUP for group in range(GROUPS)]


def _loudest(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    length, step = rate * _LOOK_MS // 1000, rate // 100
    if len(samples) <= length:
        return samples
    so_far = np.concatenate(([0.0], np.cumsum(samples * samples)))
    starts = np.arange(0, len(samples) - length + 1, step)
    best = int(starts[np.argmax(so_far[starts + length] - so_far[starts])])
    return samples[best : best + length]


@lru_cache(maxsize=32)
def _waves(length: int, rate: int) -> NDArray[np.float64]:
    angles = 2 * np.pi * np.outer(_TONES_HZ, np.arange(length) / rate)
    return np.stack([np.cos(angles), np.sin(angles)])
