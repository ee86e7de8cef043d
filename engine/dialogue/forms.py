"""One wish on its way to a tool: what is known for it, what is still missing, what was read back. PURE."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from engine.dialogue.contact import find_digits
from engine.dialogue.phrases import listed, phrase
from engine.dialogue.purpose import message, purpose
from engine.dialogue.replies import asks_strongly, is_no, is_yes
from engine.dialogue.slots import Kind, Setting, Slot, read_slot, slots_of, spoken_value
from engine.dialogue.spoken import bounded, spoken_number
from engine.dialogue.words import plain, word_set
from engine.messages import Effect
from engine.tenants.hours import DAYS, Week
from engine.tenants.schema import violations
from engine.tenants.tenant import ToolSpec

_SUMMARY = 300  # characters, so that the question after it is never cut off
_HEARD_ENOUGH = 0.7  # of a read-back; a yes after less is a yes to something that was not heard
_CALLED = {
    Kind.DAY: word_set("day date"),
    Kind.TIME: word_set("time hour"),
    Kind.NAME: word_set("name"),
    Kind.PHONE: word_set("number phone"),
    Kind.TEXT: word_set("reason"),
}
_CORRECTS = re.compile(r" (?:no|actually|make it|make that|rather|instead|change|sorry|not|wait) ")


@dataclass(eq=False, slots=True)
class Form:
    """A tool that the caller wants used, as far as it is filled in.

    Attributes:
        caller: their number; empty where withheld.
        asking: what was asked for last; None while nothing was, or while the whole stands to be confirmed.
        confirming: the whole was read back, and the next yes has it done.
        changing: the caller was asked what to change.
        misses: how often in a row nothing fitting came back.
        looked_up: the day for which free times were asked.
    """

    spec: ToolSpec
    week: Week = ()
    caller: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    asking: Slot | None = None
    confirming: bool = False
    changing: bool = False
    misses: int = 0
    looked_up: str | None = None
    heard: float = 1.0
    _digits: str = ""
    _asked: set[str] = field(default_factory=set)
    _declined: set[str] = field(default_factory=set)
    _number_offered: bool = False
    _slots: tuple[Slot, ...] = ()

    def __post_init__(self) -> None:
        self._slots = slots_of(self.spec)

    @property
    def writes(self) -> bool:
        """Whether it must be confirmed."""
        return self.spec.effect is Effect.WRITES

    @property
    def possible(self) -> bool:
        """Whether all that it needs can be said on the telephone."""
        return not any(slot.required and slot.kind is Kind.UNKNOWN for slot in self._slots)

    @property
    def dated(self) -> bool:
        """Whether it is for a day."""
        return any(slot.required and slot.kind is Kind.DAY for slot in self._slots)

    def slot(self, kind: Kind) -> Slot | None:
        """The first one of this kind."""
        return next((slot for slot in self._slots if slot.kind is kind), None)

    def value(self, kind: Kind) -> Any | None:
        """What is known of that."""
        slot = self.slot(kind)
        return None if slot is None else self.values.get(slot.name)

    def named(self, text: str) -> Slot | None:
        """The one thing that is named, though not what it should be: ``the time is wrong``."""
        words = set(plain(text))
        found = [slot for slot in self._slots if words & (_CALLED.get(slot.kind, frozenset()) | {*slot.label.split()})]
        return found[0] if len(found) == 1 else None

    def missing(self) -> Slot | None:
        """What to ask for next: all that is required; an appointment's purpose, once; a number where none is "
        "known."""
        for slot in self._slots:
            if slot.name in self.values:
                continue
            told = self.dated and slot.kind is Kind.TEXT
            unreachable = slot.kind is Kind.PHONE and not self.caller and self.writes
            if slot.required or ((told or unreachable) and slot.name not in self._declined):
                return slot
        return None

    def begin(self, text: str) -> None:
        """Take all that the wish itself tells: "book me a cleaning next Monday at ten, this is Robin Lee"."""
        setting = self._setting()
        for slot in self._slots:
            if (value := read_slot(slot, text, setting, asked=False)) is not None:
                self.values[slot.name] = value
            elif (
                slot.kind is Kind.TEXT
                and (said := purpose(text, self.spec.description) if self.dated else message(text))
                and slot.fits(said)
            ):
                self.values.setdefault(slot.name, said)

    def take(self, text: str) -> bool:
        """Take what an answer tells, the slot asked for first. False where it told nothing new."""
        before, digits = dict(self.values), self._digits
        asking, setting = self.asking, self._setting()
        if asking is not None and asking.kind is Kind.NAME and self._takes_back(text):
            asking = None
        if asking is not None and asking.kind is Kind.PHONE:
            self._take_phone(asking, text)
        elif asking is not None and (value := read_slot(asking, text, setting, asked=True)) is not None:
            self.values[asking.name] = value
        for slot in self._slots:
            if slot is asking or not self._may_overwrite(slot, text):
                continue
            bare = asking is None and slot.kind in (Kind.TIME, Kind.PHONE, Kind.COUNT)
            if (value := read_slot(slot, text, setting, asked=bare)) is not None:
                self.values[slot.name] = value
        if asking is None and self.values == before and not is_yes(text):
            self._take_name(text)
        skipped = asking is not None and not asking.required and asking.name not in self.values and _declines(text)
        if skipped and asking is not None:
            self.decline(asking)
        changed = self.values != before or skipped or self._digits != digits
        self.misses = 0 if changed else self.misses
        return changed

    def decline(self, slot: Slot) -> None:
        """It is not asked for again, since it can be done without."""
        self._declined.add(slot.name)

    def _takes_back(self, text: str) -> bool:
        """``no, make it three``, said where a name was asked for."""
        corrects = bool(_CORRECTS.search(f" {' '.join(plain(text))} "))
        kinds = (slot for slot in self._slots if slot.kind in (Kind.DAY, Kind.TIME))
        return corrects and any(read_slot(slot, text, self._setting(), asked=True) is not None for slot in kinds)

    def _take_name(self, text: str) -> None:
        """``no, Robin Lee``, where nothing else was corrected."""
        slot = self.slot(Kind.NAME)
        if slot is None or (self.confirming and not is_no(text)):
            return
        if (value := read_slot(slot, text, self._setting(), asked=True)) is not None:
            self.values[slot.name] = value

    def _may_overwrite(self, slot: Slot, text: str) -> bool:
        if self.asking is not None and self.asking.kind is Kind.TEXT:
            # "It has hurt since Monday" moves no appointment; a name or a number is welcome at any time.
            return slot.kind in (Kind.NAME, Kind.PHONE, Kind.FLAG)
        return slot.kind is not Kind.TEXT and not (
            slot.kind is Kind.COUNT and slot.name in self.values and not is_no(text)
        )

    def _take_phone(self, slot: Slot, text: str) -> None:
        if self._number_offered and not find_digits(text):
            if is_yes(text) and slot.fits(self.caller):
                self.values[slot.name] = self.caller
            return
        if (value := read_slot(slot, text, self._setting(), asked=True)) is not None:
            self.values[slot.name], self._digits = value, ""
        elif digits := find_digits(text):
            # Endpointing may cut a number in the middle: groups are put together, and a new start begins anew.
            joined = self._digits + digits
            self._digits = joined if len(joined) <= 15 else digits

    def _setting(self) -> Setting:
        return Setting(self.week, _weekday(self.value(Kind.DAY)), self._digits)

    def ask(self, slot: Slot, count: int) -> str:
        """Ask for this; the next answer is taken for it."""
        first_time = slot.name not in self._asked
        self.asking, self.confirming, self.changing = slot, False, False
        self._asked.add(slot.name)
        match slot.kind:
            case Kind.DAY:
                return phrase("ask_day" if first_time else "ask_day_again", count)
            case Kind.TIME:
                return phrase("ask_time", count)
            case Kind.NAME:
                return phrase("ask_name", count) if slot.name == "name" else f"What is the {slot.label}?"
            case Kind.PHONE:
                return self._ask_phone(slot, count)
            case Kind.CHOICE:
                return phrase("ask_choice", choices=bounded(listed([str(each) for each in slot.schema["enum"]]), 200))
            case Kind.COUNT:
                return slot.question or phrase("ask_count")
            case Kind.TEXT if slot.name == "message":
                return phrase("ask_message", count)
            case _:
                return slot.question or f"What is the {slot.label}?"

    def _ask_phone(self, slot: Slot, count: int) -> str:
        if self._digits:
            return phrase("more_digits", digits=spoken_number(self._digits))
        if self.caller and not self._number_offered and slot.fits(self.caller):
            self._number_offered = True
            return phrase("offer_number", ending=" ".join(self.caller[-4:]))
        self._number_offered = False
        return phrase("ask_phone", count)

    def read_back(self, count: int) -> str:
        """All of it, and whether it is right; the next yes has it done."""
        self.asking, self.confirming, self.changing, self.heard = None, True, False, 1.0
        return phrase("read_back", count, summary=self.summary())

    def summary(self) -> str:
        """What is known, as one says it: ``on Tuesday at 2:30 p.m., for Robin Lee``."""
        known = [(slot, self.values[slot.name]) for slot in self._slots if slot.name in self.values]
        share = _SUMMARY // max(1, len(known))
        parts = [
            _unstopped(bounded(spoken_value(slot, value, dated=self.dated), max(share, 60)))
            for slot, value in known
            if not (slot.kind is Kind.FLAG and not slot.required and not value)
        ]
        said = ", ".join(parts).replace(", at ", " at ", 1) if self.dated else ", ".join(parts)
        return said or self.spec.name.replace("_", " ")

    def confirmed_by(self, text: str) -> bool:
        """Whether this is a plain yes to what was read back and heard."""
        return self.confirming and is_yes(text) and self.heard >= _HEARD_ENOUGH

    def arguments(self) -> Mapping[str, Any] | None:
        """For the tool; None where they would be refused."""
        known = {slot.name: self.values[slot.name] for slot in self._slots if slot.name in self.values}
        return known if next(violations(self.spec.parameters, known), None) is None else None

    def forget(self, *kinds: Kind) -> None:
        """These have to be asked for again."""
        self.confirming = False
        for kind in kinds:
            if (slot := self.slot(kind)) is not None:
                self.values.pop(slot.name, None)
                self._asked.discard(slot.name)


def _weekday(day: Any) -> str | None:
    """The weekday of ``tuesday``, ``next tuesday`` or a date in full; None where there is no telling."""
    if not isinstance(day, str):
        return None
    try:
        return DAYS[date.fromisoformat(day).weekday()]
    except ValueError:
        return day if day in DAYS else None


def _unstopped(text: str) -> str:
    return text if text.endswith(".m.") else text.removesuffix(".")


def _declines(text: str) -> bool:
    words = plain(text)
    nothing = {"nothing", "skip", "none", "don't", "no", "not", "nope"} & set(words)
    return bool(nothing) and len(words) <= 6 and not asks_strongly(text)
