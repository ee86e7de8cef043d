"""What a pacer counts, in bytes of mu-law at 8 kHz."""

from dataclasses import dataclass

from engine.audio.carrier_queue import CarrierQueue
from engine.audio.g711 import BYTES_PER_MS, SAMPLE_RATE_HZ
from engine.audio.playout import PacerStatistics


@dataclass(slots=True)
class PacerCounts:
    """Since the beginning; names as in ``PacerStatistics``."""

    peak_backlog: int = 0
    cut: int = 0
    refused: int = 0
    stale: int = 0
    underruns: int = 0
    underrun: int = 0
    longest_underrun: int = 0
    pauses: int = 0
    repeated: int = 0

    def took(self, backlog: int, refused: int) -> None:
        """Audio was pushed; so much waits now, and so much of it was refused."""
        self.refused += refused
        if backlog > self.peak_backlog:
            self.peak_backlog = backlog

    def look_whether_dry(self, carrier: CarrierQueue, now: float) -> None:
        """More of an utterance goes out: the carrier may have had nothing to play for a while, inside it."""
        gap = round((now - carrier.dry_at()) * SAMPLE_RATE_HZ)
        if gap > 0:
            self.underruns += 1
            self.underrun += gap
            self.longest_underrun = max(self.longest_underrun, gap)

    def statistics(self, carrier: CarrierQueue, *, backlog: int, marks_waiting: int) -> PacerStatistics:
        """All of it, with what the carrier's queue knows and what waits now."""
        return PacerStatistics(
            sent_ms=carrier.sent / BYTES_PER_MS,
            cleared_ms=carrier.cleared / BYTES_PER_MS,
            cut_ms=self.cut / BYTES_PER_MS,
            refused_ms=self.refused / BYTES_PER_MS,
            stale_ms=self.stale / BYTES_PER_MS,
            backlog_ms=backlog / BYTES_PER_MS,
            peak_backlog_ms=self.peak_backlog / BYTES_PER_MS,
            underruns=self.underruns,
            underrun_ms=self.underrun / BYTES_PER_MS,
            longest_underrun_ms=self.longest_underrun / BYTES_PER_MS,
            pauses=self.pauses,
            repeated_ms=self.repeated / BYTES_PER_MS,
            slipped_ms=carrier.slipped_s * 1000,
            marks_waiting=marks_waiting,
        )
