"""What of a sound is worth reading, and in which pieces? Pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.vad import FAINTEST_SPEECH_DBFS, WebRtcVad, level_dbfs

LONGEST_S: Final = 24.0  # at once: the recogniser was taught on no more than 30 s, and its memory grows faster
_CUT_FROM_S = 15.0  # a long utterance is cut at its quietest place between this and ``LONGEST_S``
_EDGE_FRAMES = 8  # kept around the speech: a soft first consonant is not thrown away


def spoken(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    """What lies between the first and the last frame of speech, with an edge; empty where there is none."""
    vad, size = WebRtcVad(), g711.FRAME_BYTES
    speech = [
        index
        for index, frame in enumerate(pcm[: pcm.size // size * size].reshape(-1, size))
        if vad.is_speech(frame.tobytes()) and level_dbfs(frame) >= FAINTEST_SPEECH_DBFS
    ]
    if not speech:
        return pcm[:0]
    return pcm[max(speech[0] - _EDGE_FRAMES, 0) * size : (speech[-1] + 1 + _EDGE_FRAMES) * size]


def _levels(pcm: NDArray[np.int16]) -> NDArray[np.float64]:
    """Of each 20 ms, in dBFS."""
    size = g711.FRAME_BYTES
    blocks = pcm[: pcm.size // size * size].reshape(-1, size).astype(np.float64) / 32768
    levels: NDArray[np.float64] = 10 * np.log10(np.mean(blocks**2, axis=1) + 1e-10)
    return levels


def in_parts(pcm: NDArray[np.int16]) -> list[NDArray[np.int16]]:
    """Cut where it is quietest, so that none is longer than ``LONGEST_S``."""
    parts, rate = [], g711.SAMPLE_RATE_HZ
    while pcm.size > LONGEST_S * rate:
        first = int(_CUT_FROM_S * rate)
        levels = np.convolve(_levels(pcm[first : int(LONGEST_S * rate)]), np.ones(15) / 15, "valid")
        cut = first + (int(levels.argmin()) + 7) * g711.FRAME_BYTES  # the middle of 300 ms
        parts.append(pcm[:cut])
        pcm = pcm[cut:]
    return [*parts, pcm]
