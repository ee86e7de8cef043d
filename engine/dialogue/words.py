"""Recognised text -> words that can be compared. PURE.

A recogniser's text has no punctuation or case to rely on, and writes numbers as words or as digits. Everything in this
room reads the words that ``plain`` gives: lower case, apostrophes kept, small numbers as digits where ``counted``.
"""

import re
from difflib import get_close_matches

_WORD = re.compile(r"[+#]?[^\W_]+(?:['\u2019][^\W_]+)*")
_MERIDIEM = re.compile(r"\b([ap])\.?\s?m\b\.?", re.IGNORECASE)
_CLOCK = re.compile(r"(?<=\d)[.:](?=\d\d\b)")
_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBERS = {word: number for number, word in enumerate(_UNITS)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_STOP_WORDS = (
    "a about all also am an and any anybody anyone anything are as at be been but by can could did do does doing for "
    "from get give go going got had has have he hello her here hey hi him his how i if in into is it its just kind "
    "know let like look looking many may maybe me might much my need of oh ok okay on one or our out please put "
    "really "
    "right shall she should so some somebody someone something sorry sort take tell than thank that the their them "
    "then there these they thing this those to too uh um up us want wanted was we well were what when where "
    "which who "
    "why will with would yes you your guy guys d ll m re s t ve 'd 'll"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
_TAIL = re.compile(r"'(?:s|m|d|re|ve|ll)$")
_CLOSE_ENOUGH = 0.84
_SHORTEST_TO_GUESS = 5


def word_set(text: str) -> frozenset[str]:
    """The words of a text, to look others up in."""
    return frozenset(text.split())


def plain(text: str) -> list[str]:
    """Lower-case words in order: ``It's 2:30 p.m.!`` gives ``it's 2:30 pm``."""
    joined = _MERIDIEM.sub(r"\1m", text.replace("\u2019", "'").casefold())
    marked = _CLOCK.sub("\0", joined)
    return [word for part in marked.split() for word in _pieces(part)]


def _pieces(part: str) -> list[str]:
    if "\0" in part:
        stripped = part.strip(".,;!?()\"'")
        return [stripped.replace("\0", ":")]
    return _WORD.findall(part)


def spaced(text: str) -> str:
    """``plain`` as one line with a space at both ends, so that whole words can be looked for in it."""
    return f" {' '.join(plain(text))} "


def counted(words: list[str]) -> list[str]:
    """Number words up to 99 as digits: ``twenty five`` gives ``25``; ``two`` gives ``2``."""
    found: list[str] = []
    tens = False
    for word in words:
        number = NUMBERS.get(word)
        if number is not None and 0 < number < 10 and tens:
            found[-1] = str(int(found[-1]) + number)
        else:
            found.append(word if number is None else str(number))
        tens = number is not None and number >= 20 and number % 10 == 0
    return found


def likely(word: str, among: tuple[str, ...]) -> str | None:
    """The one of a short list that this word is, or nearly is (``wensday``); None where it is none of them."""
    if word in among:
        return word
    if len(word) < _SHORTEST_TO_GUESS:
        return None
    close = get_close_matches(word, among, n=1, cutoff=_CLOSE_ENOUGH)
    return close[0] if close else None


def terms(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order."""
    bare = (_TAIL.sub("", word) for word in plain(text))
    return [stem(word) for word in bare if word not in STOP_WORDS and len(word) > 1]


def stem(word: str) -> str:
    """Cut the commonest English endings; question and passage are treated alike, so it need not be a true stem."""
    if len(word) <= 3 or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed", "er", "ly"):
        base = word.removesuffix(ending)
        if base != word and len(base) >= 4 - (ending == "ed"):
            word = base[:-1] if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz" else base
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word
