"""What a local session says, in pieces that are rendered one by one, and how much of them was heard. PURE."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'\u2019\u201d)]*\s+")
_SHORT_FORM = re.compile(r"(?:^|[\s(])(?:mr|mrs|ms|dr|st|no|vs|e\.g|i\.e|a\.m|p\.m|[a-z])\.$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence: where in the stream's sound it begins, how long it lasts, and the pause that comes first in it."""

    text: str
    at_ms: float
    ms: float
    pause_ms: float = 0.0


def sentences(text: str) -> list[str]:
    """The sentences of ``text``, each whole; ``Dr.`` and ``a.m.`` end none."""
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        sentence = text[start : end.end()].strip()
        if not _SHORT_FORM.search(sentence):
            found.append(sentence)
            start = end.end()
    if last := text[start:].strip():
        found.append(last)
    return found


def heard_of(said: Sequence[Piece], from_ms: float, heard_ms: float) -> str:
    """The words that had been said so long after ``from_ms``; of a sentence that was cut its share, by letters."""
    heard: list[str] = []
    for piece in said:
        if piece.at_ms < from_ms:
            continue
        if heard_ms >= piece.ms:
            heard.append(piece.text)
            heard_ms -= piece.ms
            continue
        room = len(piece.text) * max(0.0, heard_ms - piece.pause_ms) / (piece.ms - piece.pause_ms)
        for word in piece.text.split():
            room -= len(word) + 1
            if room < -1:
                break
            heard.append(word)
        break
    return " ".join(heard)
