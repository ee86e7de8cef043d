"""``/v1/bills``: what the operator's own biller was told, or will be. ``statements/{month}/send`` tells it again."""

from typing import Annotated

from pydantic import Field
from quart import Blueprint

from engine.backoffice.access import requires
from engine.backoffice.endpoint import Body, Moment, Page, Paging, asks, gives, page
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.store.postgres_bills import Bill, Bills, BillState


class BillItem(Body):
    """A closed month on its way. ``held``: closed before this version could tell anybody; told when asked for.

    ``id`` is the ``webhook-id`` that it is told under, the same in every try.
    """

    id: str
    tenant_id: str
    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    state: BillState
    attempts: int
    next_at: Moment | None
    status: int | None
    error: str
    closed_at: Moment
    settled_at: Moment | None


class BillList(Page[BillItem]):
    """Bills of all tenants, the month closed last first."""


class BillFilter(Paging):
    """Which of them."""

    state: BillState | None = None


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("bills", __name__, url_prefix="/v1")
    bills = Bills(office.database)

    @pages.get("/bills")
    @gives(BillList)
    @asks(BillFilter)
    @requires("operator")
    async def listed(query: BillFilter) -> Page[BillItem]:
        """What the biller was told, or will be once one is set (``FRONTDESK_BILLER_URL``)."""
        found = await bills.page(before=query.before, limit=query.limit, state=query.state)
        return page(BillList, [_item(one) for one in found], [one.kept_order for one in found], query)

    @pages.post("/tenants/<slug:tenant_id>/statements/<name:month>/send")
    @gives(BillItem, 202)
    @requires("operator", known_tenant=False)
    async def send(tenant_id: str, month: str) -> tuple[BillItem, int]:
        """Tell the biller of a closed month once more, under the same id; also of a tenant that is not there now."""
        sent = await bills.send(tenant_id, month)
        if sent is None:
            raise Problem(404, "that month is not closed")
        return _item(sent), 202

    return pages


def _item(bill: Bill) -> BillItem:
    return BillItem(
        id=bill.event_id,
        tenant_id=bill.tenant_id,
        month=bill.month,
        state=bill.state,
        attempts=bill.attempts,
        next_at=bill.next_at if bill.state == "waiting" else None,
        status=bill.status,
        error=bill.error,
        closed_at=bill.made_at,
        settled_at=bill.settled_at,
    )
