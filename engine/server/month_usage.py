"""What tenants with a monthly quota have used of it, by the store's own sum: asked for once a minute, beside the calls.

Whether a call may be taken is judged by the last answer, so nobody waits for the database; a minute's worth of calls
may be let in too many. While the store is away, what was known last goes on to hold.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

import trio

from engine.billing.period import Month
from engine.call.admission import Admissions
from engine.errors import RemoteError
from engine.log import get_logger
from engine.store.statements import UsageSum
from engine.tenants.tenant import Tenant

EVERY_S = 60.0
LINE = "line-seconds"

log = get_logger("server.month_usage")


async def run_month_usage(
    tenants: Callable[[], Iterable[Tenant]],
    used: Callable[[str, datetime, datetime], Awaitable[list[UsageSum]]],
    admissions: Admissions,
    now: Callable[[], datetime],
) -> None:
    """Tell ``admissions`` until cancelled.

    Args:
        used: a tenant's usage from one instant until before another, by kind.
    """
    while True:
        for tenant in tenants():
            if tenant.quotas.minutes_per_month is None:
                continue
            try:
                await _ask(tenant, used, admissions, now())
            except RemoteError as error:
                log.warning("a month's usage is not known now", tenant_id=tenant.id, detail=str(error))
                break
            except Exception:
                # In the nursery that all calls hang in: one tenant's document or sums must end nobody's call.
                log.exception("a month's usage cannot be known", tenant_id=tenant.id)
        await trio.sleep(EVERY_S)


async def _ask(
    tenant: Tenant,
    used: Callable[[str, datetime, datetime], Awaitable[list[UsageSum]]],
    admissions: Admissions,
    now: datetime,
) -> None:
    month = Month.of(now, tenant.timezone)
    begins, ends = month.begins(tenant.timezone), month.ends(tenant.timezone)
    seconds = sum(float(one.quantity) for one in await used(tenant.id, begins, ends) if one.kind == LINE)
    admissions.told_month(tenant.id, seconds / 60, ends)
