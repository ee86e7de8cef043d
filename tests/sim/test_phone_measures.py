"""What counts as sound, where a prompt sounds, which frames are due."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sim.frame_clock import FrameClock
from engine.sim.hearing import longest_gap, loud_span, sound_intervals
from engine.sim.recognise import find_clip
from engine.sim.report import Spread
from tests.sim.phone_world import tone

QUIET = b"\xff\x7f\xfe\x7e"


def noise(ms: int, seed: int = 1) -> bytes:
    """Sound in which every stretch is unlike every other."""
    return random.Random(seed).randbytes(8 * ms).replace(b"\xff", b"\x10")


def test_sound_is_told_to_the_sample() -> None:
    recording = b"\xff" * 1003 + noise(500) + b"\xff" * 8000 + noise(20) + b"\xff" * 500
    first, second = sound_intervals(recording)
    assert first == pytest.approx((1003 / 8, 1003 / 8 + 500), abs=1)
    assert second[0] == pytest.approx(1003 / 8 + 1500, abs=1)


def test_room_tone_is_silence() -> None:
    assert sound_intervals(QUIET * 8000) == []
    assert loud_span(QUIET * 10) is None


def test_short_pauses_belong_to_the_utterance() -> None:
    assert len(sound_intervals(noise(200) + b"\xff" * 8 * 300 + noise(200))) == 1
    assert len(sound_intervals(noise(200) + b"\xff" * 8 * 500 + noise(200))) == 2


def test_the_longest_gap_is_looked_for_in_the_spans_only() -> None:
    sounds = [(1000.0, 2000.0), (1500.0, 3000.0), (3500.0, 4000.0)]
    assert longest_gap(sounds, [(0.0, 5000.0)]) == 1000.0
    assert longest_gap(sounds, [(2500.0, 3800.0)]) == 500.0
    assert longest_gap(sounds, [(4200.0, 9000.0), (2000.0, 3000.0)]) == 4800.0
    assert longest_gap(sounds, []) is None


@given(st.integers(0, 4000), st.integers(0, 3000), st.integers(0, 3000))
def test_a_prompt_is_found_whole_or_with_ends_cut_off(lead: int, cut_start: int, cut_end: int) -> None:
    prompt = noise(1000)
    heard = prompt[cut_start : len(prompt) - cut_end]
    recording = tone(300) + b"\xff" * lead + heard + noise(300, seed=2)
    assert find_clip(recording, prompt) == pytest.approx(300 + lead / 8, abs=0.5)


def test_a_prompt_torn_by_an_underrun_is_found_at_its_beginning() -> None:
    prompt = noise(2000)
    recording = b"\xff" * 800 + prompt[:4000] + b"\xff" * 400 + prompt[4000:]
    found = find_clip(recording, prompt)
    assert found == pytest.approx(650, abs=1)  # the larger piece; the smaller one lies before it


def test_another_prompt_is_not_found() -> None:
    assert find_clip(noise(3000, seed=3), noise(1000)) is None
    assert find_clip(b"\xff" * 8000, b"\xff" * 4000) is None


def test_a_prompt_is_looked_for_after_a_moment() -> None:
    prompt = noise(500)
    recording = prompt + b"\xff" * 4000 + prompt
    assert find_clip(recording, prompt) == pytest.approx(0, abs=1)
    assert find_clip(recording, prompt, after_ms=1) == pytest.approx(1000, abs=1), "the whole one is better evidence"
    assert find_clip(recording, prompt, after_ms=600) == pytest.approx(1000, abs=1)


@given(st.lists(st.floats(-0.009, 0.2), min_size=2, max_size=60))
def test_frames_never_drift(offsets: list[float]) -> None:
    clock = FrameClock(5.0)
    now, given_out = 5.175, []
    given_out += clock.due(now)
    for n, offset in enumerate(offsets):
        now = max(now, 5.175 + 0.02 * (n + 1) + offset)
        given_out += clock.due(now)
    assert [chunk.timestamp_ms for chunk in given_out] == [155 + 20 * n for n in range(len(given_out))]
    assert abs(len(given_out) - 1 - (now - 5.175) / 0.02) <= 0.5 + 1e-6


def test_a_late_tick_is_made_up_for() -> None:
    clock = FrameClock(0.0)
    assert clock.due(0.170) == []
    assert [chunk.timestamp_ms for chunk in clock.due(0.180)] == [160]
    assert len(clock.due(0.200)) == 1
    assert len(clock.due(0.340)) == 7
    assert clock.due(0.342) == []


def test_percentiles_are_of_what_was_seen() -> None:
    assert Spread.of([]) is None
    assert Spread.of([float(n) for n in range(1, 101)]) == Spread(50, 95, 99, 100)
    assert Spread.of([7.0]) == Spread(7, 7, 7, 7)
