import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.retrieval.words import plain, stem, terms, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("crowns", "crown"),
        ("parking", "parked"),
        ("whitening", "whiten"),
        ("policies", "policy"),
        ("prices", "price"),
        ("located", "location"),
        ("cancelled", "cancelling"),
        ("stopping", "stop"),
        ("filling", "fillings"),
        ("children", "children"),
        ("x-rays", "X-ray"),
        ("insured", "insures"),
    ],
)
def test_forms_of_one_word_meet(one: str, other: str) -> None:
    assert terms(one) == terms(other) != []


@pytest.mark.parametrize(
    "word", ["gas", "bus", "this", "ring", "red", "30", "ppo", "m\u00fcller", "string", "yes", "dress"]
)
def test_words_that_only_look_like_forms_are_left_alone(word: str) -> None:
    assert stem(word) == word


def test_apostrophes_of_both_kinds_are_cut_off() -> None:
    assert words("What's the dentist\u2019s name? I don't know.") == [
        "what",
        "the",
        "dentist",
        "name",
        "i",
        "don",
        "know",
    ]


def test_texts_that_materially_say_the_same_are_plainly_equal() -> None:
    assert plain("Do you have  parking?") == plain("do you have Parking") == "do you have parking"
    assert plain("do you have parking") != plain("do you have parking for bikes")


@given(st.text(max_size=100))
def test_any_text_has_words_and_stems(text: str) -> None:
    assert all(terms(text))
    assert plain(plain(text)) == plain(text)
