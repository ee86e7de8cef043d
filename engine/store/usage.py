"""What calls used (minutes, model tokens, ...), as one protocol with twins: what an invoice is written from."""

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """How much of one kind one call used in all.

    Attributes:
        kind: unique within the call, such as ``minutes`` or ``gemini-live-tokens``. Letters, digits, ``-`` and ``_``.
        noted_at: ISO 8601 with offset.
        details: JSON-ready.
    """

    tenant_id: str
    call_sid: str
    kind: str
    quantity: float
    noted_at: str
    details: dict[str, Any] = field(default_factory=dict)


class Usage(Protocol):
    """Where it goes. Safe to repeat. May raise ``RemoteError`` or ``OSError`` where the place cannot be reached."""

    async def keep_usage(self, record: UsageRecord) -> bool:
        """Keep it; False where this kind of this call had been kept before (and nothing changed)."""

    async def usage(self, tenant_id: str) -> list[UsageRecord]:
        """This tenant's, oldest first."""
