"""What lies in the carrier's playback queue, as far as we can know: the pacer's model of the far side.

The carrier plays at 1x, so within a *run* (a time in which its queue never was empty)

    played = min(sent, time since the run began)

Positions are samples (= bytes of mu-law) on one axis that only grows: all that was ever sent. Audio and a clear take
the same way, so what will have been played when a clear sent now arrives is the model's head now, however far the
carrier.

Marks keep the model honest. An echo earlier than expected moves it on at once. Echoes that keep coming later than the
quickest one of this call mean that audio was stuck on its way and the carrier fell silent meanwhile: then the run is
taken to have begun so much later. Late echoes at one instant mean only that *they* were stuck, and change nothing.
"""

from collections import deque
from typing import Final

from engine.audio.echo import PlayedSound
from engine.audio.g711 import SAMPLE_RATE_HZ

_LATE_ECHOES: Final = 3
_SPREAD_S: Final = 0.3  # between the first and the last of them: marks come every 200 ms
_TOLERANCE_S: Final = 0.05  # jitter of echoes that is not worth a correction


class CarrierQueue:
    """A clock for the carrier's playback. Instants are seconds, positions samples."""

    def __init__(self) -> None:
        self.sent = 0
        """Position behind everything sent so far."""
        self.cleared = 0
        """Samples that were taken back by ``clear`` before they were played."""
        self.slipped_s = 0.0
        """How long the carrier is known to have been silent while we thought that it played."""
        self.played = PlayedSound()
        """What it sounds like, for whoever must know our voice when it comes back from the line."""
        self._run_start = 0  # position at which the present run began
        self._run_at = 0.0  # and the instant
        self._quickest = float("inf")  # from when we thought a mark was reached to its echo
        self._excess: deque[tuple[float, float]] = deque(maxlen=_LATE_ECHOES)  # instant, and how much slower

    def send(self, mulaw: bytes, now: float) -> None:
        """This was sent; a dry queue begins a new run."""
        if self.head(now) == self.sent:
            self._begin_run(now)
        self.played.add(mulaw, self.dry_at(), now)
        self.sent += len(mulaw)

    def clear(self, now: float) -> None:
        """The carrier was told to drop what it has not played."""
        self.cleared += self.unplayed(now)
        self.played.clear(now)
        self._begin_run(now)

    def head(self, now: float) -> int:
        """Position that plays now."""
        return min(self.sent, self._run_start + max(0, round((now - self._run_at) * SAMPLE_RATE_HZ)))

    def unplayed(self, now: float) -> int:
        """How many samples lie there that have not been played."""
        return self.sent - self.head(now)

    def dry_at(self) -> float:
        """When the queue runs out, or ran out."""
        return self._instant_of(self.sent)

    def echoed(self, position: int, now: float) -> None:
        """A mark behind this position came back, so everything before it has been played."""
        if position <= self._run_start:
            return  # of an earlier run: it says nothing about this one
        lag = now - self._instant_of(position)
        if lag < 0.0:
            self._run_at += lag
            lag = 0.0
        self._quickest = min(self._quickest, lag)
        self._excess.append((now, lag - self._quickest))
        slip = min(excess for _, excess in self._excess)
        if slip > _TOLERANCE_S and now - self._excess[0][0] >= _SPREAD_S:
            self._run_at += slip
            self.slipped_s += slip
            self._excess.clear()

    def _instant_of(self, position: int) -> float:
        return self._run_at + (position - self._run_start) / SAMPLE_RATE_HZ

    def _begin_run(self, now: float) -> None:
        self._run_start, self._run_at = self.sent, now
        self._excess.clear()
