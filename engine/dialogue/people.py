"""Whom does the caller want to talk to? PURE."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.dialogue.words import likely, plain, terms
from engine.tenants.tenant import Person

_ANYBODY = frozenset(terms("someone person human real operator somebody there talk speak through connect transfer"))


@dataclass(frozen=True, slots=True)
class Meant:
    """``named``: their name or role was said; else it was told by what they are there for."""

    person: Person
    named: bool


def person_meant(text: str, people: Sequence[Person]) -> Meant | None:
    """The one person that the words point to; None where they point to nobody or to several."""
    said = set(terms(text)) - _ANYBODY
    if (named := _best(people, [_met(person.name, said, text) for person in people])) is not None:
        return Meant(named, named=True)
    if (fitting := _best(people, [len(said & set(terms(person.for_))) for person in people])) is not None:
        return Meant(fitting, named=False)
    return Meant(people[0], named=True) if len(people) == 1 else None


def _met(name: str, said: set[str], text: str) -> float:
    """The share of a name's words that were said; near misses of a spelling count a little less."""
    words = terms(name)
    spoken = tuple(plain(text))
    met = sum(1.0 if word in said else 0.8 if likely(word, spoken) else 0.0 for word in words)
    return met / len(words) if words else 0.0


def _best(people: Sequence[Person], scores: Sequence[float]) -> Person | None:
    most = max(scores, default=0)
    return people[list(scores).index(most)] if most and list(scores).count(most) == 1 else None


def names_of(people: Sequence[Person]) -> list[str]:
    """As one lists them."""
    return [person.name for person in people]
