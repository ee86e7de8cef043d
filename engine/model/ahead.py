"""PURE: how far a response's sound has come ahead of the caller's ear, and when that leaves time.

A model sends its answer faster than it is heard, in pieces of a few hundredths of a second. While enough of it is here,
nobody gains by taking each piece as it comes: a reader that pauses finds several at once, and whatever is done per
piece, from the system call to the caller's playout, is done once for all of them. What the pause keeps waiting, be it
the rest of the answer, its end, or a tool call, is due only after what is ahead has been heard.
"""

import math

PLENTY_S = 0.3
PAUSE_S = 0.06  # between two looks; well below what is ahead


class Ahead:
    """Of one stream. Instants are seconds on the call's clock."""

    def __init__(self) -> None:
        self._heard_at = -math.inf

    def sound(self, seconds: float, now: float) -> None:
        """More sound came, to be heard after all that came before."""
        self._heard_at = max(self._heard_at, now) + seconds

    def stopped(self) -> None:
        """The rest of it will not be heard."""
        self._heard_at = -math.inf

    def is_plenty(self, now: float) -> bool:
        """Whether the reader may pause for ``PAUSE_S``."""
        return self._heard_at - now > PLENTY_S
