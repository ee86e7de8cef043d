"""Who has fallen silent, and are they to blame for it? Beats and instants in, a verdict out. PURE.

A worker that stands still has its callers listen to nothing, so it is killed soon. But a machine that stands still (it
was suspended, its memory is being written to a disk, the processors are somebody else's) makes every worker silent, and
to kill them all for it would drop every call that the next second would have brought back. Two things tell the two
apart, and both are asked:

* Were we awake to hear it? Silence is counted in ``awake`` time, which goes on by no more than ``LAP_S`` from one look
  to the next: what our own loop slept through is nobody's silence.
* Are others well? Only beside at least as many workers that went on beating does a silent one stand still by itself
  (and then those are there to take its calls). Where they are fewer, or it is alone, it is waited for longer.

Instants are of one monotonic clock, in seconds.
"""

from dataclasses import dataclass
from enum import Enum

LOOK_S = 0.1  # from one look to the next
LAP_S = 0.2  # of awake time from one look to the next, at most
GAP_FRACTION = 1 / 3  # of ``silent_s``: no longer between the beats of whoever is well; two of them may come late
STEADY_FRACTION = 1 / 2  # of ``silent_s``: so long, or it may be the first to wake from what still holds the others


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a worker may take, in seconds, before it is killed.

    Attributes:
        silent_s: between beats, once it has been ready, while others are well.
        silent_together_s: the same where others are silent too, or there are none.
        silent_starting_s: between beats before it was ready: importing and compiling hold a loop up.
        ready_s: to become ready; a first start renders every tenant's prompts.
        leave_s: to be gone after ``LEAVE`` or ``END``.
    """

    silent_s: float = 2.0
    silent_together_s: float = 5.0
    silent_starting_s: float = 60.0
    ready_s: float = 600.0
    leave_s: float = 660.0


class Verdict(Enum):
    """What is to be thought of a worker."""

    WELL = "well"
    DOUBTFUL = "doubtful"  # time to ask what it is doing, while it may still be let live
    SILENT = "silent"


class Pulse:
    """Of all workers of one supervisor."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._awake_s = 0.0
        self._looked_at: float | None = None
        # Of each worker, in awake time: its last beat; and, of those that serve, since when it beats without a gap.
        self._heard: dict[str, float] = {}
        self._steady_since: dict[str, float] = {}

    def look(self, now: float) -> None:
        """Our loop turns: to be said every ``LOOK_S``, by anybody, as often as wanted."""
        if self._looked_at is not None:
            self._awake_s += min(max(0.0, now - self._looked_at), LAP_S)
        self._looked_at = now

    def beat(self, worker: str, *, ready: bool) -> None:
        """It was heard; or started, which is its first sign of life."""
        if ready and (worker not in self._steady_since or self.silent_s(worker) > self._gap_s):
            self._steady_since[worker] = self._awake_s
        self._heard[worker] = self._awake_s

    def forget(self, worker: str) -> None:
        """It has ended."""
        self._heard.pop(worker, None)
        self._steady_since.pop(worker, None)

    def silent_s(self, worker: str) -> float:
        """Since its last beat, awake."""
        return self._awake_s - self._heard[worker]

    def verdict(self, worker: str) -> Verdict:
        """Of one that was heard and has not ended."""
        silent_s, patience = self.silent_s(worker), self._patience
        if worker not in self._steady_since:
            return Verdict.SILENT if silent_s >= patience.silent_starting_s else Verdict.WELL
        if silent_s >= (patience.silent_s if self._others_are_well() else patience.silent_together_s):
            return Verdict.SILENT
        return Verdict.DOUBTFUL if silent_s >= patience.silent_s / 2 else Verdict.WELL

    def _others_are_well(self) -> bool:
        """As many are well as are not: whoever is starting is no witness, for it may be silent with good reason."""
        return 2 * sum(map(self._is_well, self._steady_since)) >= len(self._steady_since)

    def _is_well(self, worker: str) -> bool:
        steady_s = self._awake_s - self._steady_since[worker]
        return self.silent_s(worker) <= self._gap_s and steady_s >= STEADY_FRACTION * self._patience.silent_s

    @property
    def _gap_s(self) -> float:
        return GAP_FRACTION * self._patience.silent_s
