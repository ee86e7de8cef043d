"""Usage and prices in, lines and a total out. PURE.

Each line is rounded once, half to even, to the currency's own decimals; the total is the sum of what stands in the
lines, so that whoever adds them up finds it.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

from engine.billing.book import Price, Version
from engine.billing.period import Month
from engine.store.statements import UsageSum

BASE = "base"
DIGITS = 50  # more than any product of quantity and price has

LABELS = {
    "line-seconds": "Seconds on the line",
    "tool-calls": "Tool calls",
    "transfers": "Calls put through",
    "messages": "Messages taken",
    "recording-seconds": "Seconds recorded",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of usage. ``late``: as much of it is from before the month, and came after that had been closed.

    ``price`` None: this kind costs nothing. ``billable`` is what is left of ``quantity`` after ``included``.
    """

    kind: str
    label: str
    quantity: Decimal
    late: Decimal
    included: Decimal
    billable: Decimal
    unit: Decimal
    price: Decimal | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """A tenant's month. ``closed_at`` None: it is not closed, and this is what it comes to so far."""

    tenant_id: str
    tenant_name: str
    month: str
    timezone: str
    begins: datetime
    ends: datetime
    currency: str
    prices_from: str
    calls: int
    lines: tuple[Line, ...]
    total: Decimal
    closed_at: datetime | None = None

    def document(self) -> dict[str, Any]:
        """JSON-ready: decimals as text, instants as ISO 8601; ``closed_at`` is kept beside it."""
        written = asdict(self)
        del written["closed_at"]
        return {name: _plain(value) for name, value in written.items()}

    @classmethod
    def of_document(cls, document: dict[str, Any], closed_at: datetime | None) -> "Statement":
        """The inverse.

        Raises:
            KeyError, TypeError, ValueError, ArithmeticError: not such a document.
        """
        lines = tuple(_line_of(line) for line in document["lines"])
        given = document | {
            "lines": lines,
            "begins": datetime.fromisoformat(document["begins"]),
            "ends": datetime.fromisoformat(document["ends"]),
            "total": Decimal(document["total"]),
        }
        return cls(**given, closed_at=closed_at)


_DECIMALS = frozenset({"quantity", "late", "included", "billable", "unit", "price", "amount"})


def _line_of(written: dict[str, Any]) -> Line:
    read = {name: Decimal(text) for name, text in written.items() if name in _DECIMALS and text is not None}
    return Line(**{**written, **read})


def make_statement(
    tenant_id: str, tenant_name: str, month: Month, timezone: str, usage: Iterable[UsageSum], version: Version
) -> Statement:
    """What that usage comes to."""
    found = list(usage)
    with localcontext() as context:
        context.prec = DIGITS
        lines = [_line(one, version) for one in sorted(found, key=lambda one: (one.kind not in LABELS, one.kind))]
        if version.base:
            amount = _rounded(version.base, version)
            lines.insert(
                0, Line(BASE, "Monthly fee", Decimal(1), Decimal(0), Decimal(0), Decimal(1), Decimal(1), amount, amount)
            )
        total = sum((line.amount for line in lines), _rounded(Decimal(0), version))
    return Statement(
        tenant_id=tenant_id,
        tenant_name=tenant_name,
        month=str(month),
        timezone=timezone,
        begins=month.begins(timezone),
        ends=month.ends(timezone),
        currency=version.currency,
        prices_from=version.valid_from,
        calls=max((one.calls for one in found), default=0),
        lines=tuple(lines),
        total=total,
    )


def _line(used: UsageSum, version: Version) -> Line:
    price: Price | None = version.prices.get(used.kind)
    label = (price.label if price else "") or LABELS.get(used.kind, used.kind.replace("-", " "))
    if price is None:
        nothing = _rounded(Decimal(0), version)
        return Line(used.kind, label, used.quantity, used.late, Decimal(0), used.quantity, Decimal(1), None, nothing)
    included = min(price.included, used.quantity)
    billable = used.quantity - included
    amount = _rounded(billable * price.price / price.unit, version)
    return Line(used.kind, label, used.quantity, used.late, included, billable, price.unit, price.price, amount)


def _rounded(amount: Decimal, version: Version) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-version.decimals), rounding=ROUND_HALF_EVEN)


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat()
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value
