"""PURE: one utterance of a voice: what it was given to say, how far its sound has come, what was heard by when.

Alignment tells when each character is said, counted from the start of the sound that it came with, so each piece is
placed by the length of all sound before it. Characters are matched with the text without regard to space; where a piece
comes without alignment, the text is taken to keep pace with the sound.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import TypeAlias

from engine.audio.g711 import BYTES_PER_MS
from engine.wire.elevenlabs import Alignment

_WORD = re.compile(r"\S+")
_LOOK_AHEAD = 24  # characters in which one that was left out by the voice is looked for


class Utterance:
    """What is said under one context."""

    def __init__(self, context_id: str) -> None:
        self.context_id = context_id
        self.text = ""
        """All that the voice was given to say: sentences, one space between them."""
        self._said = 0  # so much of the text has come as sound,
        self._told = 0  # and so much in whole words
        self._bytes = 0
        self._aligned = False
        self._ends: list[int] = []  # character positions of the text, rising, and
        self._ends_ms: list[float] = []  # when the sound of what lies before each has been played

    def add(self, sentence: str) -> None:
        """One more sentence to say."""
        self.text = f"{self.text} {sentence}" if self.text else sentence

    def sound(self, mulaw: bytes, alignment: Alignment | None) -> str:
        """More sound; the words that are whole by it, with their own spacing."""
        if alignment is not None and any(not char.isspace() for char in "".join(alignment.chars)):
            self._aligned = True
            self._place(alignment, self.received_ms)
        elif not self._aligned:
            self._said = len(self.text)
        self._bytes += len(mulaw)
        before, self._told = self._told, max(self._told, self._whole_words())
        return self.text[before : self._told]

    def complete(self) -> str:
        """No more sound will come; the text that was not told yet."""
        before, self._told = self._told, len(self.text)
        self._said = self._told
        return self.text[before:]

    def heard(self, played_ms: float) -> str:
        """The words whose sound was over after so much of it was played."""
        words = [(found.start(), found.end()) for found in _WORD.finditer(self.text[: self._told])]
        return self.text[: max((end for _, end in words if self._over_ms(end) <= played_ms), default=0)]

    @property
    def received_ms(self) -> float:
        """How much sound has come."""
        return self._bytes / BYTES_PER_MS

    @property
    def unsaid(self) -> str:
        """The text of which no sound has come, from the beginning of the word in which the sound stops."""
        return self.text[self._told :].strip()

    @property
    def owes_sound(self) -> bool:
        """Something was given to say that has not been said."""
        return any(char.isalnum() for char in self.text[self._said :])

    def _place(self, alignment: Alignment, base_ms: float) -> None:
        for char, start_ms, length_ms in zip(alignment.chars, alignment.starts_ms, alignment.durations_ms, strict=True):
            for one in char:
                if one.isspace() or self._said >= len(self.text):
                    continue
                self._said = self._position_of(one) + 1
                self._ends.append(self._said)
                self._ends_ms.append(base_ms + start_ms + length_ms)

    def _whole_words(self) -> int:
        """Where the last word ends of which no letter is missing."""
        found = _WORD.match(self.text, self._said)
        if found is None or not any(char.isalnum() for char in found[0]):
            return self._said if found is None else found.end()
        return next((at for at in range(self._said, 0, -1) if self.text[at - 1].isspace()), 0)

    def _position_of(self, char: str) -> int:
        at = self._said
        while at < len(self.text) and self.text[at].isspace():
            at += 1
        if at < len(self.text) and self.text[at] == char:
            return at
        ahead = self.text.find(char, at, at + _LOOK_AHEAD)
        return ahead if ahead >= 0 else min(at, len(self.text) - 1)

    def _over_ms(self, position: int) -> float:
        """When the sound of the text before ``position`` is over."""
        if not self._aligned:
            return self.received_ms * position / max(1, self._said)
        found = bisect_left(self._ends, position)
        return self._ends_ms[found] if found < len(self._ends_ms) else self.received_ms


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of an utterance: mu-law at 8 kHz, and the text that it says."""

    utterance: Utterance
    mulaw: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The utterance has been said to its end. ``text``: what of it no piece had told."""

    utterance: Utterance
    text: str


Spoken: TypeAlias = Said | Done
