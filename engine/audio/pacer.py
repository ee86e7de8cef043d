"""The way out: which audio goes to the carrier when, what the caller has heard of it, and how it is taken back.

Theory. The carrier queues what we send and plays it at 1x (``carrier_queue``). A long queue there would make a stop
slow, an empty one is a hole in the sound, so at most ``lead_ms`` lie there unplayed. Audio goes in messages of
``quantum_ms``; but while the carrier has less than that left, whatever there is goes at once, so that neither the first
sound nor a model that speaks at 1x is ever held back. ::

    push -> backlog of an utterance -> due() -> Media ... Mark ... Mark(end) -> carrier -> on_mark() -> Played
                     |                                              |
                     +-------- cut(SOON) drops this --- cut(NOW) drops this too (Clear) -> CutReport

Every utterance ends in exactly one ``Played`` or one ``CutReport`` (one of which nothing ever came ends in neither).
Generations are played in order; audio for one that ended, was cut or was overtaken by a newer one is stale: dropped
and counted. Instants are seconds, sizes bytes of mu-law at 8 kHz.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.audio.carrier_queue import CarrierQueue
from engine.audio.g711 import BYTES_PER_MS, FRAME_BYTES, SAMPLE_RATE_HZ
from engine.audio.playout import Clear, CutHow, CutReport, Mark, Media, PacerStatistics, Played, Send
from engine.audio.utterance import Utterance
from engine.errors import MisuseError

__all__ = ["Clear", "CutHow", "CutReport", "Mark", "Media", "Pacer", "PacerStatistics", "Played", "Send"]

_MARK_EVERY: Final = 200 * BYTES_PER_MS
_NEVER: Final = float("inf")
_AT_ONCE: Final = float("-inf")
_NOTHING: Final[Sequence[Send]] = ()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A mark whose echo has not come back. ``position`` is on the carrier's axis."""

    name: str
    position: int
    utterance: Utterance
    is_end: bool


class Pacer:
    """One call's playout.

    Args:
        lead_ms: how much may lie unplayed at the carrier.
        quantum_ms: how much goes in one message when there is no hurry; at most half the lead.
        backlog_ms: how much is kept here before ``push`` refuses.

    Raises:
        MisuseError: lead, quantum or backlog shorter than two, one and one frames of 20 ms.
    """

    def __init__(self, lead_ms: int = 400, quantum_ms: int = 100, backlog_ms: int = 120_000) -> None:
        if lead_ms < 40 or quantum_ms < 20 or backlog_ms < 20:
            raise MisuseError(f"cannot pace with lead {lead_ms} ms, quantum {quantum_ms} ms, backlog {backlog_ms} ms")
        self._lead = lead_ms * BYTES_PER_MS
        quantum = min(quantum_ms * BYTES_PER_MS, self._lead // 2)
        self._quantum = quantum - quantum % FRAME_BYTES
        self._limit = backlog_ms * BYTES_PER_MS
        self._carrier = CarrierQueue()
        self._queue: deque[Utterance] = deque()  # not wholly sent; the first one is being sent
        self._playing: deque[Utterance] = deque()  # wholly sent; the end mark has not come back
        self._marks: deque[_Waiting] = deque()
        self._clear_due = False
        self._newest = -1
        self._cut_through = -1
        self._next_at = _NEVER
        self._backlog = self._peak_backlog = self._cut = self._refused = self._stale = 0
        self._underruns = self._underrun = self._longest_underrun = 0

    def push(self, generation: int, mulaw: bytes, now: float) -> int:  # noqa: ARG002 - all that changes state says when
        """Queue audio; how many bytes of it (its end) were refused because the backlog is full.

        A generation not seen before ends all older ones. Audio of one that is over is dropped, and not called refused.
        """
        utterance = self._speaking(generation)
        if utterance is None:
            self._stale += len(mulaw)
            return 0
        room = max(0, self._limit - self._backlog)  # below zero after a clear gave audio back
        refused = max(0, len(mulaw) - room)
        accepted = mulaw[:room] if refused else mulaw
        utterance.add(accepted)
        self._backlog += len(accepted)
        self._peak_backlog = max(self._peak_backlog, self._backlog)
        self._refused += refused
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
        reports = self._cut_soon() if how is CutHow.SOON else self._cut_now(now)
        self._plan()
        return reports

    def due(self, now: float) -> Sequence[Send]:
        """What to send now, in this order; the same empty sequence whenever there is nothing."""
        if now < self._next_at:
            return _NOTHING
        out: list[Send] = []
        if self._clear_due:
            self._clear_due = False
            out.append(Clear())
        while self._queue and self._advance(self._queue[0], now, out):
            pass
        self._plan()
        return out

    def on_mark(self, name: str, now: float) -> Played | None:
        """A mark came back. ``Played`` if it says that a generation was heard to its own end.

        Names that are not waited for (cleared, unknown) are ignored.
        """
        index = next((i for i, waiting in enumerate(self._marks) if waiting.name == name), None)
        if index is None:
            return None
        passed = [self._marks.popleft() for _ in range(index + 1)]
        self._marks.extendleft(mark for mark in reversed(passed[:-1]) if mark.is_end)
        mark = passed[-1]
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
        return (self._backlog + self._carrier.sent - self._carrier.head(now)) / BYTES_PER_MS

    def statistics(self) -> PacerStatistics:
        """Counts since the beginning, and what waits now."""
        return PacerStatistics(
            sent_ms=self._carrier.sent / BYTES_PER_MS,
            cleared_ms=self._carrier.cleared / BYTES_PER_MS,
            cut_ms=self._cut / BYTES_PER_MS,
            refused_ms=self._refused / BYTES_PER_MS,
            stale_ms=self._stale / BYTES_PER_MS,
            backlog_ms=self._backlog / BYTES_PER_MS,
            peak_backlog_ms=self._peak_backlog / BYTES_PER_MS,
            underruns=self._underruns,
            underrun_ms=self._underrun / BYTES_PER_MS,
            longest_underrun_ms=self._longest_underrun / BYTES_PER_MS,
            slipped_ms=self._carrier.slipped_s * 1000,
            marks_waiting=len(self._marks),
        )

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
        if carrier.sent - carrier.head(now) > self._most_unplayed(utterance, size):
            return False
        if utterance.start is not None:
            self._note_underrun(now)
        before = utterance.sent
        out.append(Media(utterance.take(size, carrier.sent)))
        self._backlog -= utterance.sent - before
        carrier.send(size, now)
        utterance.forget(carrier.head(now))
        if utterance.sent - utterance.marked >= _MARK_EVERY and not (utterance.ended and not utterance.unsent):
            self._mark(utterance, out, is_end=False)
        return True

    def _most_unplayed(self, utterance: Utterance, size: int) -> int:
        # A message that cannot grow goes once there is room for it; one that may, not before the carrier runs low.
        return self._lead - size if size == self._quantum or utterance.ended else self._quantum

    def _finish(self, utterance: Utterance, out: list[Send]) -> bool:
        self._mark(utterance, out, is_end=True)
        self._playing.append(self._queue.popleft())
        return True

    def _mark(self, utterance: Utterance, out: list[Send], *, is_end: bool) -> None:
        name = utterance.next_mark(end=is_end)
        out.append(Mark(name))
        self._marks.append(_Waiting(name, self._carrier.sent, utterance, is_end))

    def _note_underrun(self, now: float) -> None:
        gap = round((now - self._carrier.dry_at()) * SAMPLE_RATE_HZ)
        if gap > 0:
            self._underruns += 1
            self._underrun += gap
            self._longest_underrun = max(self._longest_underrun, gap)

    def _cut_soon(self) -> list[CutReport]:
        # What was sent whole, its end included, is left alone: it will be heard.
        victims = [u for u in self._queue if self._is_cut(u) and (u.unsent or not u.ended)]
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
        self._marks = deque(mark for mark in self._marks if mark.utterance in done)

    def _is_cut(self, utterance: Utterance) -> bool:
        return utterance.generation <= self._cut_through

    def _report(self, utterance: Utterance, heard: int) -> CutReport:
        self._cut += utterance.queued - heard
        return CutReport(utterance.generation, heard / BYTES_PER_MS, utterance.queued / BYTES_PER_MS)

    def _plan(self) -> None:
        """Work out when ``due`` has something next, so that asking in vain costs one comparison."""
        if self._clear_due:
            self._next_at = _AT_ONCE
        elif not self._queue:
            self._next_at = _NEVER
        else:
            utterance = self._queue[0]
            if size := min(self._quantum, utterance.sendable()):
                most = self._most_unplayed(utterance, size)
                # Less than half a sample early: rounding must not cost a tick of the clock.
                self._next_at = self._carrier.dry_at() - (most + 0.4) / SAMPLE_RATE_HZ
            else:
                self._next_at = _AT_ONCE if utterance.ended else _NEVER
