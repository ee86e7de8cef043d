"""May this worker be given calls? A phase, and a pure judgement."""

from dataclasses import dataclass
from enum import StrEnum

from engine.call.switchboard_types import SwitchboardStatistics
from engine.telephony.plane import PlaneStatistics

LATE_MS = 20.0  # a whole frame: the lead hides it, but the worker has nothing left to give


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


def judge(phase: Phase, calls: SwitchboardStatistics, plane: PlaneStatistics) -> Ready:
    """May this worker be given calls? PURE."""
    # With nobody on the plane its samples are old: they must not keep calls away for ever.
    late = plane.members > 0 and plane.lateness_p99_ms > LATE_MS
    full = calls.calls_now >= calls.capacity
    parts = {
        "server": str(phase),
        "calls": "draining" if calls.draining else "full" if full else "ok",
        "clock": "late" if late else "ok",
    }
    if phase is Phase.DRAINING or (phase is Phase.SERVING and calls.draining):
        return Ready(503, "draining", parts)
    if phase is not Phase.SERVING:
        return Ready(503, "unavailable", parts)
    if full or late:
        return Ready(429, "under_load", parts)
    return Ready(200, "ok", parts)
