"""What is seen while a load test runs: one sample a second, and the totals so far. PURE."""

from dataclasses import dataclass, field

from engine.loadtest.wire import CallFigures
from engine.sim.report import Spread


@dataclass(frozen=True, slots=True)
class Sample:
    """One second.

    Attributes:
        at_s: since the test began.
        up: calls on the line.
        response_ms: of turns of calls that ended in it.
        generator_late_ms: how late the worst generator's clock was.
        server_cores, rss_mib, loop_lag_ms, plane_late_ms, queued: of the gateway; None where it is not ours.
        generator_cores: of the busiest process of callers.
    """

    at_s: float
    up: int
    ended: int
    response_ms: float | None
    generator_late_ms: float
    generator_cores: float
    server_cores: float | None = None
    rss_mib: float | None = None
    loop_lag_ms: float | None = None
    plane_late_ms: float | None = None
    queued: int | None = None


@dataclass
class Seen:
    """Everything so far."""

    calls: list[CallFigures] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    up: dict[int, int] = field(default_factory=dict)
    late_ms: dict[int, float] = field(default_factory=dict)

    @property
    def responses(self) -> Spread | None:
        """Of all calls that have ended."""
        return Spread.of([ms for call in self.calls for ms in call.responses])

    @property
    def underruns(self) -> int:
        """Of all calls that have ended."""
        return sum(call.underruns for call in self.calls)

    @property
    def dropped(self) -> int:
        """Calls that were answered and then ended by a fault, and those that got no answer at all."""
        return sum(not call.answered or call.how_ended == "application_error" for call in self.calls)
