"""Answers made of the passages' own sentences. PURE.

Nothing is made up: an answer is one or two whole sentences of one passage (of two, where two things were asked), chosen
by the question's rare words, by what kind of thing it asks for, and by the order in which the search found them. No yes
and no no is put before them, since the passage may say neither.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.dialogue.replies import parted
from engine.dialogue.spoken import LONGEST_ANSWER, limits, sayable, sentences, shortened
from engine.dialogue.words import spaced, terms
from engine.messages import Passage

_LONGEST_READ = 2000  # characters of a passage; those of this engine have 120 words at most
CONSIDERED = 3  # passages; what the search puts after them is hardly ever what was meant

_MONEY = re.compile(r"\$\s?\d|\b\d[\d,]*(?:\.\d+)? (?:dollars|cents)\b|\bdollars?\b|\bfree\b|\bno (?:extra "
                    r")?(?:cost|charge)|"
                    r"\b(?:costs?|starts at|from) \d|\bpercent\b", re.IGNORECASE)  # fmt: skip
_DURATION = re.compile(r"\b(?:minutes?|hours?|days?|weeks?|months?|years?|half an hour|overnight)\b", re.IGNORECASE)
_MOMENT = re.compile(
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\bweekends?\b|\b\d{1,2}(?::\d\d)? ?[ap]\.?m\b|\bo'clock\b|"
    r"\bnoon\b|"
    r"\b(?:morning|afternoon|evening|night)s?\b|\b(?:from|until|by|before|after|at|past) (?:\w+ )?(?:one|two|"
    r"three|four|five|"
    r"six|seven|eight|nine|ten|eleven|twelve|\d+)\b|\b(?:minutes?|hours?|days?|weeks?)\b", re.IGNORECASE)  # fmt: skip
_PLACE = re.compile(
    r"\b(?:street|lane|road|avenue|address|floor|corner|across|behind|next to|building|located|side)\b", re.IGNORECASE
)
_COUNTED = re.compile(
    r"\b(?:\d+|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|every|once|twice)\b"
)
_PERSONS = re.compile(r"\b(?:Doctor|Dr|Mr|Ms|Mrs|Chef)\b|(?<=[a-z,] )[A-Z][a-z]+\b")
_BECAUSE = re.compile(r"\b(?:because|since|so that|in order to)\b", re.IGNORECASE)
_INSTEAD = re.compile(
    r"\b(?:close|turn|call|leave|keep|open|hold|put|bring|please|tell|come|describe)\b", re.IGNORECASE
)
_KINDS: tuple[tuple[re.Pattern[str], re.Pattern[str], float], ...] = (
    # What the question asks for; what a sentence that says it looks like; how much that tells.
    (re.compile(r" (?:how much|what (?:does|do|would|will) .*(?:cost|charge|run|set me back)|price|cost|costs|"
                r"charge|charges|fee|fees|"
                r"rate|pay|cheap|expensive|bill me|what does that run|run me|looking at for|deal) "), _MONEY, 1.0),
    (re.compile(r" (?:how long|how many (?:minutes|hours|days)|how fast|how soon) "), _DURATION, 0.8),
    (re.compile(r" (?:when|what time|what day|how late|how early|how often|which day|how far ahead) "), _MOMENT, 0.7),
    (re.compile(r" (?:where|address|directions|find you|located|which corner|see you) "), _PLACE, 0.6),
    (re.compile(r" (?:how many|how old|what age) "), _COUNTED, 0.5),
    (re.compile(r" (?:who|which doctor|whose|anybody there|does anybody) "), _PERSONS, 0.5),
    (re.compile(r" why "), _BECAUSE, 0.3),
    (re.compile(r" (?:what (?:do|should|can) i do|how do i|what now|what should) "), _INSTEAD, 0.5),
)  # fmt: skip
_LEANS_BACK = re.compile(
    r"^(?:it|they|that|this|these|those|he|she|then|after that|there|otherwise|also|but|and|so|both|if it|for them)\b|"
    r"^the \w+ (?:is|are) then\b",
    re.IGNORECASE,
)
_PLACES = (0.55, 0.27, 0.15)  # what standing first, second, third in the search is worth
_HEADING = 0.4  # a word met in the heading, against one met in the sentence
_SURE_SCORE = 0.34  # a cosine of the offline embedder from which meaning is trusted though no word is shared


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said, and from which passages.

    Attributes:
        sure: it shares a word with the question, or the search was sure of the passage.
        in_words: it shares a word with the question.
        of_kind: where a price, a time or a place is asked for, it says one.
    """

    text: str
    passages: tuple[Passage, ...]
    sure: bool = True
    in_words: bool = True
    of_kind: bool = True


@dataclass(frozen=True, slots=True)
class _Candidate:
    sentence: str
    passage: int
    place: int
    worth: float
    met: float


class Weights:
    """How much a word tells in this tenant's knowledge: the rarer the more."""

    def __init__(self, texts: Iterable[str]) -> None:
        documents = [frozenset(terms(text)) for text in texts]
        self._count = len(documents)
        self._seen = Counter(term for document in documents for term in document)

    def of(self, term: str) -> float:
        """Its weight, 0 to about 1; a word that no text has weighs as much as one that stands in a single text."""
        if not self._count:
            return 1.0
        most = math.log(1 + self._count)
        return math.log(1 + self._count / max(self._seen[term], 1)) / most if most else 1.0

    def known(self, term: str) -> bool:
        """Whether any text has it."""
        return self._seen[term] > 0


def answer(question: str, passages: Sequence[Passage], weights: Weights, *, about: str = "") -> Answer | None:
    """The sentences that answer the question, ready to be said; None where no passage serves.

    Args:
        passages: of this tenant alone, best first.
        about: what was spoken about before, where the question leans on it; its words count for half.
    """
    parts = parted(question)
    answers = [found for part in parts if (found := _one_answer(part, passages[:CONSIDERED], weights, about))]
    if not answers:
        return None
    if len(answers) == 1 or answers[0].text == answers[1].text:
        # Of two things asked the passages may bear on one only, or on both with the same words.
        return answers[0] if len(parts) == 1 else _one_answer(question, passages[:CONSIDERED], weights, about)
    return _together(answers, len(parts)) or _one_answer(question, passages[:CONSIDERED], weights, about)


def _together(answers: list[Answer], asked: int) -> Answer | None:
    said: list[str] = []
    for sentence in (each for one in answers for each in sentences(one.text)):
        if sentence not in said:
            said.append(sentence)
    text = " ".join(said)
    if len(text) > LONGEST_ANSWER + 60 or asked < 2:
        return None
    found = tuple(dict.fromkeys(passage for one in answers for passage in one.passages))
    return Answer(text, found, all(one.sure for one in answers))


def _one_answer(question: str, passages: Sequence[Passage], weights: Weights, about: str) -> Answer | None:
    asked = {term: weights.of(term) for term in terms(question)}
    for term in terms(about):
        asked.setdefault(term, weights.of(term) / 2)
    line = spaced(question)
    kinds = [(pattern, worth) for trigger, pattern, worth in _KINDS if trigger.search(line)]
    candidates = [
        candidate
        for index, passage in enumerate(passages)
        for candidate in _candidates(index, passage, asked, kinds, passages[0].score)
    ]
    if not candidates:
        return None
    best = max(candidates, key=lambda each: (each.worth, -each.passage, -each.place))
    text = _with_neighbours(best, [each for each in candidates if each.passage == best.passage])
    passage = passages[best.passage]
    in_words = best.met > 0
    of_kind = not kinds or any(pattern.search(text) for pattern, _ in kinds)
    return Answer(text, (passage,), in_words or passage.score >= _SURE_SCORE, in_words, of_kind) if text else None


def _candidates(
    index: int, passage: Passage, asked: dict[str, float], kinds: list[tuple[re.Pattern[str], float]], top: float
) -> list[_Candidate]:
    total = sum(asked.values()) or 1.0
    heading = set(terms(passage.source))
    whole = set(terms(passage.text)) | heading
    # How well the passage as a whole fits counts for all of its sentences.
    base = _PLACES[index] + 0.3 * sum(weight for term, weight in asked.items() if term in whole) / total
    if top > 0:
        base *= 0.5 + 0.5 * max(0.0, min(1.0, passage.score / top))
    found = []
    for place, sentence in enumerate(spoken_sentences(passage.text)):
        here = set(terms(sentence))
        met = sum(weight for term, weight in asked.items() if term in here) / total
        titled = sum(weight for term, weight in asked.items() if term in heading and term not in here) / total
        kind = max((worth for pattern, worth in kinds if pattern.search(sentence)), default=0.0)
        first = 0.06 if place == 0 else 0.0
        worth = base + met + _HEADING * titled * (place == 0) + 0.25 * kind + first
        found.append(_Candidate(sentence, index, place, worth, met + titled))
    return found


@lru_cache(maxsize=4096)
def spoken_sentences(text: str) -> tuple[str, ...]:
    """A passage's sentences as they are said, those left out that are too long to be said honestly.

    Lines that end without a full stop are entries of a list; each is a sentence of its own.
    """
    said = (sayable(sentence) for sentence in sentences(text[:_LONGEST_READ]))
    return tuple(short for sentence in said if sentence and (short := shortened(sentence, LONGEST_ANSWER)))


def _with_neighbours(best: _Candidate, passage: list[_Candidate]) -> str:
    """The best sentence; before it what it leans on, or with it the next best, in the passage's order, if they "
    "fit."""
    by_place = {each.place: each for each in passage}
    chosen = {best.place: best}
    if _LEANS_BACK.match(best.sentence) and (before := by_place.get(best.place - 1)):
        _add(chosen, before)
    after = by_place.get(best.place + 1)
    # What limits or denies comes before what only adds: "we do not take HMO plans".
    if after is not None and (_LEANS_BACK.match(after.sentence) or limits(after.sentence)):
        _add(chosen, after)
    others = sorted(passage, key=lambda each: (-each.worth, abs(each.place - best.place)))
    for other in others:
        leaning = _LEANS_BACK.match(other.sentence) and other.place - 1 not in chosen
        if other.place not in chosen and not leaning:
            _add(chosen, other)
    return " ".join(chosen[place].sentence for place in sorted(chosen))


def _add(chosen: dict[int, _Candidate], other: _Candidate) -> None:
    size = sum(len(each.sentence) + 1 for each in chosen.values())
    if len(chosen) < 2 and size + len(other.sentence) <= LONGEST_ANSWER:
        chosen[other.place] = other
