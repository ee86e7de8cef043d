"""Where interrupted speech is taken up again."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.audio import g711
from engine.audio.rewind import LONGEST_MS, back_to_a_gap


def sound(*parts: tuple[int, int]) -> bytes:
    """Milliseconds and amplitude of each part."""
    return b"".join(g711.encode(np.resize(np.array([peak, -peak], np.int16), 8 * ms)) for ms, peak in parts)


def test_it_goes_back_to_the_last_gap_between_words() -> None:
    assert back_to_a_gap(sound((60, 8000), (30, 10), (70, 8000), (20, 10), (50, 8000))) == 8 * 60


def test_in_a_gap_it_goes_back_by_next_to_nothing() -> None:
    assert back_to_a_gap(sound((200, 8000), (40, 10))) == 8 * 10


def test_in_a_long_word_it_goes_back_to_the_faintest_dip() -> None:
    assert back_to_a_gap(sound((100, 8000), (20, 3000), (80, 8000))) == 8 * 100


def test_an_even_tone_is_not_repeated() -> None:
    assert back_to_a_gap(sound((400, 8000))) == 0


def test_nothing_heard_is_nothing_to_repeat() -> None:
    assert back_to_a_gap(b"") == back_to_a_gap(b"\x00" * 40) == 0


@given(st.binary(max_size=4000))
def test_it_never_goes_farther_back_than_allowed(heard: bytes) -> None:
    back = back_to_a_gap(heard)
    assert 0 <= back <= min(len(heard), 8 * LONGEST_MS)
