import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialogue.contact import find_digits, find_mail, find_name, find_phone


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Robin Lee", "Robin Lee"),
        ("it's robin lee please", "Robin Lee"),
        ("uh yeah my name is Robin Lee and I need a cleaning", "Robin Lee"),
        ("this is Dr. Sam O'Neil calling", "Dr Sam O'Neil"),
        ("under Patel", "Patel"),
        ("R O B I N Lee", "Robin Lee"),
        ("what does it cost", None),
        ("Monday", None),
        ("I'm calling about my tooth", None),
        ("yes", None),
        ("the time", None),
        ("okay seven thirty", None),
        ("what's the wifi password", None),
        ("it's 12 Oak Street and the faucet drips", None),
    ],
)
def test_a_name_is_found_where_it_was_asked_for(text: str, name: str | None) -> None:
    assert find_name(text, asked=True) == name


def test_a_name_that_nobody_asked_for_must_be_called_one() -> None:
    assert find_name("my name is robin lee", asked=False) == "Robin Lee"
    assert find_name("robin lee", asked=False) is None
    assert find_name("can somebody call me back", asked=False) is None


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("four one five, five five five, double two six seven", "4155552267"),
        ("it's 415-555-2671", "4155552671"),
        ("five five five oh one hundred", "5550100"),
        ("five fifty five twenty two sixty one", "5552261"),
        ("+1 555 010 0199", "+15550100199"),
        ("no idea", ""),
    ],
)
def test_digits_are_found_in_words_and_in_groups(text: str, digits: str) -> None:
    assert find_digits(text) == digits


def test_a_number_is_one_only_with_its_area_code() -> None:
    assert find_phone("4155552671") == "+14155552671"
    assert find_phone("5552671") is None
    assert find_phone("1" * 16) is None


def test_a_spoken_address_becomes_a_written_one() -> None:
    assert find_mail("robin dot lee at example dot com") == "robin.lee@example.com"
    assert find_mail("I'm at work") is None


@given(st.text(max_size=80))
def test_nothing_that_is_said_breaks_the_reading(text: str) -> None:
    assert find_phone(find_digits(text)) is None or find_digits(text)
    name = find_name(text, asked=True)
    assert name is None or len(name.split()) <= 4
