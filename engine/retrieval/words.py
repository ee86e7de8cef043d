"""Text -> comparable words, for English. PURE: no index, no language model, a few rules that a test can state."""

import re

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_APOSTROPHE_TAIL = re.compile(r"['\u2019](s|m|d|re|ve|ll|t)$")
# Words that say nothing about what is asked. Few: a word more here is a question less that can be told apart.
_STOP_WORDS = (
    "a about all am an and any anybody anyone are as at be been but by can could did do does for from get give go "
    "going got had has have hello hey hi how i if in into is it its just know let like many may me might much my of "
    "okay on or our please shall should so some tell than that the their them then there these they thing this those "
    "to um uh want wanted was we well were what whats when where which who will with would yes you your"
)
STOP_WORDS = frozenset(_STOP_WORDS.split(" "))
_VOWELS = frozenset("aeiouy")


def words(text: str) -> list[str]:
    """Lower-case words in order, apostrophe endings cut off (``what's`` -> ``what``)."""
    return [_APOSTROPHE_TAIL.sub("", word) for word in _WORD.findall(text.casefold())]


def plain(text: str) -> str:
    """``text`` without case, punctuation and spacing: equal where two texts materially say the same."""
    return " ".join(_WORD.findall(text.casefold().replace("\u2019", "'")))


def terms(text: str) -> list[str]:
    """What is searched for: stems of the words that carry meaning, in order."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]


def stem(word: str) -> str:
    """Cut the commonest English endings, so that ``crowns``, ``parked`` and ``whitening`` meet ``crown``, ``park``...

    Not a dictionary: it only has to treat question and passage alike, and to leave short words alone.
    """
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) >= 3 and _VOWELS & set(base):
            word = base[:-1] if base[-1] == base[-2] and base[-1] not in "lsz" else base
            break
    if len(word) > 4 and word.endswith("ly"):
        word = word[:-2]
    elif len(word) > 6 and word.endswith("ion"):
        word = word[:-3]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word
