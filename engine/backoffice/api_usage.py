"""``.../usage`` and ``.../statements``: what a tenant has used, and what its months come to. Months are the tenant's
own, by its time zone. ``/v1/price-book`` is what they are priced by.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field
from quart import Blueprint, Response

from engine.backoffice.access import requires
from engine.backoffice.endpoint import Body, Moment, Page, Paging, asks, gives, gives_bytes, page
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.billing.book import PriceBook, read_price_book
from engine.billing.closing import close_month, statement_for, statement_of
from engine.billing.period import Month
from engine.billing.render import as_csv, as_html
from engine.billing.statement import Statement
from engine.errors import ConfigurationError
from engine.store.postgres_statements import Statements
from engine.tenants.tenant import Tenant

CSV, HTML = "text/csv", "text/html"
NO_SCRIPT = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "cache-control": "no-store"}
Amount = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$")]
MonthText = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class Period(Body):
    """From when until before when; by default the tenant's present month."""

    begins: Moment | None = None
    ends: Moment | None = None


class UsageItem(Body):
    """So much of one kind, in so many calls. Quantities are decimals as text."""

    kind: str
    quantity: Amount
    calls: int


class UsageSums(Body):
    """What was used in a period, by kind."""

    begins: Moment
    ends: Moment
    items: list[UsageItem]


class StatementLine(Body):
    """One kind of usage. ``late`` of it is from before the month; ``price`` is for one ``unit``, null: none."""

    kind: str
    label: str
    quantity: Amount
    late: Amount
    included: Amount
    billable: Amount
    unit: Amount
    price: Amount | None
    amount: Amount


class StatementItem(Body):
    """A month. ``closed_at`` null: it is not closed, and these are its figures so far."""

    tenant_id: str
    tenant_name: str
    month: MonthText
    timezone: str
    begins: Moment
    ends: Moment
    currency: str
    prices_from: MonthText
    calls: int
    lines: list[StatementLine]
    total: Amount
    closed_at: Moment | None


class StatementSummary(Body):
    """A closed month in a list."""

    month: MonthText
    currency: str
    total: Amount
    closed_at: Moment


class StatementList(Page[StatementSummary]):
    """Closed months, the one closed last first."""


class PriceBookItem(Body):
    """The price book as it was read at start."""

    versions: list[dict[str, Any]]


def blueprint(office: Office) -> Blueprint:
    """See the module.

    Raises:
        ConfigurationError: the price book cannot be used.
    """
    pages = Blueprint("usage", __name__, url_prefix="/v1")
    statements, book = Statements(office.database), read_price_book(office.settings.price_book)

    @pages.get("/tenants/<slug:tenant_id>/usage")
    @gives(UsageSums)
    @asks(Period)
    @requires("read")
    async def usage(tenant_id: str, query: Period) -> UsageSums:
        """What was used, by kind: of calls that have ended."""
        tenant = await office.tenant(tenant_id)
        begins, ends = _period(tenant, query, office.now())
        found = await statements.used(tenant_id, begins, ends)
        items = [UsageItem(kind=one.kind, quantity=format(one.quantity, "f"), calls=one.calls) for one in found]
        return UsageSums(begins=begins, ends=ends, items=items)

    @pages.get("/tenants/<slug:tenant_id>/statements")
    @gives(StatementList)
    @asks(Paging)
    @requires("read")
    async def closed(tenant_id: str, query: Paging) -> Page[StatementSummary]:
        """Closed months."""
        found = await statements.page(tenant_id, before=query.before, limit=query.limit)
        items = [
            StatementSummary(
                month=one.month, currency=one.currency, total=format(one.total, "f"), closed_at=one.closed_at
            )
            for one in found
        ]
        return page(StatementList, items, [one.kept_order for one in found], query)

    @pages.get("/tenants/<slug:tenant_id>/statements/<name:month>")
    @gives(StatementItem)
    @requires("read")
    async def one(tenant_id: str, month: str) -> StatementItem:
        """A closed month, or what another one comes to so far."""
        return _item(await _statement(tenant_id, month))

    @pages.get("/tenants/<slug:tenant_id>/statements/<name:month>/csv")
    @gives_bytes(CSV, "One row a line.")
    @requires("read")
    async def csv(tenant_id: str, month: str) -> Response:
        """The same for a spreadsheet."""
        name = {"content-disposition": f'attachment; filename="{tenant_id}-{month}.csv"', "cache-control": "no-store"}
        content = as_csv(await _statement(tenant_id, month))
        return Response(content, content_type=f"{CSV}; charset=utf-8", headers=name)

    @pages.get("/tenants/<slug:tenant_id>/statements/<name:month>/page")
    @gives_bytes(HTML, "A page to print.")
    @requires("read")
    async def printed(tenant_id: str, month: str) -> Response:
        """The same as a page to print."""
        content = as_html(await _statement(tenant_id, month))
        return Response(content, content_type=f"{HTML}; charset=utf-8", headers=NO_SCRIPT)

    @pages.post("/tenants/<slug:tenant_id>/statements/<name:month>/close")
    @gives(StatementItem)
    @requires("operator")
    async def close(tenant_id: str, month: str) -> StatementItem:
        """Close a month that is over: once; whoever asks again gets the same."""
        tenant, wanted = await office.tenant(tenant_id), _month(month)
        try:
            made, _ = await close_month(statements, tenant, wanted, book, office.now())
        except ConfigurationError as error:
            raise Problem(409, str(error), kind="not-closable") from None
        return _item(made)

    @pages.get("/price-book")
    @gives(PriceBookItem)
    @requires("operator")
    async def price_book() -> PriceBookItem:
        """What usage costs, by versions."""
        return PriceBookItem(versions=_written(book))

    async def _statement(tenant_id: str, month: str) -> Statement:
        wanted = _month(month)
        kept = await statements.get(tenant_id, str(wanted))
        if kept is not None:
            return statement_of(kept)
        try:
            return await statement_for(statements, await office.tenant(tenant_id), wanted, book)
        except ConfigurationError as error:
            raise Problem(409, str(error), kind="no-prices") from None

    return pages


def _period(tenant: Tenant, query: Period, now: datetime) -> tuple[datetime, datetime]:
    month = Month.of(now, tenant.timezone)
    begins, ends = query.begins or month.begins(tenant.timezone), query.ends or month.ends(tenant.timezone)
    if begins > ends:
        raise Problem(422, "the period ends before it begins", kind="invalid")
    return begins, ends


def _month(text: str) -> Month:
    try:
        return Month.read(text)
    except ConfigurationError:
        raise Problem(404, "no such month: write it as 2026-03") from None


def _written(book: PriceBook) -> list[dict[str, Any]]:
    return [version.model_dump(mode="json") for version in book.versions]


def _item(made: Statement) -> StatementItem:
    document = made.document()
    return StatementItem.model_validate({**document, "closed_at": made.closed_at})
