"""``frontdesk usage``: what tenants have used and what their months come to, closed and exported.

A biller of the operator's own is told of each closed month by the back office (``FRONTDESK_BILLER_URL``), and ``send``
has it told again; or it reads what ``close --json`` and ``statement --json`` print, one JSON object a line. A tenant's
own systems are told by the event ``usage.closed``.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson
import trio

from engine import log
from engine.backoffice.biller import URL, biller_of
from engine.billing.book import PriceBook, read_price_book
from engine.billing.closing import close_month, statement_for
from engine.billing.period import Month
from engine.billing.render import as_csv, as_html
from engine.billing.statement import Statement
from engine.config import Settings
from engine.errors import ConfigurationError
from engine.server.shelf import database_config
from engine.store.database import Database, open_database
from engine.store.postgres_bills import Bills
from engine.store.postgres_statements import Statements
from engine.store.postgres_tenants import PostgresTenants
from engine.store.tenants import TenantDocument
from engine.tenants.tenant import Tenant

_MONTH = click.option("--month", required=True, help="Such as 2026-03: the tenant's own, by its time zone.")
_TENANTS = click.option("--tenant", "tenant_ids", multiple=True, help="Only this one; may be given several times.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for other programs.")


@click.group()
def usage() -> None:
    """Close months and print statements."""
    log.configure("WARNING", pretty=True)


@usage.command()
@_MONTH
@_TENANTS
@_JSON
def close(*, month: str, tenant_ids: tuple[str, ...], as_json: bool) -> None:
    """Close a month of every tenant: once; said again, it prints the same statements."""
    trio.run(_close, Settings.read(), Month.read(month), tenant_ids, as_json)


@usage.command()
@_MONTH
@_TENANTS
@_JSON
@click.option("--csv", "csv_dir", type=click.Path(file_okay=False, path_type=Path), help="Write CSV files there.")
@click.option("--html", "html_dir", type=click.Path(file_okay=False, path_type=Path), help="Write pages there.")
def statement(
    *, month: str, tenant_ids: tuple[str, ...], as_json: bool, csv_dir: Path | None, html_dir: Path | None
) -> None:
    """Print what a month comes to: as it was closed, or else so far."""
    made = trio.run(_statements, Settings.read(), Month.read(month), tenant_ids)
    for one in made:
        _write(csv_dir, f"{one.tenant_id}-{one.month}.csv", lambda one=one: as_csv(one))  # type: ignore[misc]
        _write(html_dir, f"{one.tenant_id}-{one.month}.html", lambda one=one: as_html(one))  # type: ignore[misc]
        _show(one, as_json=as_json, said="" if one.closed_at else "  so far")


@usage.command()
@_MONTH
@_TENANTS
def send(*, month: str, tenant_ids: tuple[str, ...]) -> None:
    """Have the back office tell your biller of a closed month once more, under the same ids."""
    trio.run(_send, Settings.read(), Month.read(month), tenant_ids)


def _write(directory: Path | None, name: str, text: Callable[[], str]) -> None:
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text(), "utf-8", newline="")


def _show(made: Statement, *, as_json: bool, said: str) -> None:
    if as_json:
        closed = made.closed_at.isoformat() if made.closed_at else None
        click.echo(orjson.dumps({**made.document(), "closed_at": closed}))
    else:
        click.echo(f"{made.tenant_id}\t{made.month}\t{made.total:f} {made.currency}{said}")


async def _close(settings: Settings, month: Month, tenant_ids: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001
    async def one(statements: Statements, tenant: Tenant, book: PriceBook) -> None:
        made, fresh = await close_month(statements, tenant, month, book, datetime.now(UTC))
        _show(made, as_json=as_json, said="" if fresh else "  (had been closed)")

    await _for_each(settings, tenant_ids, one)


async def _send(settings: Settings, month: Month, tenant_ids: tuple[str, ...]) -> None:
    if biller_of(settings) is None:
        raise ConfigurationError(f"{URL}: nobody is set to be told")
    async with _open(settings) as database:
        bills = Bills(database)
        closed = await bills.of_month(str(month))
        if not closed or (missing := sorted(set(tenant_ids) - set(closed))):
            whose = f" of {', '.join(missing)}" if closed else ""
            raise ConfigurationError(f"{month}{whose} is not closed; frontdesk usage close closes it")
        for tenant_id in tenant_ids or closed:
            if (bill := await bills.send(tenant_id, str(month))) is not None:
                click.echo(f"{tenant_id}\t{month}\t{bill.event_id}")


async def _statements(settings: Settings, month: Month, tenant_ids: tuple[str, ...]) -> list[Statement]:
    found: list[Statement] = []

    async def one(statements: Statements, tenant: Tenant, book: PriceBook) -> None:
        found.append(await statement_for(statements, tenant, month, book))

    await _for_each(settings, tenant_ids, one)
    return found


async def _for_each(
    settings: Settings, tenant_ids: tuple[str, ...], one: Callable[[Statements, Tenant, PriceBook], Awaitable[None]]
) -> None:
    book = read_price_book(settings.price_book)
    async with _open(settings) as database:
        tenants = [_read(kept) for kept in await PostgresTenants(database).list()]
        if missing := set(tenant_ids) - {tenant.id for tenant in tenants}:
            raise ConfigurationError(
                f"no tenant {', '.join(sorted(missing))}; frontdesk tenant list says which there are"
            )
        for tenant in tenants:
            if not tenant_ids or tenant.id in tenant_ids:
                await one(Statements(database), tenant, book)


def _read(kept: TenantDocument) -> Tenant:
    """What an invoice needs of a tenant, also where the rest of its document is of another version's form."""
    known = {name: kept.document[name] for name in ("name", "timezone") if name in kept.document}
    return Tenant.model_validate({"id": kept.tenant_id, "name": kept.tenant_id, "greeting": "", **known})


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[Database]:
    async with open_database(database_config(settings)) as database:
        yield database
