"""Which words were heard, from how much of the sound was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.call.heard import MS_PER_LETTER, Pace, letters, word_ends, words_heard


def test_long_words_take_longer_than_short_ones() -> None:
    assert word_ends(["a", "whitening", "is"]) == [1, 10, 12]


def test_a_figure_is_read_out() -> None:
    assert letters("at 12") > letters("at twelve") - 1


def test_a_pause_belongs_to_no_word() -> None:
    assert letters("Yes.") == letters("Yes") == 3
    assert word_ends(["Yes.", "Of", "course,", "sir"]) == [3, 17, 23, 31]
    assert words_heard("Yes. Of course.", 16.9) == "Yes."


def test_a_word_counts_once_it_was_heard_to_its_end() -> None:
    assert words_heard("Parking is free", 8.9) == "Parking"
    assert words_heard("Parking is free", 9.0) == "Parking is"


def test_a_pace_is_learnt_from_what_was_heard_whole() -> None:
    pace = Pace()
    assert pace.ms_per_letter == MS_PER_LETTER
    pace.learn("Parking is free", 13 * 80.0)
    pace.learn("", 500.0)
    assert pace.ms_per_letter == pytest.approx(80.0)


def test_text_that_runs_ahead_of_its_sound_says_nothing_of_the_pace() -> None:
    assert Pace().in_step("all of a long answer " * 10, 400.0) == MS_PER_LETTER


def test_text_in_step_with_its_sound_tells_the_pace() -> None:
    assert Pace().in_step("Parking is free", 13 * 75.0) == pytest.approx(75.0)


def test_sound_without_its_text_is_at_most_a_slow_voice() -> None:
    assert Pace().in_step("Parking", 9000.0) == pytest.approx(1.5 * MS_PER_LETTER)


@given(st.text("ab1,. ", max_size=60), st.floats(0, 200))
def test_what_was_heard_is_a_beginning_in_whole_words(text: str, heard: float) -> None:
    words = text.split()
    found = words_heard(text, heard).split()
    assert found == words[: len(found)]
    assert words_heard(text, letters(text)).split() == words
