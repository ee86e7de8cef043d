"""PURE: the line's far-end echo: what the caller hears comes back with their voice, later, fainter and smeared."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.audio import g711
from engine.errors import MisuseError
from engine.sim.hearing import BYTES_PER_MS

_SMEAR_MS = 6  # a hybrid's impulse response is a few milliseconds long


class EchoPath:
    """One line's echo.

    Args:
        loss_db: by how much it is fainter than what was heard (the echo return loss).
        delay_ms: after how long it comes back.
        seed: of the shape of its impulse response.

    Raises:
        MisuseError: a negative delay.
    """

    def __init__(self, loss_db: float, delay_ms: float, seed: int = 0) -> None:
        if delay_ms < 0:
            raise MisuseError("an echo cannot come before its sound")
        taps = _SMEAR_MS * BYTES_PER_MS
        shape = np.random.default_rng(seed).normal(size=taps) * np.exp(-np.arange(taps) / (taps / 5))
        self._response: NDArray[np.float64] = shape / math.sqrt(float(shape @ shape)) * 10 ** (-loss_db / 20)
        self._delay = round(delay_ms * BYTES_PER_MS)

    def mix(self, voice: bytes, at_ms: float, ear: Callable[[int, int], bytes]) -> bytes:
        """What the line carries while the caller says ``voice`` (mu-law).

        Args:
            voice: out of the caller's mouth, perhaps silence.
            at_ms: when it begins, since the stream did.
            ear: what the caller heard between two offsets, in bytes since the stream began.
        """
        until = round(at_ms * BYTES_PER_MS) + len(voice) - self._delay
        heard = g711.decode(ear(until - len(voice) - len(self._response) + 1, until))
        mixed = g711.decode(voice) + np.convolve(heard.astype(np.float64), self._response, mode="valid")
        return g711.encode(np.clip(np.rint(mixed), -32768, 32767).astype(np.int16))
