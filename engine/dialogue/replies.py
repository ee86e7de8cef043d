"""Is it a yes, a no, a question, one that leans on what was said before, or two at once? PURE."""

import re

from engine.dialogue.words import plain, spaced

_YES = "|".join(
    (
        r"yes|yeah|yep|yup|ya|sure|correct|exactly|absolutely|definitely|certainly|of course|okay|ok|all ?right",
        r"go ahead|please do|do it|do that|sounds (?:good|great|fine|right)|perfect|fine|great|right",
        r"(?:that's|that is|it's|it is) (?:right|correct|fine|good|great|perfect|it)|that works|works for me",
        r"that would be (?:great|good|nice|lovely)|uh huh|mm ?hmm?|mhm|i (?:would|do|am)|why not",
        r"if you (?:could|would)",
    )
)
_BESIDE_A_YES = (
    "please|thanks|thank you|you|that|it|um|uh|oh|well|very|much|so|and|then|book|the|same|number|this|one|use|for me|"
    "let's|i|would|like|do|is|with|are|good|to go|go"
)
_NO = "no|nope|nah|not (?:really|now|quite|right|correct|yet|today)|wrong|incorrect|don't|that's not|that isn't"
_SAYS_YES = re.compile(rf" (?:{_YES})(?= )")
_SAYS_NO = re.compile(rf" (?:{_NO})(?= )")
_ONLY_YES = re.compile(rf"^ (?:(?:{_YES}|{_BESIDE_A_YES}) )+$")
_DOUBTS = re.compile(
    r"^ (?:is|are|would|so is|and is) | (?:no|not|nope|nah|never|wrong|don't|didn't|isn't) |"
    r" (?:wait|but|cancel|instead|actually|change|stop) "
)

_ASKS = re.compile(
    r"^ (?:(?:and|so|but|um|uh|okay|well|oh|sorry|wait|also|actually|yes|no|hi|hello|first|quick question) )*"
    r"(?:how|what|what's|where|where's|which|who|who's|why|when|do|does|is|are|can|could|would|will|did|may|should|has|"
    r"have you|any chance|what about|how about|i have a question|i was wondering|tell me)\b"
)
_STRONG = re.compile(
    r" (?:how (?:much|long|many|far|often|late)|what's|who's|what (?:does|do|is|are|time|about|kind|happens)|"
    r"where (?:is|are|do|can|exactly)|where's|do you (?:take|have|do|accept|offer|know|sell|serve|also)|are you|"
    r"is there|are there|is it|does it|do i (?:have|need)|which (?:is|are|do)|why|who (?:is|are|will)|"
    r"can (?:i|we) (?:bring|pay|park|stay|get to)|is parking) "
)
_FOLLOWS = re.compile(
    r"^ (?:(?:okay|um|uh|oh|so|great|thanks|alright|all right) )*(?:and|what about|how about)\b|"
    r"\b(?:that|those|it|them|there|this one|these)\b"
)
_POINTS_BACK = re.compile(r" (?:that|those|it|them|this one|these|how (?:much|long|many|often)) ")
_MOST_WORDS_THAT_LEAN = 9
_NEXT_ASK = re.compile(
    r"(?:[?.!;]\s+|,?\s+\b(?:and|also|plus|oh and)\b\s+(?:also\s+)?)"
    r"(?=(?:how|what|where|when|which|who|do|does|is|are|can|could|will|would)\b)",
    re.IGNORECASE,
)


def is_yes(text: str) -> bool:
    """A yes and nothing but a yes: no denial, no "but", nothing new in it."""
    line = spaced(text)
    return bool(_SAYS_YES.search(line)) and not _DOUBTS.search(line) and bool(_ONLY_YES.match(line))


def is_no(text: str) -> bool:
    """Whether it denies, whatever else it says: ``no, Tuesday``."""
    return bool(_SAYS_NO.search(spaced(text)))


def asks(text: str) -> bool:
    """Whether it has the form of a question; a question mark is not to be had."""
    return text.rstrip().endswith("?") or bool(_ASKS.match(spaced(text)))


def asks_strongly(text: str) -> bool:
    """Whether it can be nothing but a question: ``how much is it``; "can I come on Friday" can be an answer."""
    line = spaced(text)
    return bool(_STRONG.search(line)) and len(line.split()) > 2


def follows_on(text: str) -> bool:
    """Whether it leans on what was said before: ``and on Saturdays?``, ``how much is that?``."""
    return bool(_FOLLOWS.search(spaced(text))) and len(plain(text)) <= _MOST_WORDS_THAT_LEAN


def points_back(text: str) -> bool:
    """Whether it says nothing but what it wants to know of the last thing: ``how much is that``."""
    return bool(_POINTS_BACK.search(spaced(text)))


def parted(text: str) -> list[str]:
    """The things asked at once: ``are you open Saturday and where do I park`` gives two. Never more than two."""
    parts = [part.strip() for part in _NEXT_ASK.split(text, maxsplit=1) if part and part.strip()]
    long_enough = all(len(part.split()) >= 3 for part in parts)
    return parts if len(parts) > 1 and long_enough else [text]
