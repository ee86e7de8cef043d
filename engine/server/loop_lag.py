"""How late the loop is, and how large the process: what admission and readiness judge a worker by.

The media plane measures its own ticks, but only while somebody is on it, and it polls between other tasks' turns. This
probe asks for nothing but to be woken a tenth of a second later, always; how late it is woken is what every actor of
every call has to bear. Judged by its 90th percentile over three seconds: one long pause says nothing about the next
call, three in three seconds do. A time not measured yet counts as punctual: what a worker's own start held up is one
pause, not nine in ten of all there are.
"""

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import trio

EVERY_S = 0.1
KEPT = 30  # 3 s
MEMORY_EVERY_S = 1.0
_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class LoopLagStatistics:
    """Of the last three seconds; 0 for what is not measured yet. ``memory_mib`` None: nobody can tell."""

    lag_p50_ms: float
    lag_p90_ms: float
    lag_max_ms: float
    memory_mib: float | None


class LoopLag:
    """``run`` measures; ``statistics`` may be asked at any time in the same thread."""

    def __init__(self) -> None:
        self._late_ms: deque[float] = deque(maxlen=KEPT)
        self._memory: float | None = None
        self._memory_at = float("-inf")

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Measure until cancelled."""
        task_status.started()
        while True:
            due = trio.current_time() + EVERY_S
            await trio.sleep_until(due)
            self._late_ms.append(1000 * (trio.current_time() - due))

    def statistics(self) -> LoopLagStatistics:
        """A snapshot. Reads the process's size, at most once per second."""
        late = sorted([*self._late_ms, *[0.0] * (KEPT - len(self._late_ms))])
        return LoopLagStatistics(
            lag_p50_ms=late[len(late) // 2],
            lag_p90_ms=late[int(len(late) * 0.9)],
            lag_max_ms=late[-1],
            memory_mib=self._memory_mib(),
        )

    def _memory_mib(self) -> float | None:
        now = trio.current_time()
        if now >= self._memory_at + MEMORY_EVERY_S:
            self._memory_at = now
            self._memory = resident_mib()
        return self._memory


def resident_mib() -> float | None:
    """What this process holds in memory now; None where the system does not say (only Linux does, this way)."""
    try:
        pages = int(_STATM.read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
