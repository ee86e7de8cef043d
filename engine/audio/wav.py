"""WAV files at the edges: a call's recording out, a speaker's lines in. Not for use while a call waits."""

import wave
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.resample import Resampler

_RATES_HZ: Final = (8000, 16000, 24000, 48000)


def write_stereo(path: Path, left_mulaw: bytes, right_mulaw: bytes) -> None:
    """Write two mu-law streams as one 8 kHz 16-bit stereo file; the shorter is followed by silence."""
    length = max(len(left_mulaw), len(right_mulaw))
    samples = np.zeros((length, 2), dtype="<i2")
    samples[: len(left_mulaw), 0] = g711.decode(left_mulaw)
    samples[: len(right_mulaw), 1] = g711.decode(right_mulaw)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(g711.SAMPLE_RATE_HZ)
        file.writeframes(samples.tobytes())


def read_mono(path: Path) -> NDArray[np.int16]:
    """Read a 16-bit WAV of 8, 16, 24 or 48 kHz, mono or stereo (then mixed), as 8 kHz mono, not shifted in time.

    Raises:
        ValueError: not a WAV file, or one of another kind; says which.
        OSError: the file cannot be read.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path}: not a plain PCM WAV file ({str(error) or 'it ends too early'})") from None
    if channels not in (1, 2) or width != 2 or rate not in _RATES_HZ:
        is_kind = f"{8 * width}-bit, {channels} channels, {rate} Hz"
        raise ValueError(f"{path}: is {is_kind}; needed is 16-bit, 1 or 2 channels, {_RATES_HZ} Hz")
    whole = len(raw) - len(raw) % (2 * channels)  # a file cut off in the middle of a sample
    samples = np.frombuffer(raw[:whole], dtype="<i2").reshape(-1, channels)
    mono = samples[:, 0] if channels == 1 else samples.mean(axis=1).round()
    return _to_8_khz(mono.astype(np.int16), rate)


def _to_8_khz(pcm: NDArray[np.int16], rate_hz: int) -> NDArray[np.int16]:
    resampler = Resampler(rate_hz, g711.SAMPLE_RATE_HZ)
    delay = round(resampler.delay_ms * g711.BYTES_PER_MS)
    return np.concatenate((resampler.process(pcm), resampler.flush()))[delay:]
