"""The way out: which audio goes to the carrier when, what the caller has heard of it, and how it is taken back.

Theory. The carrier queues what we send and plays it at 1x (``carrier_queue``). A long queue there would make a stop
slow, an empty one is a hole in the sound, so at most ``lead_ms`` lie there unplayed. Audio goes in messages of
``quantum_ms``; but while the carrier has less than that left, whatever there is goes at once, so that neither the first
sound nor a model that speaks at 1x is ever held back. ::

    push -> backlog of an utterance -> due() -> Media ... Mark ... Mark(end) -> carrier -> on_mark() -> Played
                     |                                              |
                     +-------- cut(SOON) drops this --- cut(NOW) drops this too (Clear) -> CutReport

``pause`` clears the carrier too, but drops nothing: ``resume`` goes on from where the caller had heard, a word's
beginning earlier, unless a cut comes first and finds that position in its report.

Every utterance ends in exactly one ``Played`` or one ``CutReport`` (one of which nothing ever came ends in neither).
Generations are played in order; audio for one that ended, was cut or was overtaken by a newer one is stale: dropped
and counted. Instants are seconds, sizes bytes of mu-law at 8 kHz.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from engine.audio.carrier_queue import CarrierQueue
from engine.audio.g711 import BYTES_PER_MS, FRAME_BYTES, SAMPLE_RATE_HZ
from engine.audio.marks import Marks
from engine.audio.pacer_counts import PacerCounts
from engine.audio.playout import Clear, CutHow, CutReport, Mark, Media, PacerStatistics, Played, Send
from engine.audio.rewind import back_to_a_gap
from engine.audio.utterance import Utterance
from engine.errors import MisuseError

__all__ = ["Clear", "CutHow", "CutReport", "Mark", "Media", "Pacer", "PacerStatistics", "Played", "Send"]

_MARK_EVERY: Final = 200 * BYTES_PER_MS
_NEVER: Final = float("inf")
_AT_ONCE: Final = float("-inf")
_NOTHING: Final[Sequence[Send]] = ()


class Pacer:
    """One call's playout.

    Args:
        lead_ms: how much may lie unplayed at the carrier.
        quantum_ms: how much goes in one message when there is no hurry; at most half the lead.
        backlog_ms: how much is kept here before ``push`` refuses.
        step_back: how many bytes to say again after a pause, given the last that was heard.

    Raises:
        MisuseError: lead, quantum or backlog shorter than two, one and one frames of 20 ms.
    """

    def __init__(
        self,
        lead_ms: int = 400,
        quantum_ms: int = 100,
        backlog_ms: int = 120_000,
        step_back: Callable[[bytes], int] = back_to_a_gap,
    ) -> None:
        if lead_ms < 40 or quantum_ms < 20 or backlog_ms < 20:
            raise MisuseError(f"cannot pace with lead {lead_ms} ms, quantum {quantum_ms} ms, backlog {backlog_ms} ms")
        self._lead = lead_ms * BYTES_PER_MS
        quantum = min(quantum_ms * BYTES_PER_MS, self._lead // 2)
        self._quantum = quantum - quantum % FRAME_BYTES
        self._limit = backlog_ms * BYTES_PER_MS
        self._step_back = step_back
        self._carrier = CarrierQueue()
        self.played = self._carrier.played
        self._queue: deque[Utterance] = deque()  # not wholly sent; the first one is being sent
        self._playing: deque[Utterance] = deque()  # wholly sent; the end mark has not come back
        self._marks = Marks()
        self._clear_due = False
        self._is_paused = False
        self._newest = -1
        self._cut_through = -1
        self._next_at = _NEVER
        self._backlog = 0
        self._counts = PacerCounts()

    def push(self, generation: int, mulaw: bytes, now: float) -> int:  # noqa: ARG002 - all that changes state says when
        """Queue audio; how many bytes of it (its end) were refused because the backlog is full.

        A generation not seen before ends all older ones. Audio of one that is over is dropped, and not called refused.
        """
        utterance = self._speaking(generation)
        if utterance is None:
            self._counts.stale += len(mulaw)
            return 0
        over = self._backlog + len(mulaw) - self._limit  # more than all of it after a clear gave audio back
        refused = min(len(mulaw), max(0, over))
        accepted = mulaw[: len(mulaw) - refused]
        waited = utterance.add(accepted)
        self._backlog += len(accepted)
        self._counts.took(self._backlog, refused)
        if waited < self._quantum:  # else the next message was whole before, and it is known when it goes
            self._plan()
        return refused

    def end(self, generation: int) -> None:
        """Nothing more of this generation will come; even without any audio it is marked, and so reported."""
        utterance = self._speaking(generation)
        if utterance is not None:
            utterance.ended = True
            self._plan()

    def cut(self, through_generation: int, how: CutHow, now: float) -> list[CutReport]:
        """Take back every generation up to this one, also what is still to come of it.

        What the carrier lost of newer generations by a clear is sent again. Returns a report for each generation that
        will not be heard to its end, oldest first, once per generation.
        """
        self._cut_through = max(self._cut_through, through_generation)
        self._is_paused = False  # what a pause was to decide is decided
        reports = self._cut_soon() if how is CutHow.SOON else self._cut_now(now)
        self._plan()
        return reports

    def pause(self, now: float) -> bool:
        """Fall silent at once, and keep all that has not been heard; False where there is nothing to be silent about.

        Until ``resume`` or ``cut`` nothing is due; what is pushed waits. Pausing twice is pausing once.
        """
        heard_at = self._carrier.head(now)
        everything = (*self._playing, *self._queue)
        if self._is_paused or all(u.queued == u.heard(heard_at) for u in everything):
            return False
        done = [u for u in self._playing if u.heard(heard_at) == u.sent]
        self._clear(done, [u for u in everything if u not in done], now)
        self._is_paused = True
        self._counts.pauses += 1
        self._plan()
        return True

    def resume(self, now: float) -> float:  # noqa: ARG002 - as above
        """Go on where the caller stopped hearing; how many ms of it they hear again. Harmless without a pause."""
        if not self._is_paused:
            return 0.0
        self._is_paused = False
        again = self._queue[0].step_back(self._step_back) if self._queue and self._queue[0].sent else 0
        self._backlog += again
        self._counts.repeated += again
        self._plan()
        return again / BYTES_PER_MS

    def due(self, now: float) -> Sequence[Send]:
        """What to send now, in this order; the same empty sequence whenever there is nothing."""
        if now < self._next_at:
            return _NOTHING
        out: list[Send] = []
        if self._clear_due:
            self._clear_due = False
            out.append(Clear())
        while self._queue and not self._is_paused and self._advance(self._queue[0], now, out):
            pass
        self._plan()
        return out

    def on_mark(self, name: str, now: float) -> Played | None:
        """A mark came back. ``Played`` if it says that a generation was heard to its own end.

        Names that are not waited for (cleared, unknown) are ignored.
        """
        mark = self._marks.echoed(name)
        if mark is None:
            return None
        self._carrier.echoed(mark.position, now)
        self._plan()
        if not mark.is_end:
            return None
        self._playing.remove(mark.utterance)
        if mark.utterance.cut:
            return None
        return Played(mark.utterance.generation, mark.utterance.queued / BYTES_PER_MS)

    def next_deadline(self) -> float | None:
        """When ``due`` will have something. In the past, even minus infinity: at once. None: not before a call here."""
        return None if self._next_at == _NEVER else self._next_at

    def head_ms(self, now: float) -> float:
        """The playback head: how much of what was sent the carrier has played by now, over all generations."""
        return (self._carrier.head(now) - self._carrier.cleared) / BYTES_PER_MS

    def ahead_ms(self, now: float) -> float:
        """How much accepted audio the caller has still to hear; 0.0 means that the line is silent."""
        return self._backlog / BYTES_PER_MS + self.held_ms(now)

    def held_ms(self, now: float) -> float:
        """How much of what was sent the carrier has still to play."""
        return self._carrier.unplayed(now) / BYTES_PER_MS

    def statistics(self) -> PacerStatistics:
        """Counts since the beginning, and what waits now."""
        return self._counts.statistics(self._carrier, backlog=self._backlog, marks_waiting=len(self._marks))

    def _speaking(self, generation: int) -> Utterance | None:
        """The utterance that audio of this generation belongs to; None where it is over."""
        last = self._queue[-1] if self._queue else None
        if generation <= max(self._newest, self._cut_through):
            is_open = last is not None and last.generation == generation and not last.ended
            return last if is_open else None
        if last is not None:
            last.ended = True
        self._newest = generation
        self._queue.append(Utterance(generation))
        return self._queue[-1]

    def _advance(self, utterance: Utterance, now: float, out: list[Send]) -> bool:
        """Send one message of the utterance, or its end; False when neither is due."""
        size = min(self._quantum, utterance.sendable())
        if not size:
            return utterance.ended and self._finish(utterance, out)
        carrier = self._carrier
        if carrier.unplayed(now) > self._most_unplayed(utterance, size):
            return False
        if utterance.start is not None:
            self._counts.look_whether_dry(carrier, now)
        before = utterance.sent
        mulaw = utterance.take(size, carrier.sent)
        out.append(Media(mulaw))
        self._backlog -= utterance.sent - before
        carrier.send(mulaw, now)
        utterance.forget(carrier.head(now))
        if utterance.sent - utterance.marked >= _MARK_EVERY and not (utterance.ended and not utterance.unsent):
            out.append(self._marks.ask(utterance, carrier.sent, is_end=False))
        return True

    def _most_unplayed(self, utterance: Utterance, size: int) -> int:
        # A message that cannot grow goes once there is room for it; one that may, not before the carrier runs low.
        return self._lead - size if size == self._quantum or utterance.ended else self._quantum

    def _finish(self, utterance: Utterance, out: list[Send]) -> bool:
        out.append(self._marks.ask(utterance, self._carrier.sent, is_end=True))
        self._playing.append(self._queue.popleft())
        return True

    def _cut_soon(self) -> list[CutReport]:
        # What was sent whole, its end included, is left alone: it will be heard.
        # So is what was cut like this before, though a pause took it back meanwhile: it has been reported.
        victims = [u for u in self._queue if self._is_cut(u) and not u.cut and (u.unsent or not u.ended)]
        reports = [self._report(utterance, utterance.sent) for utterance in victims if utterance.queued]
        for utterance in victims:
            self._backlog -= utterance.unsent
            utterance.drop_unsent()
            if not utterance.sent:
                self._queue.remove(utterance)
        return reports

    def _cut_now(self, now: float) -> list[CutReport]:
        heard_at = self._carrier.head(now)
        older = [u for u in (*self._playing, *self._queue) if self._is_cut(u)]
        newer = [u for u in (*self._playing, *self._queue) if not self._is_cut(u)]
        # Heard to its end, though the mark that says so is still on its way to us.
        done = [u for u in self._playing if self._is_cut(u) and u.heard(heard_at) == u.sent]
        lost = [u for u in older if u not in done]
        reports = [self._report(u, u.heard(heard_at)) for u in lost if u.queued and not u.cut]
        self._backlog -= sum(u.unsent for u in lost)
        doubtful = any(u.sent for u in older) and not any(u.sent for u in newer)
        if doubtful or any(u.sent > u.heard(heard_at) for u in older):
            self._clear(done, newer, now)
        else:
            self._playing = deque(u for u in self._playing if u not in lost)
            self._queue = deque(u for u in self._queue if u not in lost)
        return reports

    def _clear(self, done: list[Utterance], newer: list[Utterance], now: float) -> None:
        """Clear the carrier's queue; what it takes from newer generations goes back to the backlog."""
        heard_at = self._carrier.head(now)
        self._carrier.clear(now)
        self._clear_due = True
        for utterance in newer:
            before = utterance.sent
            utterance.rewind(utterance.heard(heard_at))
            self._backlog += before - utterance.sent
        self._playing, self._queue = deque(done), deque(newer)
        self._marks.keep_only(done)

    def _is_cut(self, utterance: Utterance) -> bool:
        return utterance.generation <= self._cut_through

    def _report(self, utterance: Utterance, heard: int) -> CutReport:
        heard = max(heard, utterance.reached)
        self._counts.cut += utterance.queued - heard
        return CutReport(utterance.generation, heard / BYTES_PER_MS, utterance.queued / BYTES_PER_MS, utterance.ended)

    def _plan(self) -> None:
        """Work out when ``due`` has something next, so that asking in vain costs one comparison."""
        if self._clear_due:
            self._next_at = _AT_ONCE
        elif self._is_paused or not self._queue:
            self._next_at = _NEVER
        else:
            utterance = self._queue[0]
            if size := min(self._quantum, utterance.sendable()):
                most = self._most_unplayed(utterance, size)
                # Less than half a sample early: rounding must not cost a tick of the clock.
                self._next_at = self._carrier.dry_at() - (most + 0.4) / SAMPLE_RATE_HZ
            else:
                self._next_at = _AT_ONCE if utterance.ended else _NEVER
