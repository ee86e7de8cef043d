"""Text -> token numbers, as BERT's uncased models were taught to read. PURE; the vocabulary is given from outside.

Two steps: text is cleaned, lower-cased, stripped of accents and cut into words and single punctuation marks; then each
word is cut, longest piece first, into pieces that the vocabulary has. Checked in tests against the library that the
model's makers use.
"""

import unicodedata
from collections.abc import Iterator, Mapping

from engine.errors import ConfigurationError

UNKNOWN, BEGIN, END = "[UNK]", "[CLS]", "[SEP]"
_LONGEST_WORD = 100  # characters; a longer one is unknown as a whole, as it was when the model was taught
_CONTROLS = frozenset({"Cc", "Cf"})
_KEPT_CONTROLS = "\t\n\r"
# Chinese characters have no spaces between them: each is a word of its own.
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPiece:
    """Reads texts with one vocabulary."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        """``vocabulary`` says each piece's number; a piece that continues a word begins with ``##``.

        Raises:
            ConfigurationError: one of the three marks that every text needs is not in it.
        """
        if missing := [mark for mark in (UNKNOWN, BEGIN, END) if mark not in vocabulary]:
            raise ConfigurationError(f"the vocabulary lacks {', '.join(missing)}: it is not one of a BERT model")
        self._numbers = vocabulary
        self._unknown = vocabulary[UNKNOWN]

    def numbers(self, text: str, *, limit: int) -> list[int]:
        """At most ``limit`` (at least 2) token numbers, the marks of begin and end among them; the rest is cut off."""
        found: list[int] = [self._numbers[BEGIN]]
        for word in split_words(text):
            found.extend(self._pieces(word))
            if len(found) >= limit:
                break
        return [*found[: limit - 1], self._numbers[END]]

    def _pieces(self, word: str) -> list[int]:
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        pieces: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                if (number := self._numbers.get(prefix + word[start:end])) is not None:
                    pieces.append(number)
                    start = end
                    break
            else:
                return [self._unknown]  # a word of which any part is unknown is unknown
        return pieces


def split_words(text: str) -> Iterator[str]:
    """Lower-case words without accents, and each punctuation mark by itself."""
    word = ""
    for char in unicodedata.normalize("NFD", _clean(text)):
        if unicodedata.category(char) == "Mn":
            continue
        if char.isspace() or _stands_alone(char):
            if word:
                yield word
            word = ""
            if not char.isspace():
                yield char.lower()
        else:
            word += char.lower()
    if word:
        yield word


def _clean(text: str) -> str:
    """Without control characters; a tab or line break stays, as the space it is."""
    return "".join(
        char
        for char in text
        if char in _KEPT_CONTROLS or (char != "\ufffd" and unicodedata.category(char) not in _CONTROLS)
    )


def _stands_alone(char: str) -> bool:
    code = ord(char)
    if code < 128:
        return char.isprintable() and not char.isalnum() and not char.isspace()
    if unicodedata.category(char).startswith("P"):
        return True
    return any(first <= code <= last for first, last in _IDEOGRAPHS)
