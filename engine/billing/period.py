"""A month in a tenant's own time zone, as instants. PURE."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from engine.errors import ConfigurationError

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
FIRST_YEAR, LAST_YEAR = 1970, 9000


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month."""

    year: int
    number: int

    @classmethod
    def read(cls, text: str) -> "Month":
        """As ``2026-03``.

        Raises:
            ConfigurationError: that is no month.
        """
        found = _MONTH.fullmatch(text)
        if found is None or not FIRST_YEAR <= int(found[1]) <= LAST_YEAR:
            raise ConfigurationError(f"{text[:40]!r} is no month: write it as 2026-03")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, at: datetime, timezone: str) -> "Month":
        """The one that this instant is in, there."""
        local = at.astimezone(ZoneInfo(timezone))
        return cls(local.year, local.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def next(self) -> "Month":
        """The one after it."""
        return Month(self.year + 1, 1) if self.number == 12 else Month(self.year, self.number + 1)

    def begins(self, timezone: str) -> datetime:
        """The instant of its first midnight there, in UTC."""
        return datetime(self.year, self.number, 1, tzinfo=ZoneInfo(timezone)).astimezone(UTC)

    def ends(self, timezone: str) -> datetime:
        """The instant at which the next one begins."""
        return self.next.begins(timezone)
