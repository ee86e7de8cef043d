"""Streaming conversion between 8, 16, 24 and 48 kHz, where one rate is a whole multiple of the other.

Theory. A windowed-sinc low-pass at the higher of the two rates. Going up, it runs between the input's samples (as one
short filter per output phase); going down, only every n-th output is worked out. The filter's history is kept between
calls, so chunk borders cannot be heard, and every 20 ms in is 20 ms out: nothing is ever held back beyond the filter's
own 3 ms (a library that answers in lumps costs up to 160 ms here).

Blocks. ``_BLOCK_STEPS`` steps of the filter are laid side by side as the columns of one matrix, so that a chunk is a
handful of overlapping rows times that matrix: one call into BLAS instead of a strided convolution.

Exactness. BLAS adds in an order that depends on a matrix's shape, and so rounds differently for every way of cutting a
stream into chunks. Taps here are whole numbers (22 fractional bits): products and sums stay below 2**53 and are exact
in float64 in any order. So any split of a stream gives the same bits, which is also what makes it testable.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import MisuseError

_RATES_HZ: Final = (8000, 16000, 24000, 48000)
_HALF_WIDTH: Final = 24  # samples of the lower rate on each side of the centre: 3 ms at 8 kHz
_CUTOFF: Final = 0.9125  # of the lower rate's Nyquist: -0.2 dB at 3400 Hz, and the stop band begins by 4000 Hz
_KAISER_BETA: Final = 6.5  # stop band below -67 dB
_TAP_SCALE: Final = float(1 << 22)
_BLOCK_STEPS: Final = 16  # measured best of 8, 16, 32 and 64 for chunks of 20 ms; nearly flat


def lowpass(ratio: int) -> NDArray[np.float64]:
    """Taps of the filter at the higher rate, shape ``(48 * ratio + 1,)``: whole numbers that add up to about 2**22."""
    offsets = np.arange(-_HALF_WIDTH * ratio, _HALF_WIDTH * ratio + 1)
    ideal = np.sinc(offsets * _CUTOFF / ratio)
    taps: NDArray[np.float64] = ideal * np.kaiser(offsets.size, _KAISER_BETA)
    scaled: NDArray[np.float64] = np.rint(taps * (_TAP_SCALE / taps.sum()))
    return scaled


@cache
def _block_matrix(up: int, down: int) -> NDArray[np.float64]:
    """The filter for a block of steps, shape ``(inputs seen by a block, steps * up)``; shared by all resamplers.

    Scaled to a gain of one: by a power of two, so nothing of the above is lost.
    """
    taps = lowpass(max(up, down)) * up if up != down else np.array([_TAP_SCALE])
    reach = -(-taps.size // up)  # input samples that one step sees
    matrix = np.zeros(((_BLOCK_STEPS - 1) * down + reach, _BLOCK_STEPS * up))
    for phase in range(up):
        branch = taps[phase::up][::-1]  # newest input last
        for step in range(_BLOCK_STEPS):
            newest = step * down + reach
            matrix[newest - branch.size : newest, step * up + phase] = branch
    matrix /= _TAP_SCALE
    matrix.flags.writeable = False
    return matrix


class Resampler:
    """One stream's conversion from ``source_hz`` to ``target_hz``; any chunk lengths, bit-identical for any split.

    The first input sample gives an output at once; where the ratio does not divide a chunk, the remainder carries over
    (going down by 3, chunks of 100 give 34, 33, 33). What comes out lags what went in by ``delay_ms``.

    Raises:
        MisuseError: a rate that is not 8, 16, 24 or 48 kHz, or no whole ratio between the two.
    """

    def __init__(self, source_hz: int, target_hz: int) -> None:
        low, high = sorted((source_hz, target_hz))
        if low not in _RATES_HZ or high not in _RATES_HZ or high % low:
            raise MisuseError(f"cannot resample {source_hz} Hz to {target_hz} Hz: only whole ratios within {_RATES_HZ}")
        self._up, self._down = target_hz // low, source_hz // low
        self._matrix = _block_matrix(self._up, self._down)
        self._history = np.zeros(self._matrix.shape[0] - (_BLOCK_STEPS - 1) * self._down - 1)
        self._skip = 0  # input samples to let pass before the next step
        self._delay = _HALF_WIDTH if high != low else 0  # in samples of the lower rate
        self.delay_ms = 1000.0 * self._delay / low
        """How long a sound takes through the filter."""

    def process(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take the stream's next ``n`` samples and give all that can be known now: about ``n * target / source``."""
        size, skip, width, past = pcm.size, self._skip, self._matrix.shape[0], self._history.size
        work = np.zeros(past + size + width)  # zeros at the end: the last row may reach beyond the chunk
        work[:past] = self._history
        work[past : past + size] = pcm
        count = -((skip - size) // self._down) if size > skip else 0  # steps that this chunk allows
        rows = -(-count // _BLOCK_STEPS)
        # The constructor instead of as_strided: same overlapping view, a tenth of the price.
        strides = (_BLOCK_STEPS * self._down * work.itemsize, work.itemsize)
        seen = np.ndarray((rows, width), np.float64, work, skip * work.itemsize, strides)
        out = np.dot(seen, self._matrix).reshape(-1)[: count * self._up]
        np.rint(out, out=out)
        np.minimum(out, 32767.0, out=out)
        np.maximum(out, -32768.0, out=out)
        self._skip = skip + count * self._down - size
        self._history = work[size : size + past].copy()
        result: NDArray[np.int16] = out.astype(np.int16)
        return result

    def flush(self) -> NDArray[np.int16]:
        """The last ``delay_ms`` of what went in, and a fresh start."""
        tail = self.process(np.zeros(self._delay * self._down, dtype=np.int16))
        self.reset()
        return tail

    def reset(self) -> None:
        """Forget everything: the next chunk begins a new stream."""
        self._history = np.zeros(self._history.size)
        self._skip = 0
