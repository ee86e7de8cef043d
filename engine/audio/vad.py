"""Is somebody speaking in this frame, and how loud is it? The only file that knows the WebRTC detector."""

import math
from typing import Final, Protocol

import _webrtcvad  # type: ignore[import-not-found]  # the C module: per frame, the wrapper around it costs as much
import numpy as np
from numpy.typing import NDArray

from engine.audio.g711 import FRAME_BYTES, SAMPLE_RATE_HZ, decode
from engine.errors import MisuseError

SILENT_DBFS: Final = -100.0
"""What digital silence measures: below one step of PCM16 (-90 dBFS), and still a number."""

FAINTEST_SPEECH_DBFS: Final = -45.0
"""What is fainter than this on a telephone line is not its caller, whatever a detector says."""

_FULL_SCALE = 32768.0
_FAINT_PEAK = _FULL_SCALE * 10 ** (FAINTEST_SPEECH_DBFS / 20)
_FAINT_CODES: Final = bytes(
    int(code) for code in np.flatnonzero(np.abs(decode(bytes(range(256))).astype(np.int32)) < _FAINT_PEAK)
)
_FULL_POWER: Final = FRAME_BYTES * _FULL_SCALE**2  # of a frame
_PCM_BYTES: Final = 2 * FRAME_BYTES
_process: Final = _webrtcvad.process


class Vad(Protocol):
    """A detector for one stream; it may remember earlier frames."""

    def is_speech(self, pcm: bytes) -> bool:
        """Judge the stream's next 20 ms: 320 bytes of PCM16 at 8 kHz, in the machine's byte order."""


class WebRtcVad:
    """Google's Gaussian-mixture detector, 3 us per frame.

    Mode 3, the strictest, measured best on telephone audio: 98 % of speech at 3 % false alarms when clean. It is
    easily fooled below 5 dB signal to noise, so ``SpeechDetector`` asks for a level as well.

    Raises:
        MisuseError: a mode outside 0 to 3, or a frame that is not 20 ms.
    """

    def __init__(self, mode: int = 3) -> None:
        if mode not in range(4):
            raise MisuseError(f"the detector's modes are 0 to 3, not {mode}")
        self._detector = _webrtcvad.create()
        _webrtcvad.init(self._detector)
        _webrtcvad.set_mode(self._detector, mode)

    def is_speech(self, pcm: bytes) -> bool:
        """Judge the stream's next 20 ms: 320 bytes of PCM16 at 8 kHz."""
        if len(pcm) != _PCM_BYTES:  # it believes the length that it is told
            raise MisuseError(f"a frame is {_PCM_BYTES} bytes of PCM16, not {len(pcm)}")
        return _process(self._detector, SAMPLE_RATE_HZ, pcm, FRAME_BYTES)  # type: ignore[no-any-return]


def is_faint(mulaw: bytes) -> bool:
    """Is every sample of this mu-law too faint for the whole to reach ``FAINTEST_SPEECH_DBFS``?

    A tenth of what the detector costs, and true of most frames of most calls: those in which nobody speaks.
    """
    return not mulaw.translate(None, _FAINT_CODES)


def level_dbfs(pcm: NDArray[np.int16]) -> float:
    """Mean power of PCM16 samples in dB: 0 is a full-scale square wave, -3 a full-scale sine, -100 silence."""
    if not pcm.size:
        return SILENT_DBFS
    samples = pcm.astype(np.float32)
    power = float(samples.dot(samples)) / (pcm.size * _FULL_SCALE * _FULL_SCALE)
    return 10.0 * math.log10(power) if power > 0.0 else SILENT_DBFS


def levels_dbfs(pcm: NDArray[np.int16]) -> list[float]:
    """``level_dbfs`` of each whole frame of these samples, in order; at once: a call costs more than its samples."""
    frames = pcm.size // FRAME_BYTES
    samples = pcm[: frames * FRAME_BYTES].astype(np.float32).reshape(frames, FRAME_BYTES)
    powers = np.vecdot(samples, samples).tolist()
    return [10.0 * math.log10(power / _FULL_POWER) if power > 0.0 else SILENT_DBFS for power in powers]
