"""What a wish is for, or is to say, as far as the wish itself tells. PURE."""

import re

from engine.dialogue.words import plain, terms, word_set

_GENERIC = word_set(
    "appointment appointments visit booking reservation slot spot time something somebody one opening session"
)
_PURPOSE = re.compile(
    r" (?:book|schedule|reserve|make|get|have|need|want|like|arrange)(?: to| me| us| in)* (?:for )?(?:an?|my|"
    r"another|the) "
    r"((?:[\w'-]+ ){1,4}?)(?=(?:on|at|for|next|this|around|tomorrow|today|tonight|please|with|in|and|monday|tuesday|"
    r"wednesday|thursday|friday|saturday|sunday|as) |$)"
)
_FOR = re.compile(
    r" for (?:an? |some |the )?((?:[\w'-]+ ){1,5}?)(?=(?:on|at|next|this|around|tomorrow|today|tonight|please|and|"
    r"monday|"
    r"tuesday|wednesday|thursday|friday|saturday|sunday|if|in) |$)"
)
_NOT_A_PURPOSE = re.compile(
    r"^(?:tomorrow|today|tonight|me|us|him|her|next|this|\w+day|noon|an? appointment|you|it|\d+(?::\d+)?(?: [ap]m)?|"
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december)\b.*)$"
)
_MESSAGE = re.compile(
    r"(?:(?:tell|let) (?!me |us |you )(?:(?:the |doctor |dr\.? )?\w+)(?: know)?|(?:message|saying|say))"
    r"(?: for (?:the |doctor |dr\.? )?\w+)?(?: that)?[,:]? (?=\S+ \S+ \S+)(.+)",
    re.IGNORECASE,
)


def purpose(text: str, description: str) -> str | None:
    """What an appointment is for: ``cleaning``, ``table for four``; None where it is not said.

    Args:
        description: of the tool; what it names anyway says nothing.
    """
    line = f" {' '.join(plain(text))} "
    match = _PURPOSE.search(line)
    head = match[1].strip() if match else ""
    thing = set(terms(head)) <= set(terms(description))  # "a table", where tables are all there is
    empty = not head or bool(_GENERIC & set(head.split()))
    found = _FOR.search(line, match.end(1) - 1 if match and not empty else 0)
    after = found[1].strip() if found else ""
    if not after or _NOT_A_PURPOSE.match(after) or _GENERIC & set(after.split()):
        return None if empty or thing else head
    return after if empty else f"{head} for {after}"


def message(text: str) -> str | None:
    """What is to be passed on, where the wish itself says it: ``tell Ruth that the invoice is wrong``."""
    match = _MESSAGE.search(text)
    return match[1].strip() if match else None
