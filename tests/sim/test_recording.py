"""Recordings as callers: any usual kind of WAV file becomes the same utterances; any other is refused with its cure."""

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio import g711
from engine.errors import ConfigurationError
from engine.sim.recording import RATES_HZ, read_utterances
from engine.voice.cache import VoiceCache

FIRST, SECOND = "Is there somewhere I can park?", "And what does a cleaning cost?"


@pytest.fixture(scope="module")
def talk(speech: VoiceCache) -> NDArray[np.float64]:
    """Two sentences, 1.2 s apart, in silence: 8 kHz, -1 to 1."""
    said = [g711.decode(speech.mulaw(text)) / 32768 for text in (FIRST, SECOND)]
    quiet = np.zeros(9600)
    return np.concatenate((quiet, said[0], quiet, said[1], quiet))


def at_rate(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Linear interpolation: another way of resampling than the one that is tested."""
    length = round(samples.size * rate / 8000)
    return np.interp(np.arange(length) * 8000 / rate, np.arange(samples.size), samples)


def write(path: Path, samples: NDArray[np.float64], rate: int, channels: int = 1, width: int = 2) -> Path:
    pcm = np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.repeat(pcm, channels).tobytes())
    return path


@pytest.mark.parametrize("rate", RATES_HZ)
def test_a_recording_of_any_rate_is_split_at_its_pauses(tmp_path: Path, talk: NDArray[np.float64], rate: int) -> None:
    first, second = read_utterances(write(tmp_path / "talk.wav", at_rate(talk, rate), rate))
    assert (first.text, second.text) == ("talk.wav, 1 of 2", "talk.wav, 2 of 2")
    for clip, text_ms in ((first, 1500), (second, 1500)):
        assert text_ms / 2 < len(clip.mulaw) / 8 < 2 * text_ms + 400
    heard = g711.decode(first.mulaw) / 32768
    places = range(9600 - 2400, 9600)  # it begins a little before its first sound
    alike = max(np.corrcoef(heard[2000:8000], talk[at + 2000 : at + 8000])[0, 1] for at in places)
    assert alike > 0.9, "the same sound, at the same pace and pitch"


def test_both_channels_are_mixed(tmp_path: Path, talk: NDArray[np.float64]) -> None:
    mono = read_utterances(write(tmp_path / "talk.wav", talk, 8000))
    stereo = read_utterances(write(tmp_path / "talk.wav", talk, 8000, channels=2))
    assert stereo == mono


def test_a_faint_recording_is_made_as_loud_as_a_telephone(tmp_path: Path, talk: NDArray[np.float64]) -> None:
    faint = read_utterances(write(tmp_path / "faint.wav", talk / 50, 8000))
    assert len(faint) == 2
    assert np.abs(g711.decode(faint[0].mulaw)).max() > 3000


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: write(path, np.zeros(8000), 11025), "11025 Hz: save it as 16-bit"),
        (lambda path: write(path, np.zeros(8000), 8000, width=1), "8-bit"),
        (lambda path: write(path, np.zeros(9000), 8000, channels=3), "3 channels"),
        (lambda path: write(path, np.zeros(16000), 8000), "nobody speaks"),
        (lambda path: write(path, np.zeros(0), 8000), "nobody speaks"),
        (lambda path: write(path, np.zeros(8000 * 601), 8000), "longer than 10 minutes"),
        (lambda path: path.write_bytes(b"ID3 not a wav"), "not a plain WAV file"),
        (lambda path: path.write_bytes(b""), "not a plain WAV file"),
        (lambda path: None, "cannot be read"),
    ],
)
def test_what_cannot_be_played_is_refused_with_the_reason(tmp_path: Path, make: object, words: str) -> None:
    path = tmp_path / "x.wav"
    assert callable(make)
    make(path)
    with pytest.raises(ConfigurationError, match=words):
        read_utterances(path)
