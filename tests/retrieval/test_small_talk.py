import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.retrieval.small_talk import is_small_talk


@pytest.mark.parametrize(
    "text",
    [
        "okay",
        "Okay.",
        "Thank you!",
        "Hello?",
        "hi there, good morning",
        "yes please",
        "no thanks",
        "Mm-hmm.",
        "uh-huh",
        "Okay, great, thank you so much, bye!",
        "that's all, thank you",
        "That\u2019s all for now",
        "um, yeah",
        "you too, bye bye",
        "How are you?",
        "I see.",
        "OK OK OK",
    ],
)
def test_courtesies_and_fillers_are_small_talk(text: str) -> None:
    assert is_small_talk(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "...",
        "hello, are you open?",
        "okay and what does that cost",
        "thank you, one more question",
        "parking",
        "tomorrow",
        "ten thirty",
        "yes, the whitening",
        "no parking?",
        "I'm in pain",
        "what time",
        "fine, Monday then",
        "help",
    ],
)
def test_anything_that_may_ask_for_something_is_not(text: str) -> None:
    assert not is_small_talk(text)


@given(st.text(max_size=200))
def test_no_text_breaks_it_and_case_or_punctuation_never_decides(text: str) -> None:
    assert is_small_talk(text) == is_small_talk(f"  {text}, ")


def test_a_very_long_courtesy_is_judged_quickly() -> None:
    assert is_small_talk("thank you " * 5000)
    assert not is_small_talk("thank you " * 5000 + "parking")
