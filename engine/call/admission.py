"""May one more call be taken? PURE: every instant is an argument.

What is asked, in this order; the first that speaks against it is the answer. A *recovery* is a call that is in
progress already and has lost its stream: its caller is somebody we answered, so only what would hurt every other
caller too is held against it, and less readily.

| judged                     | new call refused            | again at              | recovery refused           |
|----------------------------|-----------------------------|-----------------------|----------------------------|
| draining                   | always                      |                       | always                     |
| calls of the worker        | on the line + expected full |                       | on the line full           |
| how late the worker is     | above ``late_ms``           | below ``on_time_ms``  | above ``hopeless_ms``      |
| memory of the process      | above ``max_memory_mib``    | below 95 % of it      | above 110 % of it          |
| calls of the tenant        | on the line + expected full |                       | never                      |
| minutes of the tenant      | the day's or month's used   | its next day or month | never                      |
| rate of the tenant         | a bucket, see below         | as it fills           | never                      |

A call that is admitted is *expected* until its stream comes, and takes a place meanwhile: else a hundred callers who
ring within one second would all be let in. ``judge`` may be asked any number of times; ``expect`` is what counts.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.call.switchboard_types import Admission
from engine.tenants.tenant import Tenant

EXPECTED_S = 30.0  # the lifetime of a stream's token: who has not come by then will not be let in
MEMORY_AGAIN, MEMORY_HOPELESS = 0.95, 1.10


@dataclass(frozen=True, slots=True)
class Load:
    """How the worker does, as measured over the last seconds.

    Attributes:
        late_ms: how late it does what is due: the worse of the media plane's p99 and the loop's own lag.
        memory_mib: resident; None where it is not known.
    """

    late_ms: float = 0.0
    memory_mib: float | None = None


@dataclass(frozen=True, slots=True)
class Bars:
    """Where the worker says no. ``server/readiness.py`` says "under load" well before.

    Attributes:
        late_ms: two frames. Egress leads by 400 ms, so nobody hears it yet.
        on_time_ms: as late as readiness bears; between the two it stays as it was, else it would flutter.
        hopeless_ms: from here on the lead itself is eaten up in a few ticks.
        max_memory_mib: None: whatever the machine gives.
    """

    late_ms: float = 40.0
    on_time_ms: float = 20.0
    hopeless_ms: float = 150.0
    max_memory_mib: float | None = None


@dataclass(frozen=True, slots=True)
class AdmissionStatistics:
    """``on_line`` and ``expected`` are calls, now; the two judgements are those that new calls met last."""

    on_line: int
    expected: int
    overloaded: bool
    short_of_memory: bool
    draining: bool


@dataclass(slots=True)
class _OnLine:
    tenant: Tenant
    entered_at: float
    legs: int = 1


@dataclass(slots=True)
class _Use:
    """One tenant's. ``ended_s`` are the seconds of calls that have ended, of the day ``day``; ``month_s`` those that
    we were told of, of the month that ends ``month_ends``.
    """

    on_line: set[str] = field(default_factory=set)
    expected: int = 0
    day: date = date.min
    ended_s: float = 0.0
    month_s: float = 0.0
    month_ends: datetime | None = None
    tokens: float = 0.0
    tokens_at: float | None = None


class Admissions:
    """One per worker. What it keeps of a tenant is one small record; of a call, one while it is expected or on."""

    def __init__(self, *, max_calls: int, bars: Bars = Bars()) -> None:
        self._max_calls = max_calls
        self._bars = bars
        self._expected: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._on_line: dict[str, _OnLine] = {}
        self._uses: dict[str, _Use] = {}
        self._late = self._large = self._draining = False

    # --- asked -------------------------------------------------------------------------------------------------

    def judge(
        self, tenant: Tenant, now: float, wall: datetime, load: Load, *, call_sid: str = "", recovery: bool = False
    ) -> Admission:
        """May this call be taken? Changes nothing that counts.

        Args:
            now: seconds of a clock that never goes back.
            wall: aware of its zone; only for the tenant's day.
            call_sid: one that is expected or on the line has been promised its place, and is let in but for a drain.
        """
        self._expire(now)
        self._weigh(load)
        if self._draining:
            return Admission.DRAINING
        if call_sid in self._expected or call_sid in self._on_line:
            return Admission.ADMITTED
        if recovery:
            return self._judge_recovery(load)
        if len(self._on_line) + len(self._expected) >= self._max_calls:
            return Admission.FULL
        if self._late:
            return Admission.OVERLOADED
        if self._large:
            return Admission.MEMORY
        return self._judge_tenant(tenant, now, wall)

    def minutes_used(self, tenant: Tenant, now: float, wall: datetime) -> float:
        """Of the tenant's present day: by calls that have ended, by those that are on, by what we were told."""
        use = self._uses.get(tenant.id)
        if use is None:
            return 0.0
        midnight = now - _since_midnight_s(tenant, wall)
        began = (max(self._on_line[sid].entered_at, midnight) for sid in use.on_line)
        return (self._ended_s(use, _day(tenant, wall)) + sum(now - at for at in began)) / 60

    def statistics(self) -> AdmissionStatistics:
        """A snapshot."""
        return AdmissionStatistics(len(self._on_line), len(self._expected), self._late, self._large, self._draining)

    # --- told --------------------------------------------------------------------------------------------------

    def expect(self, call_sid: str, tenant: Tenant, now: float, *, recovery: bool = False) -> None:
        """It was admitted, and its stream is on its way. Safe to repeat: a call counts once against the rate."""
        if call_sid in self._on_line:
            return
        self._expire(now)
        use = self._use(tenant.id)
        if call_sid not in self._expected:
            use.expected += 1
            if not recovery:
                self._refill(use, tenant, now)
                use.tokens -= 1
        self._expected[call_sid] = (tenant.id, now + EXPECTED_S)
        self._expected.move_to_end(call_sid)

    def gone(self, call_sid: str) -> None:
        """It will not come: the caller hung up. Of a call that nobody expects, nothing."""
        if (expected := self._expected.pop(call_sid, None)) is not None:
            self._uses[expected[0]].expected -= 1

    def entered(self, call_sid: str, tenant: Tenant, now: float) -> None:
        """A line of it is served. Its next line may enter before this one has left."""
        self.gone(call_sid)
        if (on := self._on_line.get(call_sid)) is not None:
            on.legs += 1
            return
        self._on_line[call_sid] = _OnLine(tenant, now)
        self._use(tenant.id).on_line.add(call_sid)

    def left(self, call_sid: str, now: float, wall: datetime) -> None:
        """That line is not served any more."""
        on = self._on_line[call_sid]
        on.legs -= 1
        if on.legs:
            return
        del self._on_line[call_sid]
        use = self._uses[on.tenant.id]
        use.on_line.remove(call_sid)
        midnight = now - _since_midnight_s(on.tenant, wall)
        self._add(use, _day(on.tenant, wall), now - max(on.entered_at, midnight))

    def told_day(self, tenant: Tenant, minutes: float, wall: datetime) -> None:
        """By the store's sum, so many minutes of calls that have ended are of the tenant's present day.

        Of other workers too, and from before a start; where more was seen here, the sum does not have it all yet.
        """
        use, day = self._use(tenant.id), _day(tenant, wall)
        self._add(use, day, max(0.0, 60 * minutes - self._ended_s(use, day)))

    def told_month(self, tenant_id: str, minutes: float, ends: datetime) -> None:
        """By the store's sum, so many minutes of calls that have ended are of the month that ends then."""
        use = self._use(tenant_id)
        use.month_s, use.month_ends = 60 * minutes, ends

    def begin_drain(self) -> None:
        """Take nothing from now on."""
        self._draining = True

    # --- inside ------------------------------------------------------------------------------------------------

    def _judge_recovery(self, load: Load) -> Admission:
        most = self._bars.max_memory_mib
        if len(self._on_line) >= self._max_calls:
            return Admission.FULL
        if load.late_ms > self._bars.hopeless_ms:
            return Admission.OVERLOADED
        if most is not None and load.memory_mib is not None and load.memory_mib > MEMORY_HOPELESS * most:
            return Admission.MEMORY
        return Admission.ADMITTED

    def _judge_tenant(self, tenant: Tenant, now: float, wall: datetime) -> Admission:
        use, quotas = self._use(tenant.id), tenant.quotas
        if len(use.on_line) + use.expected >= quotas.concurrent_calls:
            return Admission.TENANT_FULL
        if quotas.minutes_per_day is not None and self.minutes_used(tenant, now, wall) >= quotas.minutes_per_day:
            return Admission.TENANT_MINUTES
        if quotas.minutes_per_month is not None and self._month_s(use, now, wall) >= 60 * quotas.minutes_per_month:
            return Admission.TENANT_MINUTES
        self._refill(use, tenant, now)
        return Admission.ADMITTED if use.tokens >= 1 else Admission.TENANT_RATE

    def _month_s(self, use: _Use, now: float, wall: datetime) -> float:
        """What was told, and calls that are on; what has ended since it was told is in the next sum."""
        told = use.month_s if use.month_ends is not None and wall < use.month_ends else 0.0
        return told + sum(now - self._on_line[sid].entered_at for sid in use.on_line)

    def _weigh(self, load: Load) -> None:
        bars = self._bars
        self._late = load.late_ms > (bars.on_time_ms if self._late else bars.late_ms)
        most = bars.max_memory_mib
        if most is not None and load.memory_mib is not None:
            self._large = load.memory_mib > (MEMORY_AGAIN * most if self._large else most)

    def _refill(self, use: _Use, tenant: Tenant, now: float) -> None:
        """A bucket that holds a minute's worth and fills within a minute; a quota may change at any time."""
        rate = tenant.quotas.calls_per_minute
        most = float("inf") if rate is None else float(rate)
        if use.tokens_at is None or rate is None:
            use.tokens = most
        else:
            use.tokens = min(most, use.tokens + (now - use.tokens_at) * rate / 60)
        use.tokens_at = now

    def _expire(self, now: float) -> None:
        while self._expected:
            call_sid, (_, until) = next(iter(self._expected.items()))
            if until > now:
                return
            self.gone(call_sid)

    def _use(self, tenant_id: str) -> _Use:
        return self._uses.setdefault(tenant_id, _Use())

    def _ended_s(self, use: _Use, day: date) -> float:
        return use.ended_s if use.day >= day else 0.0

    def _add(self, use: _Use, day: date, seconds: float) -> None:
        # Only onward: a wall clock that is set back over midnight must not give the day's minutes anew.
        use.ended_s = self._ended_s(use, day) + seconds
        use.day = max(use.day, day)


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _day(tenant: Tenant, wall: datetime) -> date:
    return wall.astimezone(_zone(tenant.timezone)).date()


def _since_midnight_s(tenant: Tenant, wall: datetime) -> float:
    """Seconds that have passed, not what the clocks there show: twice a year the two differ."""
    local = wall.astimezone(_zone(tenant.timezone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return (local.astimezone(UTC) - midnight.astimezone(UTC)).total_seconds()
