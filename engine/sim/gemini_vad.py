"""PURE: when somebody speaks, by level alone: the automatic detection of the simulated model, for clean test audio."""

from collections import deque
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Change: TypeAlias = Literal["start", "", "end"]

_FRAME = 320  # 20 ms at 16 kHz
_FRAME_MS = 20
_LOUD = 300.0  # RMS; -41 dBFS
_ONSET_FRAMES = 3  # a click is no speech
_PADDING_FRAMES = 15  # what is kept from before the onset


class EnergyDetector:
    """Cuts a stream at 16 kHz into stretches; a stretch that begins with ``start`` and ends with ``end`` is speech."""

    def __init__(self, silence_ms: int) -> None:
        self._patience = max(1, silence_ms // _FRAME_MS)
        self._before: deque[NDArray[np.int16]] = deque(maxlen=_PADDING_FRAMES)
        self._rest = np.zeros(0, np.int16)
        self._run = 0
        self._speaking = False

    def reset(self) -> None:
        """The stream paused: whoever was speaking has stopped."""
        self._before.clear()
        self._rest = np.zeros(0, np.int16)
        self._run, self._speaking = 0, False

    def feed(self, pcm: NDArray[np.int16]) -> Iterator[tuple[Change, NDArray[np.int16]]]:
        """What has changed, with the audio that belongs to it, in order; silence between utterances is kept back."""
        whole = np.concatenate((self._rest, pcm))
        frames = len(whole) // _FRAME
        self._rest = whole[frames * _FRAME :]
        for frame in whole[: frames * _FRAME].reshape(-1, _FRAME):
            loud = float(np.sqrt(np.mean(frame.astype(np.float32) ** 2))) > _LOUD
            # Counts loud frames while it is quiet and quiet ones while somebody speaks.
            self._run = self._run + 1 if loud != self._speaking else 0
            if self._speaking:
                self._speaking = self._run < self._patience
                yield ("" if self._speaking else "end"), frame
                self._run = self._run if self._speaking else 0
                continue
            self._before.append(frame)
            if self._run >= _ONSET_FRAMES:
                self._speaking, self._run = True, 0
                yield "start", np.concatenate(self._before)
                self._before.clear()
