"""Admission against a history that remembers everything and counts it anew each time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.call.admission import EXPECTED_S, Admissions, Bars, Load
from engine.call.switchboard_types import Admission
from engine.tenants.tenant import Quotas, Tenant

WALL = datetime(2026, 11, 3, 22, 0, tzinfo=UTC)
FINE = Load()


def a_tenant(tenant_id: str = "acme", timezone: str = "UTC", **quotas: int | None) -> Tenant:
    return Tenant(id=tenant_id, name="A", greeting="Hi.", timezone=timezone, quotas=Quotas.model_validate(quotas))


@dataclass
class Door:
    """An ``Admissions`` whose clocks stand where the test puts them."""

    admissions: Admissions
    now: float = 100.0

    @property
    def wall(self) -> datetime:
        return WALL + timedelta(seconds=self.now - 100)

    def judge(self, tenant: Tenant, load: Load = FINE, *, sid: str = "", recovery: bool = False) -> Admission:
        return self.admissions.judge(tenant, self.now, self.wall, load, call_sid=sid, recovery=recovery)

    def take(self, sid: str, tenant: Tenant) -> None:
        self.admissions.expect(sid, tenant, self.now)
        self.admissions.entered(sid, tenant, self.now)

    def leave(self, sid: str) -> None:
        self.admissions.left(sid, self.now, self.wall)


def door(max_calls: int = 10, **bars: float | None) -> Door:
    return Door(Admissions(max_calls=max_calls, bars=Bars(**bars)))  # type: ignore[arg-type]


def test_calls_that_are_only_expected_fill_the_worker_until_their_token_is_too_old() -> None:
    at, tenant = door(max_calls=2), a_tenant()
    at.admissions.expect("CA1", tenant, at.now)
    at.admissions.expect("CA2", tenant, at.now)
    assert at.judge(tenant) is Admission.FULL
    assert at.judge(tenant, sid="CA1") is Admission.ADMITTED, "its stream has come, and was promised a place"
    at.now += EXPECTED_S
    assert at.judge(tenant) is Admission.ADMITTED


def test_a_caller_who_hung_up_before_the_stream_leaves_the_place() -> None:
    at, tenant = door(max_calls=1), a_tenant()
    at.admissions.expect("CA1", tenant, at.now)
    at.admissions.gone("CA1")
    at.admissions.gone("CA1")
    assert at.judge(tenant) is Admission.ADMITTED


def test_a_minutes_worth_of_calls_may_come_at_once_and_then_one_at_a_time() -> None:
    at, tenant, other = door(max_calls=1000), a_tenant(calls_per_minute=6), a_tenant("bakery")
    for number in range(6):
        assert at.judge(tenant) is Admission.ADMITTED
        at.admissions.expect(f"CA{number}", tenant, at.now)
        at.admissions.expect(f"CA{number}", tenant, at.now)  # the carrier asks again: one call all the same
    assert at.judge(tenant) is Admission.TENANT_RATE
    assert at.judge(other) is Admission.ADMITTED
    at.now += 10.0
    assert at.judge(tenant) is Admission.ADMITTED
    at.admissions.expect("CA7", tenant, at.now)
    assert at.judge(tenant) is Admission.TENANT_RATE


def test_a_recovery_counts_against_neither_rate_nor_places_of_its_tenant() -> None:
    at, tenant = door(), a_tenant(calls_per_minute=1, concurrent_calls=1, minutes_per_day=1)
    at.take("CA1", tenant)
    at.now += 120.0
    assert at.judge(tenant) is Admission.TENANT_FULL
    assert at.judge(tenant, sid="CA2", recovery=True) is Admission.ADMITTED
    at.leave("CA1")
    assert at.judge(tenant) is Admission.TENANT_MINUTES
    assert at.judge(tenant, sid="CA2", recovery=True) is Admission.ADMITTED
    for number in range(5):
        at.admissions.expect(f"CB{number}", tenant, at.now, recovery=True)
        at.admissions.gone(f"CB{number}")
    assert at.judge(a_tenant(calls_per_minute=1)) is Admission.ADMITTED, "the bucket is as full as before"


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata"])
def test_minutes_begin_anew_at_the_tenants_own_midnight(timezone: str) -> None:
    at, tenant = door(), a_tenant(timezone=timezone, minutes_per_day=30)
    local = WALL.astimezone(ZoneInfo(timezone))
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0)
    at.now += (midnight - local).total_seconds() - 31 * 60
    at.take("CA1", tenant)
    at.now += 30 * 60
    assert at.judge(tenant) is Admission.TENANT_MINUTES
    at.now += 59.0
    assert at.judge(tenant) is Admission.TENANT_MINUTES
    at.now += 2.0
    assert at.judge(tenant) is Admission.ADMITTED, "a call that is still on counts from midnight"
    assert at.admissions.minutes_used(tenant, at.now, at.wall) == pytest.approx(1 / 60)


def test_a_day_is_as_long_as_it_is_when_the_clocks_change() -> None:
    berlin = a_tenant(timezone="Europe/Berlin")
    wall = datetime(2026, 10, 25, 22, 0, tzinfo=UTC)  # 23:00 there, of a day of 25 hours
    admissions = Admissions(max_calls=1)
    admissions.entered("CA1", berlin, 0.0)
    assert admissions.minutes_used(berlin, 25 * 3600.0, wall) == pytest.approx(24 * 60)


def test_a_wall_clock_that_is_set_back_over_midnight_gives_no_minutes() -> None:
    at, tenant = door(), a_tenant(minutes_per_day=5)
    at.now += 2 * 3600 + 60.0
    at.admissions.told_day(tenant, 6.0, at.wall)
    assert at.judge(tenant) is Admission.TENANT_MINUTES
    assert at.admissions.judge(tenant, at.now, at.wall - timedelta(minutes=2), FINE) is Admission.TENANT_MINUTES


def test_what_was_seen_here_is_not_counted_again_when_the_store_has_it() -> None:
    at, tenant = door(), a_tenant(minutes_per_day=10)
    at.take("CA1", tenant)
    at.now += 240.0
    at.leave("CA1")
    for minutes, used in ((0.0, 4.0), (4.0, 4.0), (7.0, 7.0), (5.0, 7.0)):  # not there yet, there, with others', late
        at.admissions.told_day(tenant, minutes, at.wall)
        assert at.admissions.minutes_used(tenant, at.now, at.wall) == pytest.approx(used)


def test_what_other_workers_used_counts() -> None:
    at, tenant = door(), a_tenant(minutes_per_day=10)
    for _ in range(2):
        at.admissions.told_day(tenant, 9.5, at.wall)
    assert at.judge(tenant) is Admission.ADMITTED
    at.take("CA1", tenant)
    at.now += 30.0
    assert at.judge(tenant) is Admission.TENANT_MINUTES


def test_a_late_worker_refuses_until_it_is_well_on_time_again() -> None:
    at, tenant = door(late_ms=40.0, on_time_ms=20.0), a_tenant()
    judged = [at.judge(tenant, Load(late)) for late in (40.0, 41.0, 39.0, 21.0, 20.0, 39.0)]
    assert [verdict is Admission.OVERLOADED for verdict in judged] == [False, True, True, True, False, False]


def test_a_recovery_is_refused_only_where_there_is_no_hope() -> None:
    at, tenant = door(max_memory_mib=1000.0), a_tenant()
    assert at.judge(tenant, Load(100.0)) is Admission.OVERLOADED
    assert at.judge(tenant, Load(100.0), recovery=True) is Admission.ADMITTED
    assert at.judge(tenant, Load(151.0), recovery=True) is Admission.OVERLOADED
    assert at.judge(tenant, Load(0.0, 1001.0)) is Admission.MEMORY
    assert at.judge(tenant, Load(0.0, 1001.0), recovery=True) is Admission.ADMITTED
    assert at.judge(tenant, Load(0.0, 1101.0), recovery=True) is Admission.MEMORY
    assert at.judge(tenant, Load(0.0, 960.0)) is Admission.MEMORY, "not before a twentieth is free again"
    assert at.judge(tenant, Load(0.0, 949.0)) is Admission.ADMITTED


def test_a_drain_refuses_everybody() -> None:
    at, tenant = door(), a_tenant()
    at.admissions.expect("CA1", tenant, at.now)
    at.admissions.begin_drain()
    assert at.judge(tenant, sid="CA1", recovery=True) is Admission.DRAINING
    assert at.admissions.statistics().draining


class AnyDay(RuleBasedStateMachine):
    """Two tenants, four places, and a model that keeps every event and derives all from them."""

    TENANTS = (
        a_tenant("small", "Asia/Kolkata", concurrent_calls=2, calls_per_minute=3, minutes_per_day=10),
        a_tenant("big", "America/New_York", concurrent_calls=9, calls_per_minute=None, minutes_per_day=None),
    )

    def __init__(self) -> None:
        super().__init__()
        self.at = door(max_calls=4)
        self.expected: dict[str, tuple[Tenant, float]] = {}
        self.on: dict[str, tuple[Tenant, float]] = {}
        self.spans: list[tuple[Tenant, float, float]] = []
        self.rung: list[tuple[Tenant, float]] = []
        self.number = 0

    def waiting(self) -> dict[str, Tenant]:
        return {sid: t for sid, (t, at) in self.expected.items() if at + EXPECTED_S > self.at.now}

    def used(self, tenant: Tenant) -> float:
        """Minute by minute would do: here, each span cut to the tenant's present day."""
        zone = ZoneInfo(tenant.timezone)
        local = self.at.wall.astimezone(zone)
        began = local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
        spans = [*self.spans, *((t, at, self.at.now) for t, at in self.on.values())]
        seconds = 0.0
        for of, start, end in spans:
            if of.id == tenant.id:
                a, b = (WALL + timedelta(seconds=x - 100) for x in (start, end))
                seconds += max(0.0, (b - max(a, began)).total_seconds())
        return seconds / 60

    def tokens(self, tenant: Tenant) -> float:
        rate = tenant.quotas.calls_per_minute
        if rate is None:
            return float("inf")
        tokens, last = float(rate), 0.0
        for of, at in self.rung:
            if of.id == tenant.id:
                tokens, last = min(rate, tokens + (at - last) * rate / 60) - 1, at
        return min(rate, tokens + (self.at.now - last) * rate / 60)

    def verdict(self, tenant: Tenant) -> set[Admission]:
        """One verdict; two where the figures are too close to tell by another way of adding."""
        waiting = self.waiting()
        if len(waiting) + len(self.on) >= 4:
            return {Admission.FULL}
        mine = [t for t in waiting.values() if t.id == tenant.id] + [
            t for t, _ in self.on.values() if t.id == tenant.id
        ]
        if len(mine) >= tenant.quotas.concurrent_calls:
            return {Admission.TENANT_FULL}
        most, found = tenant.quotas.minutes_per_day, set()
        if most is not None and self.used(tenant) > most - 1e-6:
            found.add(Admission.TENANT_MINUTES)
            if self.used(tenant) > most + 1e-6:
                return found
        tokens = self.tokens(tenant)
        return (
            found
            | ({Admission.ADMITTED} if tokens > 1 - 1e-6 else set())
            | ({Admission.TENANT_RATE} if tokens < 1 + 1e-6 else set())
        )

    @rule(seconds=st.one_of(st.floats(0, 60), st.sampled_from([10.0, 20.0, 30.0, 300.0, 7200.0, 40_000.0])))
    def time_passes(self, seconds: float) -> None:
        self.at.now += seconds

    @rule(tenant=st.sampled_from(TENANTS))
    def ring(self, tenant: Tenant) -> None:
        verdict = self.at.judge(tenant)
        assert verdict in self.verdict(tenant)
        if verdict is Admission.ADMITTED:
            self.number += 1
            sid = f"CA{self.number}"
            self.at.admissions.expect(sid, tenant, self.at.now)
            self.expected[sid] = (tenant, self.at.now)
            self.rung.append((tenant, self.at.now))

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def enter(self, data: st.DataObject) -> None:
        sid = data.draw(st.sampled_from(sorted(self.waiting())))
        tenant, _ = self.expected.pop(sid)
        assert self.at.judge(tenant, sid=sid) is Admission.ADMITTED
        self.at.admissions.entered(sid, tenant, self.at.now)
        self.on[sid] = (tenant, self.at.now)

    @precondition(lambda self: self.on)
    @rule(data=st.data(), twice=st.booleans())
    def leave(self, data: st.DataObject, twice: bool) -> None:
        sid = data.draw(st.sampled_from(sorted(self.on)))
        if twice:  # the next line of a call comes before this one has left
            self.at.admissions.entered(sid, self.on[sid][0], self.at.now)
            self.at.leave(sid)
        self.at.leave(sid)
        self.spans.append((*self.on.pop(sid), self.at.now))

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def hang_up_early(self, data: st.DataObject) -> None:
        sid = data.draw(st.sampled_from(sorted(self.expected)))
        self.at.admissions.gone(sid)
        del self.expected[sid]

    @invariant()
    def it_counts_as_the_history_does(self) -> None:
        for tenant in self.TENANTS:
            used = self.at.admissions.minutes_used(tenant, self.at.now, self.at.wall)
            assert used == pytest.approx(self.used(tenant), abs=1e-6)
        assert self.at.admissions.statistics().on_line == len(self.on)


TestAnyDay = AnyDay.TestCase
TestAnyDay.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
