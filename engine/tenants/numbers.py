"""Telephone numbers as they come, in the one form that we compare: E.164. PURE."""

import re

_PUNCTUATION = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]+")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


def normalise_number(text: str) -> tuple[str, ...]:
    """Every E.164 number that this may mean, likeliest first; empty where it is no telephone number.

    ``+1 (555) 010-0100``, ``15550100100`` and ``0015550100100`` mean one; ten bare digits may also be a North American
    number written the national way, so they give two.
    """
    bare = _PUNCTUATION.sub("", text.strip())
    if bare.startswith("+"):
        found = [bare]
    elif not bare.isascii() or not bare.isdigit():
        return ()
    elif bare.startswith("00"):
        found = ["+" + bare[2:]]
    elif len(bare) == 10:
        found = ["+1" + bare, "+" + bare]
    else:
        found = ["+" + bare]
    return tuple(number for number in found if _E164.fullmatch(number))
