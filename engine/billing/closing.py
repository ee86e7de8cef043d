"""A tenant's month closed, and what a month that is not closed comes to so far. The event ``usage.closed`` is the
database's own, in the same transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.billing.book import PriceBook
from engine.billing.period import Month
from engine.billing.statement import Statement, make_statement
from engine.errors import ConfigurationError
from engine.store.postgres_statements import Statements
from engine.store.statements import KeptStatement, UsageSum
from engine.tenants.tenant import Tenant


async def close_month(
    statements: Statements, tenant: Tenant, month: Month, book: PriceBook, now: datetime
) -> tuple[Statement, bool]:
    """Its statement, and whether it was this call that closed it: a month is closed once, whoever asks how often.

    Raises:
        ConfigurationError: the month is not over there, or nothing in the price book is valid for it.
        StoreUnavailable: nobody knows whether it was closed; ask again.
    """
    zone, version = tenant.timezone, book.at(month)
    if month.ends(zone) > now:
        raise ConfigurationError(f"{month} is not over yet for {tenant.id} ({zone}): it ends {month.ends(zone)}")

    def make(usage: Sequence[UsageSum]) -> tuple[str, Decimal, dict[str, Any]]:
        made = make_statement(tenant.id, tenant.name, month, zone, usage, version)
        return made.currency, made.total, made.document()

    kept, fresh = await statements.close(tenant.id, str(month), month.begins(zone), month.ends(zone), make)
    return statement_of(kept), fresh


async def statement_for(statements: Statements, tenant: Tenant, month: Month, book: PriceBook) -> Statement:
    """The closed one, or what it comes to so far.

    Raises:
        ConfigurationError: nothing in the price book is valid for it.
        StoreUnavailable: the database is away.
    """
    if (kept := await statements.get(tenant.id, str(month))) is not None:
        return statement_of(kept)
    zone = tenant.timezone
    usage = await statements.open(tenant.id, month.begins(zone), month.ends(zone))
    return make_statement(tenant.id, tenant.name, month, zone, usage, book.at(month))


def statement_of(kept: KeptStatement) -> Statement:
    """As it was written.

    Raises:
        ConfigurationError: another version of the product wrote it.
    """
    try:
        return Statement.of_document(kept.document, kept.closed_at)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigurationError(f"the statement of {kept.month} is of another version's form: {error!r}") from None
