"""Has the caller heard that they are being recorded? PURE. Nothing is recorded before."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

ENOUGH = 0.85  # of the sentence's words, in their order: a model may change one, its transcript may miss one


def was_heard(sentence: str, heard: Iterable[str]) -> bool:
    """Whether one of these utterances, as far as it was heard, holds the sentence. False where there is no sentence."""
    asked = _words(sentence)
    return bool(asked) and any(_share(asked, _words(text)) >= ENOUGH for text in heard)


def _share(asked: list[str], said: list[str]) -> float:
    blocks = SequenceMatcher(None, asked, said, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(asked)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
