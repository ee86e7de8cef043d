"""PURE: the input audio buffer of a Realtime session, and who speaks in it: by level alone, for clean test audio.

Time is counted in the audio that came, as the service counts it: a client that stops sending is not silent, it stands
still. With detection on, what lies before a stretch of speech and its padding is dropped; without, all is kept.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.audio import g711
from engine.sim.openai_config import Detection
from engine.sim.openai_schema import Refused

RATE = 16000
SHORTEST_MS = 100  # less cannot be committed
_FRAME = 320
_FRAME_MS = 20
_LOUD_AT_ONE = 600.0  # RMS at a threshold of 1.0; at 0.5 it is -41 dBFS
_ONSET_FRAMES = 3  # a click is no speech
_KEPT_FRAMES = 5 * 60 * 1000 // _FRAME_MS  # a client that never commits is not kept for ever


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody speaks since ``at_ms`` of all audio, padding included."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """They are done at ``at_ms``, the silence waited for included; ``pcm`` is all of it, at 16 kHz."""

    at_ms: int
    pcm: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class SpeechGoesOn:
    """Another moment of it."""

    pcm: NDArray[np.int16]


Heard: TypeAlias = SpeechStarted | SpeechStopped | SpeechGoesOn


class InputBuffer:
    """What came since the last commit."""

    def __init__(self) -> None:
        self.speaking = False
        self._frames: deque[NDArray[np.int16]] = deque(maxlen=_KEPT_FRAMES)
        self._rest = np.zeros(0, np.int16)
        self._heard_frames = 0
        self._run = 0

    def feed(self, pcm: NDArray[np.int16], detection: Detection | None) -> Iterator[Heard]:
        """Take audio at 16 kHz and say what has changed. To be gone through to its end."""
        whole = np.concatenate((self._rest, pcm))
        frames = len(whole) // _FRAME
        self._rest = whole[frames * _FRAME :]
        for frame in whole[: frames * _FRAME].reshape(-1, _FRAME):
            self._frames.append(frame)
            self._heard_frames += 1
            if detection is not None:
                yield from self._judge(frame, detection)

    def _judge(self, frame: NDArray[np.int16], detection: Detection) -> Iterator[Heard]:
        loud = float(np.sqrt(np.mean(frame.astype(np.float32) ** 2))) > _LOUD_AT_ONE * detection.threshold
        # Counts loud frames while it is quiet and quiet ones while somebody speaks.
        self._run = self._run + 1 if loud != self.speaking else 0
        if not self.speaking:
            if self._run >= _ONSET_FRAMES:
                self.speaking, self._run = True, 0
                padded = min(len(self._frames), _ONSET_FRAMES + detection.prefix_ms // _FRAME_MS)
                while len(self._frames) > padded:
                    self._frames.popleft()
                yield SpeechStarted((self._heard_frames - padded) * _FRAME_MS)
                yield SpeechGoesOn(np.concatenate(self._frames))
            return
        yield SpeechGoesOn(frame)
        if self._run >= max(1, detection.silence_ms // _FRAME_MS):
            pcm = np.concatenate(self._frames)
            self._forget()
            yield SpeechStopped(self._heard_frames * _FRAME_MS, pcm)

    def commit(self) -> NDArray[np.int16]:
        """All that is there, at 16 kHz; whoever speaks has to begin anew.

        Raises:
            Refused: there is next to nothing.
        """
        pcm = np.concatenate((*self._frames, self._rest))
        if len(pcm) * 1000 < SHORTEST_MS * RATE:
            raise Refused(
                f"Error committing input audio buffer: buffer too small. Expected at least {SHORTEST_MS}ms of audio, "
                f"but buffer only has {len(pcm) * 1000 / RATE:.2f}ms of audio.",
                "input_audio_buffer_commit_empty",
            )
        self.clear()
        return pcm

    def clear(self) -> None:
        """Drop all that is there."""
        self._rest = np.zeros(0, np.int16)
        self._forget()

    def forget_speech(self) -> None:
        """Nobody is known to speak."""
        self.speaking, self._run = False, 0

    def _forget(self) -> None:
        self._frames.clear()
        self.forget_speech()


def decode_input(data: bytes, audio_format: str) -> NDArray[np.int16]:
    """Audio as the client sends it, at 16 kHz: straight lines between samples, good enough for an ear by spectrum.

    Raises:
        Refused: half a sample.
    """
    if audio_format == "audio/pcmu":
        pcm, rate = g711.decode(data), g711.SAMPLE_RATE_HZ
    elif len(data) % 2:
        raise Refused("Invalid 'audio'. Expected whole 16 bit samples.", "invalid_value", "audio")
    else:
        pcm, rate = np.frombuffer(data, "<i2").astype(np.int16), 24000
    at = np.arange(len(pcm) * RATE // rate) * (rate / RATE)
    between: NDArray[np.int16] = np.interp(at, np.arange(len(pcm)), pcm).astype(np.int16)
    return between
