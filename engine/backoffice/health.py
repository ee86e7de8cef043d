"""``GET /health``: how the back office stands, for whoever looks after it. They answer anybody: no tenant is named.

``/health/live``: it answers. ``/health/ready``: 200 where the database does too, else 503. Nobody's question reaches
the database: what is told is as it was when it was looked at last, a quarter of a minute ago at most.
"""

from typing import Any

from quart import Blueprint

import engine
from engine.backoffice.office import Office


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("health", __name__, url_prefix="/health")

    @pages.get("/live")
    async def live() -> dict[str, Any]:
        return {"status": "ok"}

    @pages.get("/ready")
    async def ready() -> tuple[dict[str, Any], int]:
        away = office.watch.database_away
        return {
            "status": "ok" if away is None else "unavailable",
            "database": away or "ok",
        }, 200 if away is None else 503

    @pages.get("")
    async def whole() -> dict[str, Any]:
        seen = office.watch.state()
        return {
            "status": "ok" if office.watch.database_away is None else "unavailable",
            "version": engine.__version__,
            "database": office.watch.database_away or "ok",
            "looked_at": None if seen is None else seen.looked_at,
            "webhooks": None
            if seen is None
            else {"waiting": seen.waiting, "oldest_s": seen.oldest_s, "dead": seen.dead},
            "bills": None
            if seen is None or seen.bills is None
            else {"waiting": seen.bills, "oldest_s": seen.bills_oldest_s},
        }

    return pages
