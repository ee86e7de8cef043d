"""A closed month as the operator's own biller is told of it. PURE.

    {"type": "statement.closed", "timestamp": closed_at, "tenant_id": ..., "data": {"bill_id": ..., statement}}

The statement is the one that was written when the month was closed, word for word. Nothing corrects it later: what was
used before its end and came after that is in the next one, where ``late`` says how much.
"""

from datetime import UTC, datetime
from typing import Any, Final

import orjson

TYPE: Final = "statement.closed"


def told(bill_id: str, tenant_id: str, document: dict[str, Any], closed_at: datetime) -> bytes:
    """What is sent: the same bytes whenever it is sent again."""
    closed = closed_at.astimezone(UTC).isoformat()
    data = {"bill_id": bill_id, **document, "closed_at": closed}
    return orjson.dumps({"type": TYPE, "timestamp": closed, "tenant_id": tenant_id, "data": data})
