"""Opening hours: from the tenant document's words to times, and back to words that can be spoken. PURE.

A tenant writes ``monday: "08:00-12:00, 13:00-17:00"`` or ``sunday: closed``; a day that is not named is closed. Times
are the business's own local time.
"""

import re
from collections.abc import Mapping
from datetime import date, time
from typing import TypeAlias

from engine.errors import ConfigurationError

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PERIOD = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")

Period: TypeAlias = tuple[time, time]
Week: TypeAlias = tuple[tuple[Period, ...], ...]
"""Seven days, Monday first; each its periods in order, empty where closed."""


def read_week(hours: Mapping[str, str]) -> Week:
    """The document's ``hours``.

    Raises:
        ConfigurationError: a day or a time that cannot be read; says which, and how it is written.
    """
    week: list[tuple[Period, ...]] = [()] * 7
    for name, said in hours.items():
        day = name.strip().lower()
        if day not in DAYS:
            raise ConfigurationError(f"hours.{name}: no such day; write one of {', '.join(DAYS)}")
        week[DAYS.index(day)] = _periods(name, said)
    return tuple(week)


def periods_on(week: Week, day: date) -> tuple[Period, ...]:
    """When the business is open on that day."""
    return week[day.weekday()]


def _periods(name: str, said: str) -> tuple[Period, ...]:
    if said.strip().lower() == "closed":
        return ()
    found: list[Period] = []
    for part in said.split(","):
        match = _PERIOD.fullmatch(part.strip())
        try:
            if match is None:
                raise ValueError("not a period")
            h1, m1, h2, m2 = (int(group) for group in match.groups())
            opens, closes = time(h1, m1), time(h2, m2)
        except ValueError:
            cure = 'write it as "08:00-12:00, 13:00-17:00" (24 hours, in quotes) or "closed"'
            raise ConfigurationError(f"hours.{name}: cannot read {said!r}; {cure}") from None
        if opens >= closes or (found and opens < found[-1][1]):
            raise ConfigurationError(f"hours.{name}: {said!r} runs backwards; write periods in order, each forwards")
        found.append((opens, closes))
    return tuple(found)


def spoken_time(at: time) -> str:
    """As one says it: ``8 a.m.``, ``12:30 p.m.``, ``noon``."""
    if at == time(12):
        return "noon"
    hour = at.hour % 12 or 12
    minutes = f":{at.minute:02}" if at.minute else ""
    return f"{hour}{minutes} {'a.m.' if at.hour < 12 else 'p.m.'}"


def spoken_periods(periods: tuple[Period, ...]) -> str:
    """As one says it: ``from 8 a.m. to noon and from 1 p.m. to 5 p.m.``, or ``closed``."""
    if not periods:
        return "closed"
    return " and ".join(f"from {spoken_time(opens)} to {spoken_time(closes)}" for opens, closes in periods)


def spoken_week(week: Week) -> str:
    """The whole week, equal neighbours together: ``Monday to Thursday from 8 a.m. to 5 p.m.; Friday ...``."""
    groups: list[tuple[int, int]] = []
    for day in range(7):
        if groups and week[groups[-1][0]] == week[day]:
            groups[-1] = (groups[-1][0], day)
        else:
            groups.append((day, day))
    return "; ".join(f"{_days(first, last)} {spoken_periods(week[first])}" for first, last in groups)


def _days(first: int, last: int) -> str:
    start, end = DAYS[first].capitalize(), DAYS[last].capitalize()
    if first == last:
        return start
    return f"{start} {'and' if last == first + 1 else 'to'} {end}"
