"""``GET /metrics`` of the back office. It answers anybody: nothing on it names a tenant or a caller."""

from prometheus_client import CONTENT_TYPE_LATEST
from quart import Blueprint, Response

from engine.backoffice.office import Office


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("metrics", __name__)

    @pages.get("/metrics")
    async def metrics() -> Response:
        return Response(office.watch.metrics.exposition(), content_type=CONTENT_TYPE_LATEST)

    return pages
