import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialogue.spoken import LONGEST_SAID, bounded, sayable, sentences, shortened, spoken_number


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("$145", "145 dollars"),
        ("$1", "1 dollar"),
        ("$1.50 & 10%", "1 dollar and 50 cents and 10 percent"),
        ("$1,150, or less", "1,150 dollars, or less"),
        ("call 415-555-2671", "call 4 1 5, 5 5 5, 2 6 7 1"),
        ("+15550100123", "5 5 5, 0 1 0, 0 1 2 3"),
        ("open 8am-5pm", "open 8 a.m. to 5 p.m."),
        ("open 08:00-17:30", "open 8 a.m. to 5:30 p.m."),
        ("at 14:30", "at 2:30 p.m."),
        ("https://www.foo-bar.com/menu", "foo dash bar dot com slash menu"),
        ("a.b@c.com", "a dot b at c dot com"),
        ("9\u201316 dollars", "9 to 16 dollars"),
        ("**Bold** [text](http://x.org)", "Bold text"),
        ("- an entry", "an entry"),
        ("Dr. Smith, e.g. tea/coffee", "Doctor Smith, for example tea or coffee"),
        ("24/7", "around the clock"),
        ("68°F", "68 degrees Fahrenheit"),
        ("A check-up costs 145 dollars.", "A check-up costs 145 dollars."),
    ],
)
def test_signs_become_words(written: str, spoken: str) -> None:
    assert sayable(written) == spoken


def test_an_abbreviation_ends_no_sentence() -> None:
    assert sentences("Dr. Lee is in. Come at 8 a.m. We are open.") == [
        "Dr. Lee is in.",
        "Come at 8 a.m.",
        "We are open.",
    ]


def test_a_line_of_a_list_is_a_sentence() -> None:
    assert sentences("Cleaning: 145 dollars\nCrown: 1,150 dollars") == [
        "Cleaning: 145 dollars.",
        "Crown: 1,150 dollars.",
    ]


def test_a_long_sentence_is_cut_at_a_clause() -> None:
    assert shortened("We paint all doors and windows, in every color that you may think of.", 40) == (
        "We paint all doors and windows."
    )


def test_a_sentence_is_never_cut_before_what_limits_it() -> None:
    assert shortened("We take every kind of card, but no checks and no cash after six in the evening.", 60) is None
    assert shortened("If you come late and have not called us, we give the table away.", 45) is None


def test_a_number_is_said_in_groups() -> None:
    assert spoken_number("+15550100199") == "5 5 5, 0 1 0, 0 1 9 9"


@given(st.text(max_size=600))
def test_whatever_was_written_is_bounded_and_without_markup(text: str) -> None:
    said = bounded(sayable(text))
    assert len(said) <= LONGEST_SAID
    assert not set(said) & set("*_#`<>[]{}|\n\0")
