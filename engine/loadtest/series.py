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
        server_cores, rss_mib, loop_lag_ms, plane_late_ms: of the gateway; None where it is not ours.
        queued, queued_total: its longest queue of any call that it shows, and all of them together.
        threads, descriptors: of its processes together.
        generator_cores: of the busiest process of callers.
        generator_late_p99_ms: beside the worst: of ninety-nine of its ticks in a hundred.
        peers_cores, database_cores: of the simulated model with its like, and of the gateway's database.
        elsewhere_busy: the share of the cores that everything but the gateway runs on that is used, by anybody.
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
    queued_total: int | None = None
    threads: int | None = None
    descriptors: int | None = None
    generator_late_p99_ms: float = 0.0
    peers_cores: float | None = None
    database_cores: float | None = None
    elsewhere_busy: float | None = None


@dataclass
class Seen:
    """Everything so far. ``model_faults``: how often the gateway did what the model would refuse; known in the end."""

    calls: list[CallFigures] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    up: dict[int, int] = field(default_factory=dict)
    late_ms: dict[int, float] = field(default_factory=dict)
    late_p99_ms: dict[int, float] = field(default_factory=dict)
    model_faults: int = 0

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
