"""Days and times as a model or a caller says them, and how we say them back. PURE; today is an argument."""

import re
from datetime import date, time, timedelta

from engine.tenants.hours import DAYS

_TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*(am|pm|a\.m\.?|p\.m\.?)?", re.IGNORECASE)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH_DAY = re.compile(r"([a-z]+)\s+(\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(\d{4}))?")
HOW_TO_SAY_A_DAY = 'Give the day as YYYY-MM-DD, or as "today", "tomorrow" or a weekday.'
HOW_TO_SAY_A_TIME = 'Give the time like "14:30" or "2:30 pm".'


def read_day(text: str, today: date) -> date | None:
    """The day meant, or None where it cannot be told. A weekday is the next one after today."""
    said = " ".join(text.casefold().replace(",", " ").split())
    if said == "today":
        return today
    if said == "tomorrow":
        return today + timedelta(days=1)
    name = said.removeprefix("next ").removeprefix("this ").removeprefix("on ")
    if name in DAYS:
        return today + timedelta(days=(DAYS.index(name) - today.weekday() - 1) % 7 + 1)
    try:
        if match := _MONTH_DAY.fullmatch(name):
            return _month_day(match, today)
        return date.fromisoformat(said)
    except ValueError:
        return None


def _month_day(match: re.Match[str], today: date) -> date | None:
    month = next((n for n, name in enumerate(_MONTHS, start=1) if name.startswith(match[1]) and len(match[1]) > 2), 0)
    if not month:
        return None
    if match[3]:
        return date(int(match[3]), month, int(match[2]))
    this_year = date(today.year, month, int(match[2]))
    return this_year if this_year >= today else this_year.replace(year=today.year + 1)


def read_time(text: str) -> time | None:
    """The time meant, to the minute, or None where it cannot be told. A bare ``9`` is not enough."""
    match = _TIME.fullmatch(text.strip())
    if match is None or (match[2] is None and match[3] is None):
        return None
    hour, minute = int(match[1]), int(match[2] or 0)
    if match[3]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[3].casefold().startswith("p") else 0)
    try:
        return time(hour, minute)
    except ValueError:
        return None


def spoken_day(day: date) -> str:
    """As one says it: ``Monday, March 3``."""
    return f"{DAYS[day.weekday()].capitalize()}, {_MONTHS[day.month - 1].capitalize()} {day.day}"
