from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigurationError
from engine.tenants.hours import DAYS, periods_on, read_week, spoken_periods, spoken_time, spoken_week


def test_a_week_is_read_with_its_breaks_and_closed_days() -> None:
    week = read_week({"Monday": "8:00-12:00, 13:00-17:30", "sunday": "closed"})
    assert periods_on(week, date(2026, 11, 2)) == ((time(8), time(12)), (time(13), time(17, 30)))
    assert periods_on(week, date(2026, 11, 1)) == ()
    assert periods_on(week, date(2026, 11, 3)) == ()  # not named: closed


@pytest.mark.parametrize(
    "said",
    [
        "",
        "9 to 5",
        "08:00",
        "08:00-25:00",
        "17:00-08:00",
        "08:00-08:00",
        "13:00-17:00, 08:00-12:00",
        "8:00-12:00,11:00-13:00",
    ],
)
def test_hours_that_cannot_be_read_say_which_and_how(said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"hours\.friday: .*write"):
        read_week({"friday": said})


def test_a_day_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"hours\.mon-fri: no such day"):
        read_week({"mon-fri": "08:00-17:00"})


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (time(0), "12 a.m."),
        (time(8), "8 a.m."),
        (time(12), "noon"),
        (time(12, 5), "12:05 p.m."),
        (time(17, 30), "5:30 p.m."),
    ],
)
def test_times_are_said_as_people_say_them(at: time, said: str) -> None:
    assert spoken_time(at) == said


def test_equal_days_in_a_row_are_said_together() -> None:
    hours = dict.fromkeys(DAYS[:3], "09:00-17:00") | {"thursday": "09:00-12:00", "friday": "09:00-12:00"}
    assert spoken_week(read_week(hours)) == (
        "Monday to Wednesday from 9 a.m. to 5 p.m.; Thursday and Friday from 9 a.m. to noon; Saturday and Sunday closed"
    )


@given(st.lists(st.times(), min_size=2, max_size=6, unique_by=lambda at: (at.hour, at.minute)))
def test_every_day_in_order_is_read_back_as_written(times: list[time]) -> None:
    marks = sorted(at.replace(second=0, microsecond=0, fold=0) for at in times)
    periods = list(zip(marks[::2], marks[1::2], strict=False))
    said = ", ".join(f"{opens:%H:%M}-{closes:%H:%M}" for opens, closes in periods)
    assert list(read_week({"monday": said})[0]) == periods
    assert spoken_periods(tuple(periods)).count("from") == len(periods)
