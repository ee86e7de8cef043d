"""How the back office itself does, for ``/metrics`` and ``/health``: what it last saw, and when it last cleaned up."""

from dataclasses import replace

from engine.metrics import OfficeMetrics, OfficeState


class Watch:
    """Written by ``chores`` and ``reaching``, read by whoever asks.

    ``database_away``: why it could not be asked when it was last; None where it answered.
    """

    def __init__(self) -> None:
        self.database_away: str | None = None
        self.seen: OfficeState | None = None
        self.retention_ran_at: float | None = None
        self.metrics = OfficeMetrics(self.state)

    def state(self) -> OfficeState | None:
        """As of the last look; None before the first."""
        return None if self.seen is None else replace(self.seen, retention_ran_at=self.retention_ran_at)
