"""Which words of an utterance the caller heard, from how much of its sound they heard. Pure.

Providers promise no order between a transcript and its sound (on some it runs seconds ahead), so where a delta stood
when it came says nothing about when it is heard. What does is the text itself: the time a word takes is proportional to
its letters, a figure read out takes as long as five of them, and a pause after a comma or a sentence has a length of
its own. Measured on 16 sentences of the offline voice, this tells a sentence's length to within 170 ms. All is counted
in *letters*, of 60 ms at an ordinary pace.

Where all of the sound is known, its share of the letters is exact at both ends. Where the model was cut off in
mid-generation, the pace is what this call's earlier utterances had, unless text and sound so far agree with a pace
close to it.
"""

import re
from typing import Final

MS_PER_LETTER: Final = 60.0
"""Before anything was heard on this call."""

_DIGIT: Final = 5.0
_AFTER_CLAUSE: Final = 5.0
_AFTER_SENTENCE: Final = 12.0
_SPREAD: Final = 1.5  # between voices
_SPREAD_OF_A_VOICE: Final = 1.25
_CLAUSE = re.compile(r"[,;:\u2013\u2014]\W*$")
_SENTENCE = re.compile(r"[.!?\u2026]\W*$")


def letters(text: str) -> float:
    """The length of what is said, without the pause after its last word."""
    ends = word_ends(text.split())
    return ends[-1] if ends else 0.0


def word_ends(words: list[str]) -> list[float]:
    """Where each word ends, in letters from the beginning."""
    ends, at = [], 0.0
    for word in words:
        digits = sum(character.isdigit() for character in word)
        at += max(1.0, sum(character.isalnum() for character in word) - digits + _DIGIT * digits)
        ends.append(at)
        at += _AFTER_SENTENCE if _SENTENCE.search(word) else _AFTER_CLAUSE if _CLAUSE.search(word) else 0.0
    return ends


def words_heard(text: str, heard_letters: float) -> str:
    """The words that ended by then."""
    words = text.split()
    return " ".join(word for word, end in zip(words, word_ends(words), strict=True) if end <= heard_letters)


class Pace:
    """How fast this call's voice speaks."""

    def __init__(self) -> None:
        self._letters = self._ms = 0.0

    @property
    def ms_per_letter(self) -> float:
        """By all that was learned."""
        return self._ms / self._letters if self._letters else MS_PER_LETTER

    def learn(self, text: str, ms: float) -> None:
        """This text took so long, whole."""
        length = letters(text)
        if length and ms > 0:
            self._letters += length
            self._ms += ms

    def in_step(self, text: str, ms: float) -> float:
        """Milliseconds per letter of an utterance of which so much text and so much sound had come when it was cut.

        Text far ahead of its sound says nothing of the pace. Sound far ahead of its text is either that, or a slow
        voice: better to believe that a word was not heard than that it was.
        """
        usual, length = self.ms_per_letter, letters(text)
        spread = _SPREAD_OF_A_VOICE if self._letters else _SPREAD
        seen = ms / length if length else usual
        return usual if seen < usual / spread else min(seen, usual * spread)
