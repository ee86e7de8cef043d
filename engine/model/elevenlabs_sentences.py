"""PURE: text as it is written, piece by piece -> whole sentences, each as soon as it is certain that it is one.

A voice that is given whole sentences speaks better than one that is given words, and sooner than one that waits for
all of them. A sentence ends where a mark of its end is followed by space, but not after an abbreviation, an initial,
the number of a list, or (in languages that write it so) an ordinal number.
"""

import re

LONGEST = 300  # characters; whoever writes on without an end is cut at a word

_END = re.compile(r"[.!?\u2026]+[\"'\u201d\u2019\u00bb)\]]*(?=\s)|[\u3002\uff01\uff1f]+|\n+")
_LAST_WORD = re.compile(r"\S+$")
_ENUMERATION = re.compile(r"\s*\(?\d{1,2}\.")
_ORDINAL_POINT = frozenset({"de", "da", "nb", "nn", "no", "fi", "et", "cs", "sk", "pl", "hu", "hr", "sl", "sr", "lv"})

# Never the end of a sentence. Two sentences taken for one cost a moment, one taken for two is spoken wrongly.
_ALWAYS = re.compile(
    r"mr|mrs|ms|dr|drs|prof|st|messrs|mme|mlle|sra|dra|hr|frl|rev|capt|lt|sgt|approx|ca|vs|tel|e\.g|i\.e|dott|avv|sig"
    r"|bzw|evtl|vgl|inkl|zzgl|nr|z|d|u|z\.b|d\.h|u\.a|e\.v"
)
# The end only where what follows begins like a new sentence.
_SOMETIMES = re.compile(r"etc|inc|ltd|co|corp|bros|jr|sr|am|pm|a\.m|p\.m|u\.s|u\.k|usw|dept|ave|blvd|rd|ste|str|apt")
_BEFORE_A_NUMBER = re.compile(r"nos?|pp?|sec|vol|ch|ext")


class Sentences:
    """Cuts one utterance after the other.

    Args:
        language: a locale such as ``en-US``; decides whether "3." may be "third".
    """

    def __init__(self, language: str = "en-US") -> None:
        self._has_ordinals = re.split(r"[-_]", language.lower())[0] in _ORDINAL_POINT
        self._text = ""

    def write(self, delta: str) -> list[str]:
        """More text; the sentences that are whole by it, without the space around them."""
        self._text += delta
        found: list[str] = []
        while (end := self._next_end()) is not None:
            sentence, self._text = self._text[:end].strip(), self._text[end:].lstrip()
            if sentence:
                found.append(sentence)
        return found

    def rest(self) -> str:
        """There is no more text: what is left of it, empty where nothing is. The next text is of a new utterance."""
        rest, self._text = self._text.strip(), ""
        return rest

    @property
    def pending(self) -> str:
        """What has been written since the last whole sentence."""
        return self._text

    def _next_end(self) -> int | None:
        for found in _END.finditer(self._text):
            if found.end() > LONGEST:
                break
            ends = self._is_end(found.start(), found.end(), found[0])
            if ends is None:
                break  # what follows will tell
            if ends:
                return found.end()
        if len(self._text) <= LONGEST:
            return None
        return max(self._text.rfind(" ", 1, LONGEST), self._text.rfind("\n", 1, LONGEST)) + 1 or LONGEST

    def _is_end(self, start: int, end: int, mark: str) -> bool | None:
        """Whether a sentence ends here; None: it depends on what has not been written yet."""
        if not mark.startswith(".") or mark.startswith(".."):
            return True
        found = _LAST_WORD.search(self._text[:start])
        word = found[0].strip("\"'(\u201c\u2018\u00ab").lower() if found else ""
        if _ALWAYS.fullmatch(word) or _ENUMERATION.fullmatch(self._text[: start + 1]):
            return False
        if len(word) == 1 and word.isalpha() and found is not None and found[0].isupper() and word != "i":
            return False  # an initial
        if self._has_ordinals and word.isdigit():
            return False
        following = self._text[end:].lstrip()
        if _BEFORE_A_NUMBER.fullmatch(word):
            return not following[0].isdigit() if following else None
        if _SOMETIMES.fullmatch(word):
            return following[0].isupper() if following else None
        return True
