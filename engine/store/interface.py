"""What the engine keeps, as one protocol with twins. Every record names its tenant."""

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """A message that a caller left, in mu-law at 8 kHz as it arrived."""

    tenant_id: str
    call_sid: str
    caller: str
    mulaw: bytes
    left_at: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """What a call leaves behind. ``document`` is JSON-ready: outcome, transcript, timeline, statistics."""

    tenant_id: str
    call_sid: str
    outcome_class: str
    outcome_reason: str
    document: dict[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()


class Store(Protocol):
    """Where ends of calls go. Safe to repeat: a second ``keep_call`` of the same ``call_sid`` changes nothing."""

    async def keep_call(self, end: CallEnd) -> bool:
        """Keep it; False where this call had been kept before."""

    async def calls(self, tenant_id: str) -> list[CallEnd]:
        """This tenant's calls, oldest first."""
