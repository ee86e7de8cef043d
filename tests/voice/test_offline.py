"""Real speech, judged by what can be measured of it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio import g711
from engine.errors import ConfigurationError, MisuseError
from engine.tenants.tenant import Script
from engine.voice.cache import VoiceCache
from engine.voice.offline import OfflineVoice, _stretch

SENTENCE = "Sorry, I lost you for a second there. One moment, please."
SAMPLES_OF_SPEECH = [SENTENCE, "Let me see.", "Thank you for waiting.", Script().offer]


def heard(mulaw: bytes) -> NDArray[np.float64]:
    return g711.decode(mulaw).astype(np.float64) / 32768


def blocks(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level of each 10 ms in dBFS."""
    power = np.mean(wave[: len(wave) // 80 * 80].reshape(-1, 80) ** 2, axis=1)
    return np.asarray(10 * np.log10(power + 1e-12))


def loudest(wave: NDArray[np.float64], size: int) -> float:
    """Energy of the loudest stretch of ``size`` samples."""
    total = np.concatenate(([0.0], np.cumsum(wave**2)))
    return float((total[size:] - total[:-size]).max())


def pitch_of(samples: NDArray[np.int16]) -> float:
    """Median fundamental in Hz over voiced 50 ms blocks at 24 kHz, by autocorrelation."""
    size, found = 1200, []
    for at in range(0, len(samples) - size, size):
        block = samples[at : at + size].astype(np.float64)
        if np.sqrt(np.mean(block**2)) < 1500:
            continue
        score = np.correlate(block, block, "full")[size - 1 :]
        lag = 60 + int(np.argmax(score[60:240]))  # 400 to 100 Hz
        if score[lag] > 0.5 * score[0]:
            found.append(24_000 / lag)
    assert len(found) > 5
    return float(np.median(found))


@pytest.mark.parametrize("text", SAMPLES_OF_SPEECH)
def test_line_lasts_as_long_as_somebody_would_take_to_say_it(voice: OfflineVoice, text: str) -> None:
    seconds = len(voice.render_mulaw(text)) / 8000
    assert 0.25 <= seconds / len(text.split()) <= 0.5


@pytest.mark.parametrize("text", SAMPLES_OF_SPEECH)
def test_silence_around_a_line_is_trimmed(voice: OfflineVoice, text: str) -> None:
    sounding = np.flatnonzero(blocks(heard(voice.render_mulaw(text))) > -49)
    total = len(voice.render_mulaw(text)) // 80
    assert sounding[0] <= 2
    assert total - 1 - sounding[-1] <= 6


def test_trimming_takes_nothing_but_silence(voice: OfflineVoice) -> None:
    whole = voice.render(SENTENCE).astype(np.float64)
    energy_per_sample = np.sum(whole**2) / 3
    trimmed = heard(voice.render_mulaw(SENTENCE))
    untrimmed_seconds, trimmed_seconds = len(whole) / 24_000, len(trimmed) / 8000
    assert 0.3 < untrimmed_seconds - trimmed_seconds < 1.0
    # What is left holds the energy of all: the two differ by one gain, which the loudest half second reveals.
    part, around = loudest(trimmed, 4000), loudest(whole, 12_000) / 3
    assert np.sum(trimmed**2) / part == pytest.approx(energy_per_sample / around, rel=0.05)


@pytest.mark.parametrize("text", SAMPLES_OF_SPEECH)
def test_line_is_as_loud_as_a_telephone_wants_it(voice: OfflineVoice, text: str) -> None:
    wave = heard(voice.render_mulaw(text))
    assert -24 < 10 * np.log10(np.mean(wave**2)) < -19
    assert -10 < 20 * np.log10(np.abs(wave).max()) <= -2.9


def test_same_text_is_the_same_bytes(voice: OfflineVoice) -> None:
    assert voice.render_mulaw(SENTENCE) == voice.render_mulaw(SENTENCE)
    assert np.array_equal(voice.render(SENTENCE, seed=3), voice.render(SENTENCE, seed=3))
    assert not np.array_equal(voice.render(SENTENCE, seed=3), voice.render(SENTENCE, seed=4))


@pytest.mark.parametrize("pitch", [0.8, 1.2])
def test_pitch_moves_the_voice_and_not_the_pace(voice: OfflineVoice, pitch: float) -> None:
    plain, moved = voice.render(SENTENCE), voice.render(SENTENCE, pitch=pitch)
    assert pitch_of(moved) / pitch_of(plain) == pytest.approx(pitch, rel=0.08)
    assert len(moved) / len(plain) == pytest.approx(1.0, rel=0.12)


@pytest.mark.parametrize("pitch", [0.0, 0.49, 2.01, float("nan")])
def test_pitch_out_of_range_is_our_own_mistake(voice: OfflineVoice, pitch: float) -> None:
    with pytest.raises(MisuseError, match="pitch"):
        voice.render(SENTENCE, pitch=pitch)


@pytest.mark.parametrize("factor", [0.5, 0.78, 1.0, 1.12, 2.0])
def test_stretched_tone_is_the_tone_of_the_other_pitch(factor: float) -> None:
    rate, hz = 24_000, 200.0

    def tone(size: int, hz: float) -> NDArray[np.float32]:
        return (np.hanning(size) * np.sin(2 * np.pi * hz * np.arange(size) / rate)).astype(np.float32)

    stretched = _stretch(tone(rate, hz), factor)
    assert len(stretched) == round(rate / factor)
    assert np.abs(stretched - tone(len(stretched), hz * rate / len(stretched))).max() < 0.01


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_blank_text_is_no_sound(voice: OfflineVoice, text: str) -> None:
    assert voice.render_mulaw(text) == b""


@pytest.mark.parametrize("text", ["…", "你好", "---"])
def test_text_that_cannot_be_spoken_is_refused_by_name(voice: OfflineVoice, text: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot say"):
        voice.render_mulaw(text)


def test_cached_line_is_what_the_voice_says(voice: OfflineVoice, tmp_path: Path) -> None:
    first = VoiceCache(tmp_path, lambda: voice).mulaw(SENTENCE)
    assert first == voice.render_mulaw(SENTENCE)
    assert VoiceCache(tmp_path, OfflineVoice.load).mulaw(SENTENCE) == first
