"""Records of webhooks: who wants to be told of what, and how the telling stands. ``postgres_webhooks`` keeps them.

An event is made by the database itself, in the transaction of its fact (migration 4), and is told at least once to each
endpoint that wanted it then. Its id is made of what it is about, so a receiver knows one that comes again.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

EVENT_TYPES: Final = (
    "call.started",
    "call.ended",
    "message.taken",
    "task.created",
    "appointment.booked",
    "escalation",
    "usage.closed",
)
TEST: Final = "test"
"""Sent on request, to one endpoint."""

EndpointState: TypeAlias = Literal["on", "off", "failed"]
DeliveryState: TypeAlias = Literal["waiting", "done", "dead", "gone"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a tenant's own system wants to be told.

    Attributes:
        events: none: all types.
        secret: sealed, as is the one before it, which signs too until ``before_until``.
        state: ``failed``: turned off by us, after it had taken nothing for long.
        failing_since: None while it takes what comes.
    """

    tenant_id: str
    endpoint_id: str
    url: str
    description: str
    events: tuple[str, ...]
    secret: bytes = field(repr=False)
    secret_before: bytes | None = field(repr=False)
    before_until: datetime | None
    state: EndpointState
    failing_since: datetime | None
    created_at: datetime
    kept_order: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint. ``gone``: what it told of was deleted before it could be told."""

    endpoint_id: str
    event_id: str
    type: str
    call_sid: str
    at: datetime
    state: DeliveryState
    attempts: int
    next_at: datetime
    status: int | None
    error: str
    settled_at: datetime | None
    kept_order: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event that is ours to send for a while, and what there is to tell; ``data`` None where that was deleted."""

    event_id: str
    attempts: int
    order: int
    type: str
    call_sid: str
    at: datetime
    data: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one try.

    Attributes:
        state: ``waiting`` where it is to be tried again, ``again_s`` from now.
        status: of the answer; None where none came.
    """

    state: DeliveryState
    again_s: float = 0.0
    status: int | None = None
    error: str = ""
