from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialogue.days import cannot_be_counted, find_day, find_time, spoken_at, spoken_day
from engine.tenants import examples
from engine.tenants.hours import read_week
from engine.tools.dates import read_day, read_time

DENTIST = read_week(examples.load("harbor-dental").hours)
RESTAURANT = read_week(examples.load("olive-and-ember").hours)
TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("tuesday", "tuesday"),
        ("next Tuesday, please", "tuesday"),
        ("do you have anything tomorrow afternoon", "tomorrow"),
        ("wensday at ten", "wednesday"),
        ("tonight for four", "today"),
        ("the third of march", "march 3"),
        ("March 21st", "march 21"),
        ("march twenty first", "march 21"),
        ("dec 24", "december 24"),
        ("12/24", "december 24"),
        ("2026-12-24", "2026-12-24"),
        ("no, not Monday, Tuesday", "tuesday"),
        ("Tuesday, not Monday", "tuesday"),
        ("on mondays", "monday"),
        ("may I come in", None),
        ("the day after tomorrow", None),
        ("this weekend", None),
        ("february 31", None),
        ("whenever you like", None),
    ],
)
def test_a_day_is_found_as_the_tools_take_it(text: str, day: str | None) -> None:
    assert find_day(text) == day


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("half past two", "14:30"),
        ("ten in the morning", "10:00"),
        ("quarter to five", "16:45"),
        ("ten past three", "15:10"),
        ("two thirty", "14:30"),
        ("2.30", "14:30"),
        ("2:30 p.m.", "14:30"),
        ("14:30", "14:30"),
        ("nine a.m.", "09:00"),
        ("noon", "12:00"),
        ("seven", "07:00"),
        ("make it three", "15:00"),
        ("not ten but eleven o'clock", "11:00"),
        ("three in the afternoon", "15:00"),
        ("four people", None),
        ("two of us", None),
        ("a table for two tonight", None),
        ("a table for two o'clock", "14:00"),
        ("I don't know", None),
        ("25:00", None),
        ("\u00b2", None),  # a digit, by its own name, that makes no number
        ("\u1369 pm", None),
    ],
)
def test_a_time_is_found_as_the_tools_take_it(text: str, at: str | None) -> None:
    assert find_time(text, asked=True, week=DENTIST) == at


def test_a_bare_number_is_a_time_only_where_one_was_asked_for() -> None:
    assert find_time("seven", asked=True, week=RESTAURANT) == "19:00"
    assert find_time("seven", asked=False, week=RESTAURANT) is None


def test_the_hours_say_which_half_of_the_day_is_meant() -> None:
    assert find_time("at seven", asked=False, week=RESTAURANT) == "19:00"
    assert find_time("at eight", asked=False, week=DENTIST) == "08:00"
    assert find_time("at two", asked=False) == "14:00"


def test_the_hours_of_that_very_day_count() -> None:
    # Brunch is on weekends only, so half past twelve on a Saturday is by day.
    assert find_time("half past twelve", asked=True, week=RESTAURANT, day="saturday") == "12:30"


def test_a_party_of_four_at_seven_comes_at_seven() -> None:
    assert find_time("a table for four at seven", asked=True, week=RESTAURANT) == "19:00"


def test_what_takes_a_calendar_is_said_to_be_so() -> None:
    assert cannot_be_counted("the day after tomorrow")
    assert not cannot_be_counted("tomorrow")


@given(st.text(max_size=60))
def test_every_day_found_is_one_that_the_tools_can_read(text: str) -> None:
    day = find_day(text)
    assert day is None or day.startswith(("20", "19")) or read_day(day, TODAY) is not None or day == "february 29"


@given(st.text(alphabet="0123456789:. apm", max_size=12), st.booleans())
def test_every_time_found_is_one_that_the_tools_can_read(text: str, asked: bool) -> None:
    at = find_time(text, asked=asked, week=DENTIST)
    assert at is None or read_time(at) is not None


def test_days_and_times_are_said_as_one_says_them() -> None:
    assert spoken_day("tomorrow") == "tomorrow"
    assert spoken_day("march 3") == "on March 3"
    assert spoken_day("2026-11-24") == "on Tuesday, November 24"
    assert spoken_at("14:30") == "at 2:30 p.m."
    assert spoken_at("12:00") == "at noon"
