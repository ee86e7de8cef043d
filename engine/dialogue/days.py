"""Days and times as a caller says them -> as the tools take them. PURE: there is no clock here, so no day is counted.

``tomorrow``, ``tuesday``, ``march 3`` and dates in full can be passed on; "the day after tomorrow" cannot, and is
asked about again. A bare hour becomes morning or afternoon by the hours in which the business is open.
"""

import re
from datetime import date, time

from engine.dialogue.spoken import spoken_clock
from engine.dialogue.words import counted, likely, plain, word_set
from engine.tenants.hours import DAYS, Week

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ORDINALS = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
    "eleventh": 11,
    "twelfth": 12,
    "thirteenth": 13,
    "fourteenth": 14,
    "fifteenth": 15,
    "sixteenth": 16,
    "seventeenth": 17,
    "eighteenth": 18,
    "nineteenth": 19,
    "twentieth": 20,
    "thirtieth": 30,
}
_SHORT_DAYS = {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4}
_NTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_SLASHED = re.compile(r"\b(\d{1,2})/(\d{1,2})(?:/\d{2,4})?\b")
_UNCOUNTABLE = re.compile(r"\b(?:day after tomorrow|from now|after next|weekend)\b")
_SOONEST = re.compile(
    r"\b(?:as soon as (?:possible|you can)|asap|soonest|earliest|(?:first|next) (?:available|free|opening|one)|"
    r"any ?day|whenever|right away|doesn't matter)\b"
)
_DIGITAL = re.compile(r"(\d{1,2}):(\d{2})")
_GLUED = re.compile(r"(\d{1,2})(?::(\d{2}))?([ap])m")
_MORNING, _LATER = ("morning", "am"), ("afternoon", "evening", "night", "tonight", "pm")
_COUNTED_AFTER = word_set("of people persons guests kids children adults dollars minutes hours days weeks more")
_BEFORE_A_TIME = ("at", "around", "about", "by", "say", "maybe", "it", "like", "is", "or", "past", "until", "before")


def find_day(text: str) -> str | None:
    """The last day named, as the tools read it (``today``, ``tuesday``, ``march 3``, ``2026-03-03``); or None.

    The last one, since who corrects himself does it at the end; but a denied one ("not Monday") does not count.
    """
    if match := _ISO.search(text):
        return match[0]
    words = _joined_ordinals(plain(text))
    if cannot_be_counted(text):
        return None
    if match := _SLASHED.search(text):
        return _month_day(int(match[1]) - 1, int(match[2]))
    found = None
    for place, word in enumerate(words):
        day = _day_at(words, place, word)
        if day and not (place and words[place - 1] in ("not", "except", "isn't")):
            found = day
    return found


def cannot_be_counted(text: str) -> bool:
    """Whether a day was named in a way that takes a calendar: ``the day after tomorrow``."""
    return bool(_UNCOUNTABLE.search(" ".join(plain(text))))


def is_soonest(text: str) -> bool:
    """Whether any day will do, the sooner the better."""
    return bool(_SOONEST.search(" ".join(plain(text))))


def _day_at(words: list[str], place: int, word: str) -> str | None:
    if word in ("today", "tonight", "tomorrow"):
        return "today" if word == "tonight" else word
    bare = word.removesuffix("'s")
    if bare in _SHORT_DAYS:
        return DAYS[_SHORT_DAYS[bare]]
    if day := likely(bare, DAYS) or (likely(bare.removesuffix("s"), DAYS) if bare.endswith("s") else None):
        return day
    if bare not in MONTHS and not (len(bare) == 3 and any(month.startswith(bare) for month in MONTHS)):
        return None
    month = next(index for index, name in enumerate(MONTHS) if name.startswith(bare))
    after = _number(words[place + 1]) if place + 1 < len(words) else None
    if after is not None:
        return _month_day(month, after)
    before = [each for each in words[max(0, place - 2) : place] if each not in ("of", "the")]
    number = _number(before[-1]) if before else None
    return None if number is None else _month_day(month, number)


def _number(word: str) -> int | None:
    match = _NTH.fullmatch(word)
    return int(match[1]) if match else None


def _month_day(month: int, day: int) -> str | None:
    if not 0 <= month < 12 or not 1 <= day <= _LENGTHS[month]:
        return None
    return f"{MONTHS[month]} {day}"


def _joined_ordinals(words: list[str]) -> list[str]:
    """``the twenty first`` becomes ``the 21``."""
    found: list[str] = []
    for word in counted(words):
        nth = _ORDINALS.get(word)
        if nth is None:
            found.append(word)
        elif nth < 10 and found and found[-1] in ("20", "30"):
            found[-1] = str(int(found[-1]) + nth)
        else:
            found.append(str(nth))
    return found


def spoken_day(day: str) -> str:
    """As one says it after "that's": ``tomorrow``, ``on Tuesday``, ``on March 3``."""
    if day in ("today", "tomorrow"):
        return day
    try:
        known = date.fromisoformat(day)
    except ValueError:
        return f"on {day[:1].upper()}{day[1:]}"
    return f"on {DAYS[known.weekday()].capitalize()}, {MONTHS[known.month - 1].capitalize()} {known.day}"


def find_time(text: str, *, asked: bool, week: Week = (), day: str | None = None) -> str | None:
    """The last time named, as ``14:30``; or None.

    Args:
        asked: the caller was asked for a time, so that a bare ``seven`` is one.
        week: the business's hours, for what "half past two" means; empty where they are not known.
        day: what ``find_day`` gave, where the day is known already.
    """
    words = counted(plain(text))
    found = None
    for place in range(len(words)):
        if (moment := _clock_at(words, place, asked=asked)) and not (place and words[place - 1] == "not"):
            found = _in_day(moment, words, week, day)
    return found


def _clock_at(words: list[str], place: int, *, asked: bool) -> tuple[int, int, str] | None:
    """Hour, minute, and what says which half of the day it is ("am", "pm", or nothing), at this word."""
    word, rest = words[place], words[place + 1 : place + 4]
    if word == "noon" or word == "midday":
        return 12, 0, "pm"
    if match := _GLUED.fullmatch(word):
        return _valid(int(match[1]), int(match[2] or 0), f"{match[3]}m")
    if match := _DIGITAL.fullmatch(word):
        return _valid(int(match[1]), int(match[2]), _half(rest))
    if word in ("half", "quarter") or (word.isdecimal() and rest[:1] in (["past"], ["to"], ["after"])):
        return _relative(word, rest)
    if not word.isdecimal() or len(word) > 2 or (place and words[place - 1] in ("past", "after", "to")):
        return None
    if rest[:1] and rest[0] in ("15", "30", "45") and not (place and words[place - 1].isdecimal()):
        return _valid(int(word), int(rest[0]), _half(rest[1:]))
    plain_time = rest[:1] and rest[0] in ("am", "pm", "o'clock", "oclock", "sharp")
    # "A table for two tonight" is no time, and "for two o'clock" is one.
    sure = bool(plain_time) or (_half(rest) != "" and not (place and words[place - 1] == "for"))
    if sure or (place and words[place - 1] in ("at", "around")) or (asked and _may_be_bare(words, place)):
        return _valid(int(word), 0, _half(rest))
    return None


def _may_be_bare(words: list[str], place: int) -> bool:
    """Whether the number may be an hour: no other word makes something else of it (``two people``, ``one of us``)."""
    after = words[place + 1] if place + 1 < len(words) else ""
    before = words[place - 1] if place else ""
    if before.isdecimal() or after.isdecimal() or before in MONTHS or before == "for" or after in _COUNTED_AFTER:
        return False
    return place == 0 or len(words) <= 4 or before in _BEFORE_A_TIME


def _relative(word: str, rest: list[str]) -> tuple[int, int, str] | None:
    """``half past 2``, ``quarter to 5``, ``10 past 3``."""
    minutes = {"half": 30, "quarter": 15}.get(word) or (int(word) if word.isdecimal() else 0)
    if rest[:1] == ["an"] or len(rest) < 2 or not rest[1].isdecimal() or not 0 < minutes < 60:
        return None
    hour = int(rest[1])
    if rest[0] in ("past", "after"):
        return _valid(hour, minutes, _half(rest[2:]))
    if rest[0] in ("to", "before", "of") and word != "half":
        return _valid(hour - 1 or 12, 60 - minutes, _half(rest[2:]))
    return None


def _half(rest: list[str]) -> str:
    for word in rest[:3]:
        if word in _MORNING:
            return "am"
        if word in _LATER:
            return "pm"
        if word not in ("o'clock", "oclock", "in", "at", "the", "sharp"):
            break
    return ""


def _valid(hour: int, minute: int, half: str) -> tuple[int, int, str] | None:
    return (hour, minute, half) if 0 <= hour < 24 and 0 <= minute < 60 and (hour, minute) != (0, 0) else None


def _in_day(moment: tuple[int, int, str], words: list[str], week: Week, day: str | None) -> str:
    hour, minute, half = moment
    if not half and any(word in ("morning", "afternoon", "evening", "tonight") for word in words):
        half = "am" if "morning" in words else "pm"
    if 1 <= hour <= 12:
        halves = {"am": [hour % 12], "pm": [hour % 12 + 12]}.get(half, [hour % 12, hour % 12 + 12])
        hour = halves[0] if len(halves) == 1 else _within_hours(halves, minute, week, day)
    return f"{hour:02}:{minute:02}"


def _within_hours(halves: list[int], minute: int, week: Week, day: str | None) -> int:
    days = [week[DAYS.index(day)]] if week and day in DAYS else list(week)
    fitting = [
        hour
        for hour in halves
        if any(opens <= time(hour, minute) < closes for periods in days for opens, closes in periods)
    ]
    if len(fitting) == 1:
        return fitting[0]
    return halves[1] if halves[0] < 7 else halves[0]


def spoken_at(at: str) -> str:
    """``14:30`` as one says it: ``at 2:30 p.m.``; text that is no such time is said as it is."""
    match = _DIGITAL.fullmatch(at)
    return f"at {spoken_clock(int(match[1]), int(match[2])) if match else at}"
