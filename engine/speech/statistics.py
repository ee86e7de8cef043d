"""How the speech processes do: one frozen record, for the health page and the bench."""

from collections import deque
from dataclasses import dataclass
from typing import Final

_REMEMBERED: Final = 1000  # jobs over which waiting is judged


@dataclass(frozen=True, slots=True)
class SpeechStatistics:
    """Since the start, except where it says *now*.

    Attributes:
        processes: that are ready now.
        replaced: processes that died, or had to be ended.
        calls: that hold a place now.
        places: how many there are.
        waiting: jobs in line now.
        done: jobs answered by a process.
        kept: lines to say that were remembered, and cost nothing.
        refused: jobs for which there was no room in line.
        late: jobs not answered in time.
        lost: jobs that could not be done.
        wait_p50_ms: how long the last thousand jobs stood in line; None before the first.
        wait_p95_ms, wait_p99_ms: the same.
        busy: part of the processes' time spent on jobs, 0 to 1.
    """

    processes: int
    replaced: int
    calls: int
    places: int
    waiting: int
    done: int
    kept: int
    refused: int
    late: int
    lost: int
    wait_p50_ms: float | None
    wait_p95_ms: float | None
    wait_p99_ms: float | None
    busy: float


class SpeechCounts:
    """What a pool counts as it goes; plain integers."""

    def __init__(self, now: float) -> None:
        self.done = self.kept = self.refused = self.late = self.lost = self.replaced = self.ready = 0
        self._waits: deque[float] = deque(maxlen=_REMEMBERED)
        self._busy_s = 0.0
        self._began_at = now

    def waited(self, seconds: float) -> None:
        """A job's turn has come after so long."""
        self._waits.append(seconds)

    def worked(self, seconds: float) -> None:
        """A process has spent so long on a job."""
        self._busy_s += seconds

    def sum_up(self, *, now: float, processes: int, calls: int, places: int, waiting: int) -> SpeechStatistics:
        """A frozen record of ``now``; ``processes`` is how many there should be."""
        waits = sorted(self._waits)
        return SpeechStatistics(
            processes=self.ready,
            replaced=self.replaced,
            calls=calls,
            places=places,
            waiting=waiting,
            done=self.done,
            kept=self.kept,
            refused=self.refused,
            late=self.late,
            lost=self.lost,
            wait_p50_ms=_part(waits, 0.5),
            wait_p95_ms=_part(waits, 0.95),
            wait_p99_ms=_part(waits, 0.99),
            busy=min(self._busy_s / max((now - self._began_at) * processes, 1e-9), 1.0),
        )


def _part(waits: list[float], part: float) -> float | None:
    """The smallest wait (ms) that so large a part of the jobs did not exceed."""
    return round(1000 * waits[min(int(part * len(waits)), len(waits) - 1)], 3) if waits else None
