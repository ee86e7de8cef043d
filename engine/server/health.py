"""Is this worker alive, may it be given calls, and what is it doing?

``/health/live``: the loop turns, else nobody would answer. ``/health/ready``: 200 ``ok``, 429 ``under_load`` (answer
before quality suffers), 503 ``unavailable`` or ``draining``. ``/health``: one bounded snapshot of everything.
"""

from dataclasses import asdict
from typing import Any

import orjson
import psutil
import trio
from prometheus_client import CONTENT_TYPE_LATEST
from quart import Blueprint, Response

from engine.call.switchboard_types import SwitchboardStatistics
from engine.server.media import MediaEntrance
from engine.server.ports import Gateway
from engine.server.readiness import Readiness, Ready, judge

CALLS_SHOWN = 100
_PROCESS = psutil.Process()


def _json(document: Any, status: int = 200) -> Response:
    body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    return Response(body, status, {"cache-control": "no-store"}, content_type="application/json")


def _process() -> dict[str, int]:
    """What this process holds now; after its last call it must be what it was before the first.

    Of descriptors only the number: to look at each would cost the calls milliseconds.
    """
    with _PROCESS.oneshot():
        return {
            "tasks": trio.lowlevel.current_statistics().tasks_living,
            "threads": _PROCESS.num_threads(),
            "descriptors": _PROCESS.num_fds(),
        }


def health_blueprint(gateway: Gateway, readiness: Readiness, entrance: MediaEntrance) -> Blueprint:
    """The four pages. They answer anybody: nothing on them names a caller."""
    pages = Blueprint("health", __name__)

    def look() -> tuple[Ready, SwitchboardStatistics, dict[str, Any]]:
        calls, plane, lag = gateway.switchboard.statistics(), gateway.plane.statistics(), gateway.loop_lag.statistics()
        found = judge(readiness.phase, calls, plane, lag, gateway.settings.max_memory_mib)
        return found, calls, asdict(plane) | asdict(lag)

    @pages.get("/health/live")
    async def live() -> Response:
        return _json({"status": "ok"})

    @pages.get("/health/ready")
    async def ready() -> Response:
        found, _, _ = look()
        return _json({"status": found.status, "parts": found.parts | dict(gateway.parts())}, found.http_status)

    @pages.get("/health")
    async def everything() -> Response:
        found, calls, loop = look()
        return _json(
            {
                "status": found.status,
                "parts": found.parts | dict(gateway.parts()),
                "worker": gateway.settings.worker_id,
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
                "loop": loop,
                "process": _process(),
                "media": entrance.statistics(),
            }
        )

    @pages.get("/metrics")
    async def metrics() -> Response:
        return Response(gateway.metrics.exposition(), content_type=CONTENT_TYPE_LATEST)

    return pages
