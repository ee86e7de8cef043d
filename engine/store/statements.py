"""Sums of what was used, and the statements of closed months: records. ``postgres_statements`` keeps them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class UsageSum:
    """So much of one kind, in how many calls; ``late`` of it from before the period that is asked for."""

    kind: str
    quantity: Decimal
    calls: int
    late: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class KeptStatement:
    """A closed month. ``document`` is JSON-ready, as it was put."""

    month: str
    currency: str
    total: Decimal
    document: dict[str, Any]
    closed_at: datetime
    kept_order: int
