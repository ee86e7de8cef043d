"""How the back office itself does, for ``GET /metrics`` on its port: what it last saw, and when it last cleaned up."""

from dataclasses import replace

from engine.metrics import OfficeMetrics, OfficeState


class Watch:
    """Written by ``chores``, read by whoever asks for the metrics."""

    def __init__(self) -> None:
        self.seen: OfficeState | None = None
        self.retention_ran_at: float | None = None
        self.metrics = OfficeMetrics(self.state)

    def state(self) -> OfficeState | None:
        """As of the last look; None before the first."""
        return None if self.seen is None else replace(self.seen, retention_ran_at=self.retention_ran_at)
