"""What is too much, and what is not: by text and bytes alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.runaway import LONGEST_RESPONSE_S, MOST_CALLS, MOST_REPEATS, Bounds

SECOND = bytes(8000)


def too_much(deltas: list[str]) -> list[str]:
    bounds = Bounds()
    return [why for delta in deltas if (why := bounds.text(delta)) is not None]


def test_a_minute_of_sound_is_enough() -> None:
    bounds = Bounds()
    assert not any(bounds.sound(SECOND) for _ in range(int(LONGEST_RESPONSE_S)))
    assert bounds.sound(b"x") is not None


def test_what_is_asked_anew_is_counted_anew() -> None:
    bounds = Bounds()
    for _ in range(5):
        bounds.asked()
        assert not any(bounds.sound(SECOND) for _ in range(int(LONGEST_RESPONSE_S)))
        assert not any(bounds.text(" We are open from nine.") for _ in range(MOST_REPEATS))
        assert not any(bounds.call() for _ in range(MOST_CALLS))
    assert bounds.call() is not None


@pytest.mark.parametrize("words", [["We are open", " from nine", " to five."], ["We are open from nine to five!\n"]])
def test_a_sentence_said_four_times_is_once_too_often(words: list[str]) -> None:
    assert too_much(words * MOST_REPEATS) == []
    assert len(too_much(words * (MOST_REPEATS + 1))) == 1


def test_it_is_the_same_sentence_whatever_its_case_and_commas() -> None:
    assert too_much(["We are open, today. ", "we are open today! ", "We are open today? ", "WE ARE OPEN: today. "])


def test_short_words_may_come_as_often_as_they_like() -> None:
    assert too_much(["Yes. ", "Hello? ", "5. "] * 50) == []


def test_a_sentence_that_has_not_ended_is_not_judged() -> None:
    assert too_much(["we are open and "] * 50) == []


@given(st.lists(st.text("ab .?!", min_size=1, max_size=30), max_size=30), st.integers(1, 9))
def test_how_the_text_is_cut_into_deltas_changes_nothing(sentences: list[str], size: int) -> None:
    text = ". ".join(sentences) + "."
    whole, cut = Bounds(), Bounds()
    once = whole.text(text)
    pieces = [cut.text(text[at : at + size]) for at in range(0, len(text), size)]
    assert (once is None) == all(piece is None for piece in pieces)
