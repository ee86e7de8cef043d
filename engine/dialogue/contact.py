"""Names, telephone numbers and mail addresses as a caller says them. PURE.

Names and spellings come badly out of a recogniser, so whatever is found here is read back before it is used.
"""

import re

from engine.dialogue.words import NUMBERS, plain, word_set
from engine.tenants.numbers import normalise_number

_LONGEST_NAME = 4  # words
_FEWEST_DIGITS, _MOST_DIGITS = 10, 15
_OWN_NAME = re.compile(
    r"\b(?:my name is|my name's|the name is|the name's|name is|this is|under the name(?: of)?|call me(?! back)|"
    r"it's for|under(?! the))\s+(.+)",
    re.IGNORECASE,
)
_I_AM = re.compile(r"\b(?:i'm|i am)\s+(?=[A-Z])(.+)", re.IGNORECASE)
_LEAD = word_set(
    "yes yeah yep sure okay ok um uh well oh so hi hello it's it is its that's that the name under for just please "
    "my i'm am i this be would me and no sorry actually not it'd"
)
_ENDS_A_NAME = word_set(
    "and please thanks thank i i'd i'm my calling speaking from on at for with about is it's that's to can could in "
    "but here again a an the you we he she who tomorrow today would will want need have number phone"
)
_NEVER_A_NAME = word_set(
    "what how when where why who which do does is are can could would will the a an appointment message yes no "
    "okay calling looking trying hoping sorry wondering not interested book booking nothing never just having "
    "going there maybe later don't know sure fine good right wrong correct perfect great monday tuesday wednesday "
    "thursday friday saturday sunday today tomorrow morning afternoon noon number time day date name hmm mm back "
    "change cancel nah nope incorrect thanks thank bye goodbye"
)
_OH = {"oh": "0", "o": "0", "hundred": "00", "thousand": "000"}
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+")


def find_name(text: str, *, asked: bool) -> str | None:
    """The caller's name in Title Case, or None.

    Args:
        asked: the caller was asked for it, so that a bare ``robin lee`` is one.
    """
    text = text.replace("\u2019", "'")
    if (match := _OWN_NAME.search(text) or _I_AM.search(text)) and (name := _name_at(match[1].split())):
        return name
    if not asked:
        return None
    words = text.split()
    while words and _bare(words[0]) in _LEAD:
        words = words[1:]
    return _name_at(words)


def _bare(word: str) -> str:
    return word.strip(".,!?;:\"'").casefold()


def _name_at(words: list[str]) -> str | None:
    taken: list[str] = []
    for word in words:
        bare = word.strip(".,!?;:\"'")
        spelling = len(bare) == 1 and bool(taken) and len(taken[-1]) == 1
        if not bare or (_bare(word) in _ENDS_A_NAME and not spelling):
            break
        taken.append(bare)
        if word[-1] in ".,!?;" and len(bare) > 2 and _bare(word) not in ("dr", "mr", "mrs", "ms"):
            break
    taken = _spelled_out(taken)
    if not taken or len(taken) > _LONGEST_NAME or any(_is_no_name(word.casefold()) for word in taken):
        return None
    if not all(re.fullmatch(r"[^\W\d_](?:[^\W\d_]|['.-])*", word) for word in taken) or len("".join(taken)) < 2:
        return None
    return " ".join(word if word[:1].isupper() else f"{word[:1].upper()}{word[1:]}" for word in taken)


def _is_no_name(word: str) -> bool:
    return word in NUMBERS or word.split("'")[0] in _NEVER_A_NAME


def _spelled_out(words: list[str]) -> list[str]:
    """``l e e`` is ``Lee``; one letter alone is an initial."""
    found: list[str] = []
    letters: list[str] = []
    for word in [*words, ""]:
        if len(word) == 1 and word.isalpha():
            letters.append(word)
            continue
        if letters:
            found += ["".join(letters).capitalize()] if len(letters) > 1 else letters
        letters = []
        if word:
            found.append(word)
    return found


def find_digits(text: str) -> str:
    """All digits said, in order: ``four one five, double two, oh seven`` gives ``4152207``. ``+`` only in front."""
    found: list[str] = []
    times = 1
    for word in plain(text):
        if word in ("double", "triple"):
            times = 2 if word == "double" else 3
            continue
        digits = _OH.get(word) or _digits_of(word)
        if digits:
            # "twenty five" within a number is 25, not 20 and 5.
            if found and len(digits) == 1 and digits != "0" and found[-1] in _ROUND and times == 1:
                found[-1] = found[-1][0]
            found += [digits] * times
        times = 1
    return "".join(found)


_ROUND = frozenset(str(tens) for tens in range(20, 100, 10))


def _digits_of(word: str) -> str:
    if word in NUMBERS:
        return str(NUMBERS[word])
    bare = word.removeprefix("+")
    if bare.isascii() and bare.isdecimal():
        return word if word.startswith("+") else bare
    return ""


def find_phone(digits: str) -> str | None:
    """A telephone number from its digits: E.164; None where there are too few or too many of them."""
    bare = digits.lstrip("+")
    if not _FEWEST_DIGITS <= len(bare) <= _MOST_DIGITS or not bare.isdecimal():
        return None
    return next(iter(normalise_number(digits)), None)


def find_mail(text: str) -> str | None:
    """``robin dot lee at example dot com`` as an address; None where there is none."""
    if match := _MAIL.search(text):
        return match[0]
    joined = re.sub(r"\s+dot\s+", ".", " ".join(plain(text)))
    joined = re.sub(r"\s+(?:underscore)\s+", "_", re.sub(r"\s+(?:dash|hyphen)\s+", "-", joined))
    match = _MAIL.search(re.sub(r"\s+at\s+", "@", joined))
    return match[0] if match else None
