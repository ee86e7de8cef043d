"""PURE: does a model talk without end? Bounds on what may follow one thing that was asked of it.

Three ways of not stopping: an answer that is too long, one that says the same sentence again and again, and tool calls
without end (a badly described tool has been called more than a hundred times in a turn). The sound is counted as it
comes, which may be much faster than it is heard: a minute too much is noticed before the caller has heard ten seconds.
"""

import re
from collections import Counter

LONGEST_RESPONSE_S = 60.0  # nobody listens to a receptionist for a minute; half as long again as a long list read out
MOST_REPEATS = 3  # of one sentence: somebody asks back, or is read a number twice
SHORTEST_SENTENCE = 12  # characters: "Yes." and "Hello?" may come as often as they like
MOST_CALLS = 12  # tool calls for one turn; a booking with its look-ups takes four or five

_BYTES_PER_S = 8000  # of mu-law
_END = re.compile(r"[.!?…\n]+")
_NOT_WORDS = re.compile(r"\W+")


class Bounds:
    """Of one session. Each method says what is too much, or None."""

    def __init__(self) -> None:
        self.asked()

    def asked(self) -> None:
        """Something new was asked of the model: count from nothing."""
        self._bytes = self._calls = 0
        self._begun = ""  # the sentence that has not ended yet
        self._said: Counter[str] = Counter()

    def sound(self, mulaw: bytes) -> str | None:
        """More sound of a response came, mu-law at 8 kHz."""
        self._bytes += len(mulaw)
        if self._bytes > LONGEST_RESPONSE_S * _BYTES_PER_S:
            return f"more than {LONGEST_RESPONSE_S:g} s of sound in one answer"
        return None

    def text(self, delta: str) -> str | None:
        """More text of a response came; looked at where a sentence ends."""
        if not _END.search(delta):
            self._begun += delta
            return None
        *whole, self._begun = _END.split(self._begun + delta)
        for sentence in whole:
            plain = _NOT_WORDS.sub(" ", sentence).strip().lower()
            if len(plain) < SHORTEST_SENTENCE:
                continue
            self._said[plain] += 1
            if self._said[plain] > MOST_REPEATS:
                return f"the same sentence for the {self._said[plain]}th time: {plain[:80]!r}"
        return None

    def call(self) -> str | None:
        """The model called a tool."""
        self._calls += 1
        return f"more than {MOST_CALLS} tool calls for one turn" if self._calls > MOST_CALLS else None
