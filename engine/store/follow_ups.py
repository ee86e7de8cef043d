"""What somebody at the business still has to do after a call, as one protocol with twins.

Two kinds: a *message* that the caller asked to have written down, and a *task* that the engine leaves where it could
not do what it was asked. The PostgreSQL twin keeps them in a table keyed ``(tenant_id, key)``.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One thing to do.

    Attributes:
        key: unique within the tenant; the same key kept twice is kept once. Letters, digits, ``-`` and ``_``.
        caller: number to call back, E.164; empty where it was withheld.
        text: what the business is to read.
        noted_at: ISO 8601 with offset.
        details: JSON-ready.
    """

    tenant_id: str
    call_sid: str
    key: str
    kind: Literal["message", "task"]
    caller: str
    text: str
    noted_at: str
    details: dict[str, Any] = field(default_factory=dict)


class FollowUps(Protocol):
    """Where they go. Safe to repeat. May raise ``RemoteError`` or ``OSError`` where the place cannot be reached."""

    async def keep_follow_up(self, item: FollowUp) -> bool:
        """Keep it; False where this key of this tenant had been kept before (and nothing changed)."""

    async def follow_ups(self, tenant_id: str) -> list[FollowUp]:
        """This tenant's, oldest first."""
