"""A recording as a caller: a WAV file in the line's form, split at its own pauses. Slow; whole files only."""

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.speech import Endpoint, Onset, SpeechDetector
from engine.audio.vad import Vad, WebRtcVad, level_dbfs
from engine.errors import ConfigurationError
from engine.sim.scenario import Clip

RATES_HZ: Final = (8000, 16000, 24000, 44100, 48000)
LONGEST_S: Final = 600.0
PAUSE_MS: Final = 700  # longer than what a speaker pauses within a sentence
_EDGE_MS: Final = 200  # kept before and after what was said: a word begins and ends softly
_LINE_DBFS: Final = -20.0  # how loud speech usually is on a telephone line
_TOO_QUIET_DBFS: Final = -32.0
_CEILING: Final = 0.9


def read_utterances(path: Path) -> tuple[Clip, ...]:
    """What is said in a WAV file, utterance by utterance; the clips' texts say which part of which file they are.

    Args:
        path: 16-bit PCM of 8, 16, 24, 44.1 or 48 kHz, mono or stereo (then mixed).

    Raises:
        ConfigurationError: the file cannot be read, is of another kind or too long, or nobody speaks in it.
    """
    pcm = _line_level(_to_line_rate(*_read(path)))
    pieces = list(_utterances(pcm))
    if not pieces:
        raise ConfigurationError(f"{path}: nobody speaks in it: record it louder, or another one")
    count = len(pieces)
    return tuple(
        Clip(f"{path.name}, {number} of {count}", g711.encode(piece)) for number, piece in enumerate(pieces, 1)
    )


def _read(path: Path) -> tuple[NDArray[np.float64], int]:
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            frames = file.getnframes()
            _check(path, channels, width, rate, frames)
            raw = file.readframes(frames)
    except (wave.Error, EOFError) as error:
        cure = "save it as WAV, 16-bit PCM"
        raise ConfigurationError(
            f"{path}: not a plain WAV file ({str(error) or 'it ends too early'}): {cure}"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror or error})") from None
    whole = len(raw) - len(raw) % (2 * channels)  # a file cut off in the middle of a sample
    samples = np.frombuffer(raw[:whole], dtype="<i2").reshape(-1, channels)
    return samples.mean(axis=1) / 32768, rate


def _check(path: Path, channels: int, width: int, rate: int, frames: int) -> None:
    if channels not in (1, 2) or width != 2 or rate not in RATES_HZ:
        known = ", ".join(f"{hertz / 1000:g}" for hertz in RATES_HZ)
        raise ConfigurationError(
            f"{path}: is {8 * width}-bit, {channels} channels, {rate} Hz: save it as 16-bit, mono or stereo, "
            f"of {known} kHz"
        )
    if frames > LONGEST_S * rate:
        raise ConfigurationError(f"{path}: longer than {LONGEST_S / 60:g} minutes: cut it")


def _to_line_rate(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Through its whole spectrum, so that any two rates will do; a second of silence keeps the ends apart."""
    if rate == g711.SAMPLE_RATE_HZ or not samples.size:
        return samples
    padded = np.concatenate((samples, np.zeros(rate + -(samples.size + rate) % rate)))  # whole seconds
    length = padded.size // rate * g711.SAMPLE_RATE_HZ
    spectrum = np.fft.rfft(padded)
    kept = np.zeros(length // 2 + 1, dtype=complex)
    count = min(kept.size, spectrum.size)
    kept[:count] = spectrum[:count]
    wave_out: NDArray[np.float64] = np.fft.irfft(kept, length) * (length / padded.size)
    return wave_out[: round(samples.size * g711.SAMPLE_RATE_HZ / rate)]


def _line_level(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    """A faint recording made as loud as a telephone is; others as they are."""
    frames = samples[: samples.size // g711.FRAME_BYTES * g711.FRAME_BYTES].reshape(-1, g711.FRAME_BYTES)
    loud = float(np.quantile(np.sqrt((frames**2).mean(axis=1)), 0.95)) if len(frames) else 0.0
    if 0.0 < loud < 10 ** (_TOO_QUIET_DBFS / 20):
        samples = samples * (10 ** (_LINE_DBFS / 20) / loud)
    clipped = np.clip(samples, -_CEILING, _CEILING)
    return np.rint(clipped * 32767).astype(np.int16)


def _utterances(pcm: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
    """Between pauses, by the gateway's own ear."""
    detector, vad = SpeechDetector(endpointing_ms=PAUSE_MS), WebRtcVad()
    edge = _EDGE_MS * g711.BYTES_PER_MS
    padded = np.concatenate((pcm, np.zeros((PAUSE_MS + 100) * g711.BYTES_PER_MS, np.int16)))
    began = 0
    for index in range(len(padded) // g711.FRAME_BYTES):
        frame = padded[index * g711.FRAME_BYTES : (index + 1) * g711.FRAME_BYTES]
        match detector.push(_is_voiced(vad, frame), level_dbfs(frame), float(index), agent_speaking=False):
            case Onset(at):
                began = round(at) * g711.FRAME_BYTES
            case Endpoint(at):
                until = (round(at) + 1) * g711.FRAME_BYTES + edge
                yield pcm[max(0, began - edge) : until]


def _is_voiced(vad: Vad, frame: NDArray[np.int16]) -> bool:
    return vad.is_speech(frame.tobytes())
