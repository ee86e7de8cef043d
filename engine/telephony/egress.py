"""Egress: the only writer of sound on a line. Paces, marks, clears, and tells what was heard.

The pacer (pure) decides what is due; the media plane asks it every tick; this actor feeds it from the ``playout``
channel, one command at a time, whoever holds the floor.
"""

import math
import sys
from collections.abc import Callable, Sequence

import trio

from engine.audio.pacer import CutHow, CutReport, Pacer, PacerStatistics, Played, Send
from engine.audio.start import Start
from engine.messages import (
    Cut,
    CutPlayout,
    EndUtterance,
    FloorEvent,
    PlayAudio,
    PlayoutCommand,
    UtteranceCleared,
    UtterancePlayed,
)
from engine.metrics import Metrics
from engine.shortcut import ShortEnd, shortened
from engine.telephony.line import MediaLine

EVERY_GENERATION = sys.maxsize
HOLD_S = 0.5  # for a floor's holder to take back what was paused, once it is certain that the caller speaks
_HOW = {Cut.NOW: CutHow.NOW, Cut.SOON: CutHow.SOON}


def _ignore(_: object) -> None:
    """The default for what nobody wants to be told."""


class Playout:
    """A call's outbound audio: ``OutboundPart`` for the line."""

    def __init__(
        self,
        *,
        pacer: Pacer,
        inbox: trio.MemorySendChannel[FloorEvent],
        on_cut: Callable[[CutReport], None],
        metrics: Metrics,
        longest_pause_s: float = 1.0,
        on_played: Callable[[Played], None] = _ignore,
        on_resume: Callable[[float], None] = _ignore,
        is_late: Callable[[], bool] = lambda: False,
    ) -> None:
        """Silent until told to play.

        Args:
            pacer: the pure part.
            inbox: of whoever holds the floor.
            on_cut: learns at once what was heard of an utterance, whoever holds the floor by then.
            metrics: of the process.
            longest_pause_s: a pause that nobody has ended by then ends by itself: it must never become dead air.
            on_played: learns at once which utterance was heard to its end.
            on_resume: learns for how many seconds the agent had paused when it goes on.
            is_late: whether this process is late at times, so that an utterance had better not begin with little sound.
        """
        self.played = pacer.played
        self.send_now: Callable[[float], None] = _ignore
        """Set by egress: what is due goes out at once, not on the next tick."""
        self.tap: Callable[[Sequence[Send], float], None] | None = None
        """Told what goes out, where somebody records it."""
        self._pause_s = longest_pause_s
        self._on_played = on_played
        self._on_resume = on_resume
        self._paused_at = self._paused_until = math.inf
        self._is_late = is_late
        self._start = Start()
        self._pacer = pacer
        self._inbox = inbox
        self._on_cut = on_cut
        self._metrics = metrics

    def due(self, now: float) -> Sequence[Send]:
        """What to send now."""
        if now >= self._paused_until:
            self._go_on(now)
        if now >= self._start.until:
            self._begin(now)
        sends = self._pacer.due(now)
        if sends and self.tap is not None:
            self.tap(sends, now)
        return sends

    def on_mark(self, name: str, now: float) -> None:
        """The carrier echoed a mark: an utterance may have been heard to its end."""
        played = self._pacer.on_mark(name, now)
        if played is not None:
            self._on_played(played)
            self._tell(UtterancePlayed(played.generation, played.heard_ms))

    def is_sounding(self, now: float) -> bool:
        """Is the caller hearing us, or about to, as far as we can know? While paused we have the floor still."""
        return self._start.until < math.inf or self._pacer.ahead_ms(now) > 0

    def held_s(self, now: float) -> float:
        """Seconds of sound that the carrier holds and has not played yet, as far as we can know."""
        return self._pacer.held_ms(now) / 1000

    def pause(self, now: float) -> None:
        """The caller may be interrupting: fall silent, keep everything."""
        self._begin(now)
        if self._pacer.pause(now):
            self._paused_at, self._paused_until = now, now + self._pause_s
            self.send_now(now)

    def hold(self, now: float) -> None:
        """The caller does interrupt: be silent until it is said what to cut, though not for long."""
        self.pause(now)
        if self._paused_at < math.inf:
            self._paused_until = now + HOLD_S

    def resume(self, now: float) -> None:
        """The caller did not interrupt: go on from where they heard us last. Harmless without a pause."""
        if self._paused_at < math.inf:
            self._go_on(now)
            self.send_now(now)

    def apply(self, command: PlayoutCommand, now: float) -> None:
        """Take one command of the floor's holder."""
        if isinstance(command, PlayAudio):
            may_begin = self._is_late() and self._pacer.ahead_ms(now) <= 0
            if self._start.holds(command.generation, command.mulaw, now, may_begin=may_begin):
                return
        self._begin(now)
        match command:
            case PlayAudio(generation, mulaw):
                self._pacer.push(generation, mulaw, now)
            case EndUtterance(generation):
                self._pacer.end(generation)
            case CutPlayout(through, how):
                self._paused_at = self._paused_until = math.inf
                for report in self._pacer.cut(through, _HOW[how], now):
                    self._cleared(report)

    def statistics(self) -> PacerStatistics:
        """The pacer's counts."""
        return self._pacer.statistics()

    def _begin(self, now: float) -> None:
        if (held := self._start.release()) is not None:
            self._pacer.push(*held, now)

    def _go_on(self, now: float) -> None:
        paused_s = now - self._paused_at
        self._paused_at = self._paused_until = math.inf
        self._pacer.resume(now)
        self._on_resume(paused_s)

    def _cleared(self, report: CutReport) -> None:
        self._on_cut(report)
        self._tell(UtteranceCleared(report.generation, report.heard_ms, report.queued_ms))

    def _tell(self, event: UtterancePlayed | UtteranceCleared) -> None:
        try:
            self._inbox.send_nowait(event)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            self._metrics.dropped_messages.labels("inbox").inc()


async def run_egress(
    *,
    line: MediaLine,
    playout: Playout,
    commands: trio.MemoryReceiveChannel[PlayoutCommand],
    end: ShortEnd[PlayoutCommand] | None = None,
    metrics: Metrics,
) -> None:
    """Feed the playout until every holder of the floor has let go of its channel end; ``end``: the first of these."""

    def take(command: PlayoutCommand) -> bool:
        now = trio.current_time()
        playout.apply(command, now)
        # Not on the next tick but now: first sound and clear are what a caller waits for.
        line.send_due(now)
        return True

    line.attach_outbound(playout)
    playout.send_now = line.send_due
    try:
        with shortened(end, take):
            async with commands:
                async for command in commands:
                    take(command)
    finally:
        # The line is gone: what the carrier has not played yet is heard by nobody, and the record must say so.
        playout.apply(CutPlayout(EVERY_GENERATION, Cut.NOW), trio.current_time())
        line.detach_outbound()
        metrics.underruns.inc(playout.statistics().underruns)
