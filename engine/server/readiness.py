"""May this worker be given calls? A phase, and a pure judgement."""

from dataclasses import dataclass
from enum import StrEnum

from engine.call.admission import Load
from engine.call.switchboard_types import SwitchboardStatistics
from engine.server.loop_lag import LoopLagStatistics
from engine.telephony.plane import PlaneStatistics

# Whoever sends us calls hears of it here, by asking, seconds before admission would have to refuse any: earlier bars.
LATE_MS = 20.0  # a whole frame: the lead hides it, but the worker has nothing left to give
NEARLY_FULL = 0.95  # of its calls; a worker that may have fewer than 20 is full when it is full
NEARLY_LARGE = 0.90  # of its memory


class Phase(StrEnum):
    """What the gateway as a whole is doing."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    STOPPED = "stopped"


class Readiness:
    """The phase, moved on by ``serve_gateway`` alone and read by everybody."""

    def __init__(self) -> None:
        self.phase = Phase.STARTING

    @property
    def draining(self) -> bool:
        """No new media streams."""
        return self.phase in {Phase.DRAINING, Phase.STOPPED}


@dataclass(frozen=True, slots=True)
class Ready:
    """The judgement, with the parts it rests on."""

    http_status: int
    status: str
    parts: dict[str, str]


def load_of(plane: PlaneStatistics, lag: LoopLagStatistics | None = None) -> Load:
    """How the worker does: what ``judge`` here and ``Admissions.judge`` go by. PURE."""
    # With nobody on the plane its samples are old: they must not keep calls away for ever.
    late_ms = plane.lateness_p99_ms if plane.members else 0.0
    return Load(late_ms) if lag is None else Load(max(late_ms, lag.lag_p90_ms), lag.memory_mib)


def judge(
    phase: Phase,
    calls: SwitchboardStatistics,
    plane: PlaneStatistics,
    lag: LoopLagStatistics | None = None,
    max_memory_mib: float | None = None,
) -> Ready:
    """May this worker be given calls? PURE."""
    load = load_of(plane, lag)
    late = load.late_ms > LATE_MS
    full = calls.calls_now >= calls.capacity
    nearly_full = calls.calls_now >= calls.capacity - int(calls.capacity * (1 - NEARLY_FULL))
    parts = {
        "server": str(phase),
        "calls": "draining" if calls.draining else "full" if full else "nearly full" if nearly_full else "ok",
        "clock": "late" if late else "ok",
    }
    large = False
    if max_memory_mib is not None and load.memory_mib is not None:
        large = load.memory_mib > NEARLY_LARGE * max_memory_mib
        parts["memory"] = "short" if large else "ok"
    if phase is Phase.DRAINING or (phase is Phase.SERVING and calls.draining):
        return Ready(503, "draining", parts)
    if phase is not Phase.SERVING:
        return Ready(503, "unavailable", parts)
    if nearly_full or late or large:
        return Ready(429, "under_load", parts)
    return Ready(200, "ok", parts)
