"""PURE: the way between the caller and the server, seeded: delay, jitter, holds that end in bursts, loss.

A route is asked once for each frame, with the instant at which the frame is due, and says when it really leaves. It
draws the same number of random values for every frame and looks at due instants only, so the same seed gives the same
call, however late the process itself is. Nothing overtakes: the carrier's stream is one TCP connection.
"""

import random
from typing import Protocol


class Route(Protocol):
    """When what the carrier sends really leaves."""

    def media(self, due_at: float) -> float | None:
        """The instant at which this frame leaves, not before any earlier one; None where it is lost."""

    def control(self, due_at: float) -> float:
        """The same for a key, a mark or the end: delayed and held like media, never lost."""


class NullNetwork:
    """All leaves when it is due."""

    def media(self, due_at: float) -> float | None:
        """At once."""
        return due_at

    def control(self, due_at: float) -> float:
        """At once."""
        return due_at


class Network:
    """A network with moods.

    Args:
        seed: same seed, same call.
        delay_ms: every frame is this late.
        jitter_ms: and by up to this much more, evenly spread.
        hold_probability: how likely a frame is to begin a hold: it and all behind it wait, then leave in one burst.
        hold_ms: the longest hold; lengths are evenly spread up to it. 250 ms is what was seen in the field.
        loss_probability: how likely a frame is to be lost; its chunk number is skipped and time goes on.
    """

    def __init__(
        self,
        seed: int,
        *,
        delay_ms: float = 0.0,
        jitter_ms: float = 0.0,
        hold_probability: float = 0.0,
        hold_ms: float = 250.0,
        loss_probability: float = 0.0,
    ) -> None:
        self._random = random.Random(seed)
        self._delay_s = delay_ms / 1000
        self._jitter_s = jitter_ms / 1000
        self._hold_probability = hold_probability
        self._hold_s = hold_ms / 1000
        self._loss_probability = loss_probability
        self._held_until = self._last = float("-inf")

    def media(self, due_at: float) -> float | None:
        """See ``Route``."""
        jitter, hold, length, loss = (self._random.random() for _ in range(4))
        if due_at >= self._held_until and hold < self._hold_probability:
            self._held_until = due_at + length * self._hold_s
        if loss < self._loss_probability:
            return None
        return self._in_order(due_at + jitter * self._jitter_s)

    def control(self, due_at: float) -> float:
        """See ``Route``."""
        return self._in_order(due_at)

    def _in_order(self, at: float) -> float:
        self._last = max(at + self._delay_s, self._held_until + self._delay_s, self._last)
        return self._last


class Hole:
    """A way on which nothing comes through for a while.

    Args:
        begins_at: the instant from which on, in seconds of the caller's clock.
        for_s: how long.
        kept: it was only held, and comes in one burst.
    """

    def __init__(self, begins_at: float, for_s: float, *, kept: bool) -> None:
        self._from = begins_at
        self._until = begins_at + for_s
        self._kept = kept

    def media(self, due_at: float) -> float | None:
        """See ``Route``."""
        if not self._from <= due_at < self._until:
            return due_at
        return self._until if self._kept else None

    def control(self, due_at: float) -> float:
        """See ``Route``."""
        return max(due_at, self._until) if self._kept and due_at >= self._from else due_at
