"""What lies in the carrier's playback queue, as far as we can know: the pacer's model of the far side.

The carrier plays at 1x, so within a *run* (a time in which its queue never was empty)

    played = min(sent, time since the run began)

Positions are samples (= bytes of mu-law) on one axis that only grows: all that was ever sent. That model is the pace
(``head``). What was *heard* is a little behind, by the time that audio takes to the carrier and a mark's echo takes
back; the smallest such lag among the last echoes is the one least spoilt by waiting in buffers (``heard``).
"""

from collections import deque
from typing import Final

from engine.audio.g711 import SAMPLE_RATE_HZ

_ECHOES_KEPT: Final = 8  # marks come every 200 ms: a path that became slower is noticed within 2 s


class CarrierQueue:
    """A clock for the carrier's playback. Instants are seconds, positions samples."""

    def __init__(self) -> None:
        self.sent = 0
        """Position behind everything sent so far."""
        self.cleared = 0
        """Samples that were taken back by ``clear`` before they were played."""
        self._run_start = 0  # position at which the present run began
        self._run_at = 0.0  # and the instant
        self._lags: deque[float] = deque(maxlen=_ECHOES_KEPT)

    def send(self, samples: int, now: float) -> None:
        """So much was sent; a dry queue begins a new run."""
        if self.head(now) == self.sent:
            self._run_start, self._run_at = self.sent, now
        self.sent += samples

    def clear(self, now: float) -> None:
        """The carrier was told to drop what it has not played."""
        self.cleared += self.sent - self.head(now)
        self._run_start, self._run_at = self.sent, now

    def head(self, now: float) -> int:
        """Position that plays now, as if nothing took time on its way."""
        return min(self.sent, self._run_start + max(0, round((now - self._run_at) * SAMPLE_RATE_HZ)))

    def heard(self, now: float) -> int:
        """Position that plays now at the carrier; before the first echo the same as ``head``."""
        return self.head(now - min(self._lags)) if self._lags else self.head(now)

    def dry_at(self) -> float:
        """When the queue runs out, or ran out."""
        return self._run_at + (self.sent - self._run_start) / SAMPLE_RATE_HZ

    def echoed(self, position: int, now: float) -> None:
        """A mark behind this position came back, so everything before it has been played."""
        if position <= self._run_start:
            return  # of an earlier run: its echo says nothing about this one
        lag = now - (self._run_at + (position - self._run_start) / SAMPLE_RATE_HZ)
        if lag < 0.0:  # it plays faster than we thought: never pretend that more is left than can be
            self._run_at += lag
            self._lags.clear()
        self._lags.append(max(0.0, lag))
