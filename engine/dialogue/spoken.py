"""Written text -> text that sounds right when it is read out, and is short enough for a telephone. PURE.

American English. Nothing is reworded: symbols, prices, times, numbers and addresses of the net become words.
"""

import re

LONGEST_ANSWER = 240  # characters; about fifteen seconds, after which nobody remembers how it began
LONGEST_SAID = 420  # of everything said at once, an answer and a question after it

_SHORT_FORMS = "mr|mrs|ms|dr|st|no|vs|e.g|i.e|a.m|p.m|approx|incl|[a-z]"
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'\u2019\u201d)]*\s+")
_ENDS_IN_SHORT_FORM = re.compile(rf"(?:^|[\s(])(?:{_SHORT_FORMS})\.$", re.IGNORECASE)
_LOWER_FOLLOWS = re.compile(r"^[a-z]")
_CLAUSE_END = re.compile(r"[,;:]\s+|\s+[\u2013\u2014-]\s+")
# What limits, excepts or denies: an answer without it would be another answer.
_LIMITS = re.compile(
    r"\b(?:not|no|never|none|nor|only|but|except|unless|until|if|without|however|though|cannot|\w+n't)\b",
    re.IGNORECASE,
)

# Each begins where nothing of its kind stands before, and gives nothing back: odd text costs no more than plain.
_URL = re.compile(
    r"(?<![\w.-])(?:https?://)?(?:www\.)?((?:[a-z0-9-]++\.)+(?:com|org|net|io|dev|edu|gov|us|co))(/[\w/-]*+)?(?!\w)",
    re.IGNORECASE,
)
_MAIL = re.compile(r"(?<![\w.+-])([\w.+-]++)@([\w-]++(?:\.[\w-]++)+)")
_MONEY = re.compile(r"\$\s?(\d[\d,]*)(?:\.(\d\d))?\b")
_PHONE = re.compile(r"(?<![\w$])(\+?1?[\s.-]?\(?\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}|\+\d{8,15}|\d{10})(?![\w])")
_CLOCK_RANGE = re.compile(r"(?<=\d|m|\.)\s?[\u2013\u2014-]\s?(?=\d{1,2}(?::\d\d)?\s?(?:[ap]\.?m|\b))", re.IGNORECASE)
_CLOCK24 = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b(?!\s?[ap]\.?m)", re.IGNORECASE)
_MERIDIEM = re.compile(r"(\d)\s?([ap])\.?m\b\.?", re.IGNORECASE)
_MARKUP = re.compile(r"\*\*|__|`|^\s*#+\s*|^\s*(?:[-*\u2022]|\d+[.)])\s+", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_WORDS = (
    (re.compile(r"\be\.g\.,?", re.IGNORECASE), "for example"),
    (re.compile(r"\bi\.e\.,?", re.IGNORECASE), "that is"),
    (re.compile(r"\bapprox\.?\s", re.IGNORECASE), "about "),
    (re.compile(r"\bDr\.(?=\s+[A-Z])"), "Doctor"),
    (re.compile(r"\bvs\.", re.IGNORECASE), "versus"),
    (re.compile(r"\b24/7\b"), "around the clock"),
    (re.compile(r"(?<=\d)\s?%"), " percent"),
    (re.compile(r"\s?°\s?F\b"), " degrees Fahrenheit"),
    (re.compile(r"\s?°\s?C\b"), " degrees Celsius"),
    (re.compile(r"°"), " degrees"),
    (re.compile(r"\s*&\s*"), " and "),
    (re.compile(r"(?<=\w)\s?\+\s?(?=\w)"), " plus "),
    (re.compile(r"(?<=[a-z])/(?=[a-z])", re.IGNORECASE), " or "),
    (re.compile(r"(?<=\d)\s?[\u2013\u2014]\s?(?=\d)"), " to "),
    (re.compile(r"\s+[\u2013\u2014-]\s+"), ", "),
    (re.compile(r"\u2026|\.\.\."), "."),
    (re.compile(r"[\[\]{}<>|~^\\*_#=\u201c\u201d\"]"), " "),
)


def sayable(text: str) -> str:
    """``text`` without a sign that a voice would stumble over: ``$1.50 & 10%`` becomes words."""
    text = _MARKUP.sub("", _LINK.sub(r"\1", text))
    text = _MAIL.sub(lambda match: f"{_dotted(match[1])} at {_dotted(match[2])}", text)
    text = _URL.sub(lambda match: _dotted(match[1]) + (match[2] or "").rstrip("/").replace("/", " slash "), text)
    text = _MONEY.sub(_money, text)
    text = _PHONE.sub(lambda match: spoken_number(match[1]), text)
    text = _CLOCK_RANGE.sub(" to ", text) if _CLOCK24.search(text) or _MERIDIEM.search(text) else text
    text = _CLOCK24.sub(lambda match: spoken_clock(int(match[1]), int(match[2])), text)
    text = _MERIDIEM.sub(lambda match: f"{match[1]} {match[2].lower()}.m.", text)
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    text = " ".join(char if char.isprintable() else " " for char in text.split("\0"))
    text = re.sub(r"\s+([.,;:!?])", r"\1", " ".join(text.split()))
    return re.sub(r"([.!?])\.(?!\w)", r"\1", text)


def _dotted(name: str) -> str:
    return name.replace(".", " dot ").replace("-", " dash ").replace("_", " underscore ").replace("+", " plus ")


def _money(match: re.Match[str]) -> str:
    whole, cents = match[1].rstrip(","), match[2]
    comma = "," if match[1].endswith(",") else ""
    said = f"{whole} dollar{'' if whole == '1' else 's'}"
    return (said if cents in (None, "00") else f"{said} and {int(cents)} cents") + comma


def spoken_number(number: str) -> str:
    """A telephone number digit by digit, in groups: ``+15550100123`` becomes ``5 5 5, 0 1 0, 0 1 2 3``."""
    digits = [char for char in number if char.isdecimal()]
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    if len(digits) == 10:
        groups = [digits[:3], digits[3:6], digits[6:]]
    else:
        groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    return ", ".join(" ".join(group) for group in groups)


def spoken_clock(hour: int, minute: int) -> str:
    """``14, 30`` becomes ``2:30 p.m.``."""
    if (hour, minute) == (12, 0):
        return "noon"
    minutes = f":{minute:02}" if minute else ""
    return f"{hour % 12 or 12}{minutes} {'a.m.' if hour < 12 else 'p.m.'}"


def sentences(text: str) -> list[str]:
    """The sentences of a text, each whole, with a full stop where a line had none; abbreviations end none."""
    found: list[str] = []
    for line in text.split("\n"):
        start = 0
        for end in _SENTENCE_END.finditer(line):
            piece = line[start : end.end()].strip()
            if piece and (not _ENDS_IN_SHORT_FORM.search(piece) or _ends_all_the_same(piece, line[end.end() :])):
                found.append(piece)
                start = end.end()
        if last := line[start:].strip():
            found.append(last if last[-1] in ".!?" else f"{last.rstrip(',;:')}.")
    return found


def _ends_all_the_same(piece: str, rest: str) -> bool:
    """``... at 8 a.m. The door ...`` is two sentences, ``8 a.m. to ...`` is one."""
    return bool(re.search(r"[ap]\.m\.$", piece, re.IGNORECASE)) and bool(re.match(r"[A-Z]", rest))


def shortened(sentence: str, limit: int) -> str | None:
    """The sentence if it fits; else its beginning up to a clause, unless what is left out limits or denies it.

    Returns:
        None where no honest cut fits: half a sentence may say the opposite of the whole.
    """
    if len(sentence) <= limit:
        return sentence
    for end in reversed(list(_CLAUSE_END.finditer(sentence, 0, limit))):
        head, rest = sentence[: end.start()], sentence[end.end() :]
        if len(head.split()) >= 4 and not _LIMITS.search(rest) and not _is_open(head):
            return f"{head}."
    return None


def limits(sentence: str) -> bool:
    """Whether it limits, excepts or denies something."""
    return bool(_LIMITS.search(sentence))


def _is_open(head: str) -> bool:
    """Whether it waits for more: ``if you come late``, ``between the``."""
    return bool(
        re.match(r"(?:if|when|once|because|although|before|after|while|unless)\b", head, re.IGNORECASE)
    ) or bool(re.search(r"\b(?:and|or|the|a|an|of|to|for|with|between|including)$", head, re.IGNORECASE))


def bounded(text: str, limit: int = LONGEST_SAID) -> str:
    """As many whole sentences as fit; at least the first words."""
    if len(text) <= limit:
        return text
    if limit < 4:
        return ""
    said = ""
    for sentence in sentences(text):
        if len(said) + len(sentence) + 1 > limit:
            break
        said = f"{said} {sentence}".strip()
    return said or f"{text[: limit - 1].rsplit(' ', 1)[0].rstrip(',;:')}."[:limit]
