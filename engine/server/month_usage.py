"""What tenants with a quota of minutes have used of it, by the store's own sum: asked for once a minute, beside the
calls. So a day's or a month's minutes are those of all workers, and of before this one's start.

Whether a call may be taken is judged by the last answer, so nobody waits for the database; a minute's worth of calls
may be let in too many. While the store is away, what was known last goes on to hold.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

import trio

from engine.billing.period import Month
from engine.call.admission import Admissions
from engine.errors import RemoteError
from engine.log import get_logger
from engine.store.statements import UsageSum
from engine.tenants.tenant import Tenant

EVERY_S = 60.0
LINE = "line-seconds"

Used: TypeAlias = Callable[[str, datetime, datetime], Awaitable[list[UsageSum]]]
"""A tenant's usage from one instant until before another, by kind. Raises ``RemoteError`` where the store is away."""

log = get_logger("server.month_usage")


async def run_month_usage(
    tenants: Callable[[], Iterable[Tenant]],
    used: Used,
    admissions: Admissions,
    now: Callable[[], datetime],
    crashed: Callable[[], None],
) -> None:
    """Tell ``admissions`` until cancelled.

    Args:
        crashed: counts what nobody foresaw.
    """
    while True:
        for tenant in tenants():
            try:
                if tenant.quotas.minutes_per_month is not None:
                    await _ask_month(tenant, used, admissions, now())
                if tenant.quotas.minutes_per_day is not None:
                    await _ask_day(tenant, used, admissions, now())
            except RemoteError as error:
                log.warning("what tenants have used is not known now", tenant_id=tenant.id, detail=str(error))
                break
            except Exception:
                # In the nursery that all calls hang in: one tenant's document or sums must end nobody's call.
                crashed()
                log.exception("what a tenant has used cannot be known", tenant_id=tenant.id)
        await trio.sleep(EVERY_S)


async def _ask_month(tenant: Tenant, used: Used, admissions: Admissions, now: datetime) -> None:
    month = Month.of(now, tenant.timezone)
    begins, ends = month.begins(tenant.timezone), month.ends(tenant.timezone)
    admissions.told_month(tenant.id, await _minutes(tenant, used, begins, ends), ends)


async def _ask_day(tenant: Tenant, used: Used, admissions: Admissions, now: datetime) -> None:
    midnight = now.astimezone(ZoneInfo(tenant.timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
    begins, ends = (at.astimezone(UTC) for at in (midnight, midnight + timedelta(days=1)))
    admissions.told_day(tenant, await _minutes(tenant, used, begins, ends), now)


async def _minutes(tenant: Tenant, used: Used, begins: datetime, ends: datetime) -> float:
    return sum(float(one.quantity) for one in await used(tenant.id, begins, ends) if one.kind == LINE) / 60
