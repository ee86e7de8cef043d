"""PURE: the beginning of an utterance, held back for a moment where this process is known to be late.

A model's first piece is some 40 ms of sound, and the next follows at once; where the process is late by as much before
it reads again, the caller hears a hole after the first syllable. So while it is late at times, the first sound waits
until there is enough of it, or a moment has passed. Where the process keeps time nothing is ever held: the first sound
of an answer is what a caller waits for.
"""

import math
from typing import Final

from engine.audio.g711 import BYTES_PER_MS

ENOUGH: Final = 80 * BYTES_PER_MS
LONGEST_S: Final = 0.02


class Start:
    """Of one call's playout, an utterance at a time. Instants are seconds on the call's clock."""

    def __init__(self) -> None:
        self.until = math.inf
        """When what is held is to go at the latest; infinity: nothing is."""
        self._generation = self._newest = -1
        self._held: list[bytes] = []
        self._bytes = 0

    def holds(self, generation: int, mulaw: bytes, now: float, *, may_begin: bool) -> bool:
        """Whether this sound is held; if not, what was held before it goes first.

        Args:
            generation: whose sound it is.
            mulaw: the sound.
            now: the instant.
            may_begin: whether the beginning of an utterance may be held now.
        """
        is_first, self._newest = generation > self._newest, max(generation, self._newest)
        if is_first and may_begin and self.until == math.inf:
            self._generation, self.until = generation, now + LONGEST_S
        elif generation != self._generation or self.until == math.inf:
            return False
        if self._bytes + len(mulaw) >= ENOUGH:
            return False
        self._held.append(mulaw)
        self._bytes += len(mulaw)
        return True

    def release(self) -> tuple[int, bytes] | None:
        """What was held, and whose it is; None where nothing was."""
        if self.until == math.inf:
            return None
        held, self._held, self._bytes, self.until = b"".join(self._held), [], 0, math.inf
        return (self._generation, held) if held else None
