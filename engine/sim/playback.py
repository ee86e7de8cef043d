"""PURE: the carrier's playout queue, played at 1x, and what the caller's ear got of it.

Theory of operation.  The queue is first in, first out and plays in real time, so the moment a byte arrives its place
on the line is settled: behind the last byte queued, or *now* where the queue is dry.  Hence there is no queue object.
``timeline`` holds one byte per 125 us since the start of the stream, silence included; what lies beyond *now* is what
is queued.  A mark sits at an offset; ``clear`` cuts the timeline at *now*.  Every call costs the same, whatever the
length of the queue.

An **underrun** is a queue run dry in mid-utterance.  Which utterance a piece of audio belongs to is only said by the
mark behind it (``u<generation>:<n>``, ``u<generation>:end``), so a dry stretch is judged when the next mark comes: it
counts unless the utterance before it had ended, was cleared, or has another number than the one after it.  A stretch
that no mark ever explains counts.
"""

from array import array
from collections import deque
from dataclasses import dataclass

from engine.sim.hearing import BYTES_PER_MS, SAME_UTTERANCE_MS, SILENCE, loud_span

QUEUE_LIMIT_S = 600.0  # what comes beyond this is thrown away: 31931
_PER_S = 1000 * BYTES_PER_MS
_END = ":end"


@dataclass(frozen=True, slots=True)
class PlaybackStatistics:
    """How the audio came. ``lateness_ms``: per message; negative is the lead that was left when it arrived."""

    received_ms: float
    played_ms: float
    gaps_ms: tuple[float, ...]
    lateness_ms: tuple[float, ...]
    discarded_ms: float
    marks: int
    clears: int


class Playback:
    """One stream's way to the caller's ear, from ``started_at`` on."""

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self._timeline = bytearray()
        self._marks: deque[tuple[int, str]] = deque()
        self._ended = True  # nothing is under way that could run dry
        self._label: str | None = None  # the utterance under way, as far as a mark has said
        self._unjudged: list[tuple[float, str | None]] = []  # dry stretches: ms, utterance before
        self._gaps: list[float] = []
        self._lateness = array("d")
        self._sound_since = self._sound_until = -1
        self._received = self._discarded = self._mark_count = self._clears = 0

    # --- what the server sends ---------------------------------------------------------------------------------

    def push(self, mulaw: bytes, now: float) -> bool:
        """Queue audio. False where the queue was full and it was thrown away whole."""
        head, tail = self._index(now), len(self._timeline)
        if tail - head + len(mulaw) > QUEUE_LIMIT_S * _PER_S:
            self._discarded += len(mulaw)
            return False
        if tail > head:
            self._lateness.append((head - tail) / BYTES_PER_MS)
        else:
            if not self._ended and head > tail:
                self._unjudged.append(((head - tail) / BYTES_PER_MS, self._label))
            self._timeline += SILENCE * (head - tail)
            tail = head
        if self._ended:
            self._ended, self._label = False, None
        self._received += len(mulaw)
        self._timeline += mulaw
        self._note_sound(mulaw, tail)
        return True

    def mark(self, name: str, now: float) -> None:
        """Put a mark behind all that is queued; ``advance`` gives it back when it has been reached."""
        del now  # a mark's place does not depend on when it came; kept so that all three are called alike
        self._mark_count += 1
        self._marks.append((len(self._timeline), name))
        label = name.partition(":")[0]
        for gap_ms, before in self._unjudged:
            if before is None or before == label:
                self._underrun(gap_ms)
        self._unjudged.clear()
        self._label = label
        self._ended = name.endswith(_END)

    def clear(self, now: float) -> None:
        """Throw away what has not been played; every mark waiting comes back at the next ``advance``."""
        head = self._index(now)
        self._clears += 1
        del self._timeline[head:]
        self._marks = deque((0, name) for _, name in self._marks)
        self._ended = True
        self._sound_until = min(self._sound_until, head)

    def advance(self, now: float) -> list[str]:
        """The marks reached by now, in the order in which they came."""
        reached: list[str] = []
        if self._marks:
            head = self._index(now)
            while self._marks and self._marks[0][0] <= head:
                reached.append(self._marks.popleft()[1])
        return reached

    # --- what the caller hears ---------------------------------------------------------------------------------

    @property
    def sound_since(self) -> float | None:
        """The instant (perhaps still to come) at which the latest utterance began to sound."""
        return None if self._sound_since < 0 else self.started_at + self._sound_since / _PER_S

    @property
    def sound_until(self) -> float | None:
        """The instant (perhaps still to come) after the last loud sample queued so far."""
        return None if self._sound_until < 0 else self.started_at + self._sound_until / _PER_S

    def queued_ms(self, now: float) -> float:
        """What is waiting to be played."""
        return max(0, len(self._timeline) - self._index(now)) / BYTES_PER_MS

    def heard(self, now: float) -> bytes:
        """All that was played up to now, one byte per 125 us since the stream began."""
        head = self._index(now)
        return bytes(self._timeline[:head]).ljust(head, SILENCE)

    def between(self, since: int, until: int) -> bytes:
        """What is in the ear from one offset to another (bytes since the stream began), silence where nothing is."""
        first = max(0, since)
        return SILENCE * (min(until, 0) - min(since, 0)) + bytes(self._timeline[first : max(0, until)]).ljust(
            max(0, until) - first, SILENCE
        )

    def statistics(self, now: float) -> PlaybackStatistics:
        """Counts up to now; dry stretches that no mark has explained yet count as underruns."""
        unexplained = [gap_ms for gap_ms, _ in self._unjudged]
        return PlaybackStatistics(
            received_ms=self._received / BYTES_PER_MS,
            played_ms=min(len(self._timeline), self._index(now)) / BYTES_PER_MS,
            gaps_ms=(*self._gaps, *unexplained),
            lateness_ms=(*self._lateness, *unexplained),
            discarded_ms=self._discarded / BYTES_PER_MS,
            marks=self._mark_count,
            clears=self._clears,
        )

    # --- inside ------------------------------------------------------------------------------------------------

    def _index(self, now: float) -> int:
        return max(0, round((now - self.started_at) * _PER_S))

    def _underrun(self, gap_ms: float) -> None:
        self._gaps.append(gap_ms)
        self._lateness.append(gap_ms)

    def _note_sound(self, mulaw: bytes, at: int) -> None:
        span = loud_span(mulaw)
        if span is None:
            return
        if self._sound_since < 0 or at + span[0] - self._sound_until > SAME_UTTERANCE_MS * BYTES_PER_MS:
            self._sound_since = at + span[0]
        self._sound_until = at + span[1]
