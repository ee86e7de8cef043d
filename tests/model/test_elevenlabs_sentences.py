"""Whole sentences out of pieces of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.elevenlabs_sentences import LONGEST, Sentences


def cut(text: str, language: str = "en-US", step: int = 1) -> list[str]:
    sentences = Sentences(language)
    found = [one for at in range(0, len(text), step) for one in sentences.write(text[at : at + step])]
    return [*found, *filter(None, [sentences.rest()])]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hello. How are you? Fine!", ["Hello.", "How are you?", "Fine!"]),
        ("It is $3.50 at 9.30. Yes.", ["It is $3.50 at 9.30.", "Yes."]),
        ("Dr. Lee and Mrs. J. Fox are in. Good.", ["Dr. Lee and Mrs. J. Fox are in.", "Good."]),
        ("Come at 5 p.m. on Monday. Or at 6 p.m. Fine?", ["Come at 5 p.m. on Monday.", "Or at 6 p.m.", "Fine?"]),
        ("We are at No. 5. No. Not there.", ["We are at No. 5.", "No.", "Not there."]),
        ("It was I. Then we left.", ["It was I.", "Then we left."]),
        ("1. Brush. 2. Floss.", ["1. Brush.", "2. Floss."]),
        ("He said “yes.” She left.", ["He said “yes.”", "She left."]),
        ("Well... all right. Bye", ["Well...", "all right.", "Bye"]),
        ("Write to a.b@example.com or see example.com. Done", ["Write to a.b@example.com or see example.com.", "Done"]),
        ("First line\nSecond line", ["First line", "Second line"]),
        ("你好。再见。", ["你好。", "再见。"]),
        ("   \n ", []),
    ],
)
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_sentence_is_found_where_it_ends(text: str, sentences: list[str], step: int) -> None:
    assert cut(text, step=step) == sentences


def test_an_ordinal_number_ends_no_sentence_where_it_is_written_with_a_point() -> None:
    text = "Am 3. Mai ist zu. Bis dann."
    assert cut(text, "de-DE") == ["Am 3. Mai ist zu.", "Bis dann."]


def test_a_sentence_is_told_as_soon_as_it_is_certain() -> None:
    sentences = Sentences()
    assert sentences.write("Hello there.") == []
    assert sentences.write(" I") == ["Hello there."]
    assert sentences.pending == "I"


def test_what_never_ends_is_cut_at_a_word() -> None:
    pieces = cut("word " * 150)
    assert all(len(piece) <= LONGEST and piece.split() == ["word"] * len(piece.split()) for piece in pieces)
    assert sum(len(piece.split()) for piece in pieces) == 150


def test_what_has_no_words_is_cut_all_the_same() -> None:
    assert [len(piece) for piece in cut("x" * 700)] == [300, 300, 100]


@given(st.text('abI1. !?\n")—,…', max_size=400), st.integers(1, 50))
def test_nothing_is_lost_and_nothing_depends_on_the_pieces(text: str, step: int) -> None:
    assert "".join("".join(cut(text, step=step)).split()) == "".join(text.split())
    if len(text) < LONGEST:
        assert cut(text, step=step) == cut(text)
