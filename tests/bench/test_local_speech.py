"""The bench's own ear for mistakes, and its reckoning."""

import numpy as np
import pytest

from bench.local_speech_load import GOOD_WAIT_MS, Cost, reading_lengths, reckon
from bench.local_speech_words import plain, with_noise, word_error_rate
from engine.audio import g711

READINGS: list[Cost] = [(length, 0.04 + 0.05 * length) for length in (0.8, 1.8, 2.8, 4.0)]
LINES: list[Cost] = [(4.0, 0.08), (6.0, 0.12)]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Okay, that's ten-thirty.", "okay that's ten thirty"),
        ("It\u2019s 42% & 300", "it's forty two percent and three hundred"),
        ("um 415", "four one five"),
        ("Dr. Lee, OK?", "doctor lee okay"),
        ("12 20 7", "twelve twenty seven"),
    ],
)
def test_writing_is_no_mistake_of_hearing(written: str, words: str) -> None:
    assert plain(written) == words


def test_mistakes_are_counted_by_words() -> None:
    assert word_error_rate(["one two three four"], ["One, too, three!"]) == 0.5


def test_noise_is_as_far_below_the_speech_as_asked() -> None:
    wave = (8000 * np.sin(np.arange(16_000) * 0.3)).astype(np.int16)
    clean = g711.encode(wave)
    noisy = g711.decode(with_noise(clean, 10.0, np.random.default_rng(1))).astype(float)
    noise = noisy - g711.decode(clean)
    assert 10 * np.log10(np.mean(wave.astype(float) ** 2) / np.mean(noise**2)) == pytest.approx(10, abs=0.3)


def test_turn_is_read_ever_less_often() -> None:
    assert reading_lengths(3.0) == [0.8, 1.8, 2.8, 3.0]
    assert reading_lengths(0.5) == [0.5]
    assert len(reading_lengths(60.0)) < 20


def test_more_calls_wait_longer_for_one_another() -> None:
    few, many = (reckon([2.5, 4.0], READINGS, LINES, calls, 120.0) for calls in (1, 12))
    assert few.wait_p95_ms == 0.0
    assert many.wait_p95_ms > GOOD_WAIT_MS
    assert many.busy > 8 * few.busy


def test_second_process_takes_most_of_the_waiting_away() -> None:
    one, two = (reckon([2.5, 4.0], READINGS, LINES, 10, 120.0, processes=processes) for processes in (1, 2))
    assert two.wait_p95_ms < one.wait_p95_ms / 2
