"""When a line's next frames can come, at the earliest: so long may whoever wants several of them together wait.

Frames come every 20 ms. What a stalled network owes may come at any time, all at once; what came early was owed by
nobody. Clocks drift and what is lost never comes, so a debt is forgotten slowly.
"""

from typing import Final

from engine.audio.g711 import FRAME_MS

FRAME_S: Final = FRAME_MS / 1000
OWED_MOST_S: Final = 0.25  # as long as gaps usually are
FORGOTTEN_S: Final = 0.001  # of a debt, with every frame


class Arrivals:
    """One line's. Instants are seconds."""

    def __init__(self) -> None:
        self._next_at = float("inf")

    def came(self, frames: int, now: float) -> None:
        """So many frames have come by now; also asked for with none."""
        next_at = self._next_at + frames * (FRAME_S + FORGOTTEN_S)
        if next_at > now + FRAME_S:
            next_at = now + FRAME_S
        elif next_at < now - OWED_MOST_S:
            next_at = now - OWED_MOST_S
        self._next_at = next_at

    def shortly_before(self, frame: int) -> float:
        """Half a frame before the next (1), the one after it (2), and so on, can come: they come not to the ms."""
        return self._next_at + (frame - 1.5) * FRAME_S
