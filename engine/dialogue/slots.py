"""What a tool needs to know: from its JSON Schema to questions, and from what a caller says to values. PURE.

Nothing here knows any tool: what kind of thing a parameter is can be told from its type, its name and its description.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from engine.dialogue.contact import find_digits, find_mail, find_name, find_phone
from engine.dialogue.days import find_day, find_time, spoken_at, spoken_day
from engine.dialogue.replies import is_no, is_yes
from engine.dialogue.spoken import bounded, sayable, spoken_number
from engine.dialogue.words import counted, plain, stem, terms
from engine.tenants.hours import Week
from engine.tenants.schema import violations
from engine.tenants.tenant import ToolSpec


class Kind(IntEnum):
    """What a parameter holds; they are asked for in this order."""

    DAY = 1
    TIME = 2
    COUNT = 3
    CHOICE = 4
    TEXT = 5
    FLAG = 6
    NAME = 7
    PHONE = 8
    MAIL = 9
    UNKNOWN = 10  # nothing that can be said in a few words: an object, a list of lists


@dataclass(frozen=True, slots=True)
class Slot:
    """One parameter of a tool.

    Attributes:
        schema: its JSON Schema; whatever is taken from a caller must satisfy it.
        question: in natural words, from the description; empty where the kind says how to ask.
    """

    name: str
    kind: Kind
    required: bool
    schema: Mapping[str, Any]
    question: str = ""

    @property
    def label(self) -> str:
        """The parameter's name as words."""
        return self.name.replace("_", " ")

    def fits(self, value: Any) -> bool:
        """Whether the tool would take it."""
        return next(violations(self.schema, value), None) is None


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known beside the words: the hours (empty where unknown), the day agreed so far, digits heard so far."""

    week: Week = ()
    day: str | None = None
    digits: str = ""


def slots_of(spec: ToolSpec) -> tuple[Slot, ...]:
    """A tool's parameters in the order in which one asks for them."""
    properties = spec.parameters.get("properties", {})
    required = spec.parameters.get("required", [])
    found = [
        Slot(name, kind := _kind(name, schema), name in required, schema, _question(name, kind, schema))
        for name, schema in properties.items()
    ]
    return tuple(sorted(found, key=lambda slot: slot.kind))


def _kind(name: str, schema: Mapping[str, Any]) -> Kind:
    kind, words = schema.get("type"), f"{name.replace('_', ' ')} {schema.get('description', '')}".casefold()
    parts = name.casefold().split("_")
    if "enum" in schema and kind == "string":
        return Kind.CHOICE
    if kind in ("integer", "number"):
        return Kind.COUNT
    if kind == "boolean":
        return Kind.FLAG
    if kind != "string":
        return Kind.UNKNOWN
    if "mail" in name or "email" in parts:
        return Kind.MAIL
    if {"phone", "telephone", "mobile", "cell", "tel"} & set(parts) or ("number" in parts and "call" in words):
        return Kind.PHONE
    if {"day", "date"} & set(parts):
        return Kind.DAY
    if "time" in parts or parts[-1] in ("hour", "at", "starts"):
        return Kind.TIME
    return Kind.NAME if parts[-1] in ("name", "caller", "customer", "guest", "patient") else Kind.TEXT


def _question(name: str, kind: Kind, schema: Mapping[str, Any]) -> str:
    """``What it is for, in a few words.`` becomes ``What is it for, in a few words?``."""
    if kind not in (Kind.TEXT, Kind.COUNT, Kind.FLAG, Kind.UNKNOWN):
        return ""
    said = str(schema.get("description", "")).split(";")[0].strip()
    said = bounded(sayable(re.split(r"(?<=[.!?])\s", said)[0]), 120).rstrip(".?! ")
    if kind is Kind.FLAG:
        return f"Is it so that {_lower(re.sub(r'^true (?:if|when) ', '', said, flags=re.IGNORECASE))}?" if said else ""
    if not said:
        return f"What is the {name.replace('_', ' ')}?"
    if match := re.match(r"(what|who|where|when|which) (it|this|that|they) (is|are|was)\b(.*)", said, re.IGNORECASE):
        return f"{match[1].capitalize()} {match[3]} {match[2]}{match[4]}?"
    if re.match(r"(?:what|who|where|when|which|how)\b", said, re.IGNORECASE):
        return f"{said[0].upper()}{said[1:]}?"
    return (
        f"What is {_lower(said)}?"
        if re.match(r"(?:the|your|their)\b", said, re.IGNORECASE)
        else f"I need {_lower(said)}."
    )


def _lower(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"


def read_slot(slot: Slot, text: str, setting: Setting, *, asked: bool) -> Any | None:
    """The slot's value in what was said, fit for the tool; or None.

    Args:
        asked: the caller was asked for this very slot, so that a bare answer counts.
    """
    value = _value(slot, text, setting, asked=asked)
    return value if value is not None and slot.fits(value) else None


def _value(slot: Slot, text: str, setting: Setting, *, asked: bool) -> Any | None:
    match slot.kind:
        case Kind.DAY:
            return find_day(text)
        case Kind.TIME:
            return find_time(text, asked=asked, week=setting.week, day=setting.day)
        case Kind.NAME:
            return find_name(text, asked=asked)
        case Kind.PHONE:
            return find_phone(setting.digits + find_digits(text)) if asked else find_phone(_long_digits(text))
        case Kind.MAIL:
            return find_mail(text)
        case Kind.COUNT:
            return _count(slot, text, asked=asked)
        case Kind.CHOICE:
            return _choice(slot, text)
        case Kind.FLAG:
            return _flag(slot, text, asked=asked)
        case Kind.TEXT:
            return _said_text(text, slot) if asked else None
        case _:
            return None


def _long_digits(text: str) -> str:
    """The digits of a text in which nobody asked for a number: only where they stand together."""
    digits = find_digits(text)
    together = re.search(r"\d[\d\s().-]{8,}\d", text) or sum(part.isdecimal() for part in counted(plain(text))) >= 7
    return digits if together else ""


def _count(slot: Slot, text: str, *, asked: bool) -> int | float | None:
    words = counted(plain(text))
    for place, word in enumerate(words):
        if not re.fullmatch(r"\d{1,6}", word):
            continue
        after = words[place + 1] if place + 1 < len(words) else ""
        counts = after in ("of", "people", "persons", "guests") or stem(after) in terms(slot.label) if after else False
        if asked or counts or (place and words[place - 1] == "for" and "party" in slot.name):
            return int(word)
    return None


def _choice(slot: Slot, text: str) -> str | None:
    """The one value of the list that shares most words with the text; None where two share as many."""
    said = set(terms(text))
    ranked = sorted(
        ((len(said & set(terms(str(value)))), str(value)) for value in slot.schema.get("enum", ())), reverse=True
    )
    if not ranked or not ranked[0][0] or (len(ranked) > 1 and ranked[1][0] == ranked[0][0]):
        return None
    return ranked[0][1]


def _flag(slot: Slot, text: str, *, asked: bool) -> bool | None:
    if asked:
        return True if is_yes(text) else False if is_no(text) else None
    words = plain(text)
    meant = [place for place, word in enumerate(words) if stem(word) in terms(slot.label)]
    return (
        None
        if not meant
        else not any(word in ("not", "isn't", "no") for word in words[max(0, meant[0] - 3) : meant[0]])
    )


_LEAD = re.compile(
    r"^(?:(?:yes|yeah|sure|okay|ok|um+|uh+|well|so|please|oh|just)[,.]?\s+)*"
    r"(?:(?:can|could|would) you (?:please )?(?:just )?|please )?"
    r"(?:(?:tell|let) (?:them|him|her|the team|everyone)(?: know)?(?: that)?[,:]?\s+|(?:just )?say (?:that )?|"
    r"(?:my|the) message is(?: that)?[,:]?\s+|it's (?:for|about)\s+|it is (?:for|about)\s+)?",
    re.IGNORECASE,
)


def _said_text(text: str, slot: Slot) -> str | None:
    said = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    said = said[_LEAD.match(said).end() :] or said  # type: ignore[union-attr]  # the pattern matches nothing, too
    longest = min(int(slot.schema.get("maxLength", 1000)), 1000)
    return said[:longest].strip() or None


def spoken_value(slot: Slot, value: Any, *, dated: bool) -> str:
    """A value as it is read back; an appointment is for somebody, anything else has a name on it."""
    match slot.kind:
        case Kind.DAY:
            return spoken_day(value)
        case Kind.TIME:
            return spoken_at(value)
        case Kind.NAME:
            return f"{'for' if dated else 'from'} {value}" if slot.name == "name" else f"{slot.label}: {value}"
        case Kind.PHONE:
            return f"with the number {spoken_number(value)}"
        case Kind.FLAG:
            return slot.label if value else f"not {slot.label}"
        case Kind.TEXT:
            return f"{slot.label}: {sayable(str(value))}"
        case _:
            return f"{slot.label} {sayable(str(value))}"
