"""PURE: how far a response's sound has come ahead of the caller's ear, and when that leaves time.

A model sends its answer faster than it is heard, in pieces of a few hundredths of a second. While enough of it is here,
nobody gains by taking each piece as it comes: a reader that pauses finds several at once, and whatever is done per
piece, from the system call to the caller's playout, is done once for all of them. What the pause keeps waiting, be it
the rest of the answer, its end, or a tool call, is due only after what is ahead has been heard.

What stays ahead meanwhile is what a slow network, or a moment in which this process is late, may use up.
"""

import math

KEEP_S = 0.12  # stays ahead through every pause
SHORTEST_S = 0.03  # a pause costs a wake-up itself
LONGEST_S = 0.1  # a broken connection is noticed so much later: with the carrier's lead, in time for the script


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

    def pause_s(self, now: float) -> float:
        """For how many seconds the reader may pause; 0.0: not at all."""
        pause_s = self._heard_at - now - KEEP_S
        return min(pause_s, LONGEST_S) if pause_s >= SHORTEST_S else 0.0
