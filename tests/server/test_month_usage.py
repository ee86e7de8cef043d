"""A tenant's month is known to admission without anybody waiting for the database."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import trio
import trio.testing

from engine.call.admission import Admissions, Load
from engine.call.switchboard_types import Admission
from engine.errors import StoreUnavailable
from engine.server.month_usage import EVERY_S, run_month_usage
from engine.store.statements import UsageSum
from engine.tenants.tenant import Quotas, Tenant

Clock = trio.testing.MockClock
MARCH = datetime(2026, 3, 31, 23, 0, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, 0, 0, 30, tzinfo=UTC)


def a_tenant(minutes: int | None) -> Tenant:
    return Tenant(id="acme", name="Acme", greeting="Hi.", quotas=Quotas(minutes_per_month=minutes))


def _ignore() -> None:
    """No crash is expected."""
    raise AssertionError("a crash was counted")


class Store:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.away = False
        self.asked: list[datetime] = []

    async def used(self, tenant_id: str, begins: datetime, ends: datetime) -> list[UsageSum]:
        await trio.lowlevel.checkpoint()
        self.asked.append(begins)
        if self.away:
            raise StoreUnavailable("away")
        return [UsageSum("line-seconds", Decimal(self.seconds), 1), UsageSum("transfers", Decimal(99), 1)]


async def test_a_months_minutes_are_known_within_a_minute_and_stay_known(
    autojump_clock: Clock, nursery: trio.Nursery
) -> None:
    tenant, store, admissions, wall = a_tenant(10), Store(), Admissions(max_calls=9), MARCH

    def judged() -> Admission:
        return admissions.judge(tenant, trio.current_time(), wall, Load())

    nursery.start_soon(run_month_usage, lambda: [tenant], store.used, admissions, lambda: wall, _ignore)
    await trio.testing.wait_all_tasks_blocked()
    assert judged() is Admission.ADMITTED
    store.seconds = 540.0
    await trio.sleep(EVERY_S)
    await trio.testing.wait_all_tasks_blocked()
    assert judged() is Admission.ADMITTED
    admissions.entered("CA1", tenant, trio.current_time() - 61.0)
    assert judged() is Admission.TENANT_MINUTES, "a call that is on counts too"
    admissions.left("CA1", trio.current_time(), wall)
    store.seconds = 601.0
    await trio.sleep(EVERY_S)
    await trio.testing.wait_all_tasks_blocked()
    assert judged() is Admission.TENANT_MINUTES
    store.away = True
    await trio.sleep(5 * EVERY_S)
    assert judged() is Admission.TENANT_MINUTES
    wall = APRIL
    assert judged() is Admission.ADMITTED, "a new month"


@pytest.mark.parametrize("minutes", [None, 10])
async def test_only_who_has_such_a_quota_is_asked_for(
    minutes: int | None, autojump_clock: Clock, nursery: trio.Nursery
) -> None:
    store = Store()
    tenant = a_tenant(minutes)
    nursery.start_soon(run_month_usage, lambda: [tenant], store.used, Admissions(max_calls=9), lambda: MARCH, _ignore)
    await trio.testing.wait_all_tasks_blocked()
    assert store.asked == ([datetime(2026, 3, 1, tzinfo=UTC)] if minutes else [])


async def test_a_days_minutes_of_all_workers_are_known_within_a_minute(
    autojump_clock: Clock, nursery: trio.Nursery
) -> None:
    tenant = Tenant(id="acme", name="Acme", greeting="Hi.", timezone="Asia/Kolkata", quotas=Quotas(minutes_per_day=10))
    store, admissions, wall = Store(), Admissions(max_calls=9), MARCH
    store.seconds = 600.0
    nursery.start_soon(run_month_usage, lambda: [tenant], store.used, admissions, lambda: wall, _ignore)
    await trio.testing.wait_all_tasks_blocked()
    assert store.asked == [datetime(2026, 3, 31, 18, 30, tzinfo=UTC)], "midnight there, where it is April already"
    assert admissions.judge(tenant, trio.current_time(), wall, Load()) is Admission.TENANT_MINUTES
    store.seconds, wall = 0.0, MARCH + timedelta(days=1)
    await trio.sleep(EVERY_S)
    await trio.testing.wait_all_tasks_blocked()
    assert admissions.judge(tenant, trio.current_time(), wall, Load()) is Admission.ADMITTED


async def test_what_nobody_foresaw_of_one_tenant_is_counted_and_the_next_is_asked_for(
    autojump_clock: Clock, nursery: trio.Nursery
) -> None:
    odd, well, store, counted = a_tenant(10), a_tenant(10).model_copy(update={"id": "well"}), Store(), [0]
    asked: list[str] = []

    async def used(tenant_id: str, begins: datetime, ends: datetime) -> list[UsageSum]:
        asked.append(tenant_id)
        if tenant_id == odd.id:
            raise ZeroDivisionError("of an unforeseen shape")
        return await store.used(tenant_id, begins, ends)

    def crashed() -> None:
        counted[0] += 1

    nursery.start_soon(run_month_usage, lambda: [odd, well], used, Admissions(max_calls=9), lambda: MARCH, crashed)
    await trio.testing.wait_all_tasks_blocked()
    assert (counted, asked) == ([1], [odd.id, well.id])
