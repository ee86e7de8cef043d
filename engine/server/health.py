"""Is this worker alive, may it be given calls, and what is it doing?

``/health/live``: the loop turns, else nobody would answer. ``/health/ready``: 200 ``ok``, 429 ``under_load`` (answer
before quality suffers), 503 ``unavailable`` or ``draining``. ``/health``: one bounded snapshot of everything.
"""

from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST
from quart import Blueprint, Response

from engine.server.media import MediaEntrance
from engine.server.ports import Gateway
from engine.server.readiness import Readiness, judge

CALLS_SHOWN = 100


def _json(document: Any, status: int = 200) -> Response:
    body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    return Response(body, status, {"cache-control": "no-store"}, content_type="application/json")


def health_blueprint(gateway: Gateway, readiness: Readiness, entrance: MediaEntrance) -> Blueprint:
    """The four pages. They answer anybody: nothing on them names a caller."""
    pages = Blueprint("health", __name__)

    @pages.get("/health/live")
    async def live() -> Response:
        return _json({"status": "ok"})

    @pages.get("/health/ready")
    async def ready() -> Response:
        found = judge(readiness.phase, gateway.switchboard.statistics(), gateway.plane.statistics())
        return _json({"status": found.status, "parts": found.parts}, found.http_status)

    @pages.get("/health")
    async def everything() -> Response:
        calls, plane = gateway.switchboard.statistics(), gateway.plane.statistics()
        found = judge(readiness.phase, calls, plane)
        return _json(
            {
                "status": found.status,
                "parts": found.parts,
                "calls": {
                    "now": calls.calls_now,
                    "capacity": calls.capacity,
                    "draining": calls.draining,
                    "shown": [
                        {
                            "call_sid": call.call_sid,
                            "tenant_id": call.tenant_id,
                            "floor": call.floor,
                            "age_s": round(call.age_s, 1),
                            "attempt": call.attempt,
                            "queues": dict(call.queues),
                            "actors": call.actors,
                        }
                        for call in calls.calls[:CALLS_SHOWN]
                    ],
                },
                "loop": plane,
                "media": entrance.statistics(),
            }
        )

    @pages.get("/metrics")
    async def metrics() -> Response:
        return Response(gateway.metrics.exposition(), content_type=CONTENT_TYPE_LATEST)

    return pages
