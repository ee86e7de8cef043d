"""What is counted, in one place, with bounded labels; ``deploy/metrics.md`` says what each of them means.

One ``Metrics`` object per process, made in the composition root and handed down: no global registry, so two worlds in
one test process never mix. Per-frame figures are plain integers in each object's ``statistics()`` and are added here
once, when the call ends; what a call's record can tell is taken from it then, too (``server/telemetry.py``). How things
stand now is asked for whenever somebody looks (``WorkerState``).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_SHORT_SECONDS = (0.0, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 1.0, 2.0)
_CALL_SECONDS = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0, 7200.0)


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A gateway worker.

    Attributes:
        loop_lag_s: how late the loop wakes who asked to be woken, by ``p50``, ``p90``, ``max`` of three seconds.
        clock_late_s: how late the media plane ticks, 99th percentile.
        capacity: the most calls it takes.
        memory_bytes: resident; None where nobody can tell.
        spooled: records that wait for the database, by where: ``disk``, ``memory``.
        database_up: None where there is none to be had.
        media_lines: media websockets being served, whether a call stands on them yet or not.
    """

    loop_lag_s: Mapping[str, float]
    clock_late_s: float
    capacity: int
    draining: bool
    media_lines: int = 0
    memory_bytes: float | None = None
    spooled: Mapping[str, int] = field(default_factory=dict)
    database_up: bool | None = None


@dataclass(frozen=True, slots=True)
class OfficeState:
    """The back office, as it was when it last looked; over all tenants.

    Attributes:
        looked_at: seconds since 1970.
        waiting, oldest_s: webhook deliveries that are due or to be tried again, and since when the oldest was told.
        dead: deliveries that were given up, and wait for a replay.
        endpoints_failed: endpoints that we turned off, since they failed for too long.
        retention_ran_at: seconds since 1970; None: not since the start.
        bills, bills_oldest_s: closed months that the biller has not taken, and since when the oldest waits; None: there
            is no biller.
    """

    looked_at: float
    waiting: int
    oldest_s: float
    dead: int
    endpoints_failed: int
    retention_ran_at: float | None = None
    bills: int | None = None
    bills_oldest_s: float | None = None


class Metrics:
    """Counters, gauges and histograms of one gateway process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._at_the_door()
        self._in_calls()
        self._of_ended_calls()

    def _at_the_door(self) -> None:
        r = self.registry
        self.webhooks = Counter(
            "frontdesk_webhooks", "Requests of the carrier by path and result", ["path", "result"], registry=r
        )
        self.not_admitted = Counter(
            "frontdesk_not_admitted",
            "Calls that were given the static script instead of a place, by reason",
            ["reason"],
            registry=r,
        )
        self.media_refused = Counter(
            "frontdesk_media_refused", "Media streams refused, by reason", ["reason"], registry=r
        )
        self.media_faults = Counter("frontdesk_media_faults", "Bad media messages, by kind", ["kind"], registry=r)

    def _in_calls(self) -> None:
        r = self.registry
        self.calls_now = Gauge("frontdesk_calls_now", "Calls on the line", registry=r)
        self.handovers = Counter(
            "frontdesk_handovers", "Hand-overs of the floor", ["source", "target", "cause"], registry=r
        )
        self.model_lost = Counter(
            "frontdesk_model_lost", "Model sessions lost, by kind", ["provider", "kind"], registry=r
        )
        self.circuit_open = Gauge(
            "frontdesk_circuit_open", "1 while a model fails for everyone and is passed over", ["provider"], registry=r
        )
        self.circuit_openings = Counter(
            "frontdesk_circuit_openings", "Times a model began to fail for everyone", ["provider"], registry=r
        )
        self.turns = Counter("frontdesk_turns", "Turns committed, by retrieval outcome", ["retrieval"], registry=r)
        self.response = Histogram(
            "frontdesk_response_seconds", "End of caller speech to first agent sound sent", buckets=_SECONDS, registry=r
        )
        self.barge_in = Histogram(
            "frontdesk_barge_in_seconds",
            "First loud frame of a caller who interrupts to the carrier being told to stop playing",
            buckets=_SHORT_SECONDS,
            registry=r,
        )
        self.frames_in = Counter("frontdesk_frames_in", "Caller frames by fate", ["fate"], registry=r)
        self.underruns = Counter("frontdesk_underruns", "Times the outbound audio ran dry in mid-utterance", registry=r)
        self.dropped_messages = Counter(
            "frontdesk_channel_refusals", "Messages refused by a full channel", ["channel"], registry=r
        )
        self.live_state = Counter(
            "frontdesk_live_state", "Writing live calls behind: rounds, skipped ones, calls moved", ["what"], registry=r
        )
        self.crashes = Counter("frontdesk_crashes", "Exceptions nobody foresaw, by place", ["place"], registry=r)

    def _of_ended_calls(self) -> None:
        r = self.registry
        self.calls = Counter("frontdesk_calls", "Calls ended, by class and reason", ["outcome", "reason"], registry=r)
        self.call = Histogram("frontdesk_call_seconds", "How long calls last", buckets=_CALL_SECONDS, registry=r)
        self.handover = Histogram(
            "frontdesk_handover_seconds",
            "Loss of a model to whose words come next: the script's (target=script), a model's again (target=model)",
            ["target"],
            buckets=_SECONDS,
            registry=r,
        )
        self.retrieval_hold = Histogram(
            "frontdesk_retrieval_hold_seconds",
            "How long a turn was held back for its notes",
            buckets=_SHORT_SECONDS,
            registry=r,
        )
        self.tool = Histogram(
            "frontdesk_tool_seconds", "Tool calls answered, by status", ["status"], buckets=_SECONDS, registry=r
        )
        self.tools_again = Counter(
            "frontdesk_tools_from_ledger", "Tool calls that were answered from what had been done before", registry=r
        )
        self.tokens = Counter(
            "frontdesk_model_tokens", "Tokens used, by the model's own count", ["provider"], registry=r
        )
        self.recordings = Counter(
            "frontdesk_recordings", "Recordings of lines, by what became of them", ["fate"], registry=r
        )
        self.traces = Counter("frontdesk_traces", "Traces of calls, by what became of them", ["fate"], registry=r)

    def watch_store(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """From now on tell what the store counts by itself, by what it survived; asked whenever somebody looks."""
        self.registry.register(_StoreCounts(counts))

    def watch_worker(self, now: Callable[[], WorkerState]) -> None:
        """From now on tell how the worker stands; asked whenever somebody looks."""
        self.registry.register(_WorkerNow(now))

    @staticmethod
    def total(counter: Counter) -> float:
        """A counter's sum over all its labels."""
        return sum(s.value for metric in counter.collect() for s in metric.samples if s.name.endswith("_total"))

    def exposition(self) -> bytes:
        """The text format that ``GET /metrics`` serves."""
        return generate_latest(self.registry)


class OfficeMetrics:
    """What the back office process counts, and how it stands once ``now`` knows."""

    def __init__(self, now: Callable[[], OfficeState | None]) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.expired = Counter(
            "frontdesk_expired",
            "Records deleted since their tenant keeps them no longer, by what",
            ["what"],
            registry=r,
        )
        self.crashes = Counter(
            "frontdesk_office_crashes", "Exceptions nobody foresaw in the back office, by place", ["place"], registry=r
        )
        r.register(_OfficeNow(now))

    def exposition(self) -> bytes:
        """The text format that ``GET /metrics`` serves."""
        return generate_latest(self.registry)


class _OfficeNow(Collector):
    def __init__(self, now: Callable[[], OfficeState | None]) -> None:
        self._now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        state = self._now()
        told: dict[str, tuple[str, Callable[[OfficeState], float | None]]] = {
            "outbox_waiting": ("Webhook deliveries that are due or to be tried again", lambda s: s.waiting),
            "outbox_oldest_seconds": ("How long ago the oldest of them was told", lambda s: s.oldest_s),
            "outbox_dead": ("Webhook deliveries given up", lambda s: s.dead),
            "webhook_endpoints_failed": ("Endpoints turned off by us", lambda s: s.endpoints_failed),
            "bills_waiting": ("Closed months that the biller has not taken", lambda s: s.bills),
            "bills_oldest_seconds": ("How long ago the oldest of them was closed", lambda s: s.bills_oldest_s),
            "office_looked_timestamp_seconds": ("When the above was looked at", lambda s: s.looked_at),
            "retention_ran_timestamp_seconds": ("When what is too old was deleted", lambda s: s.retention_ran_at),
        }
        for name, (documentation, value) in told.items():
            yield _gauge(f"frontdesk_{name}", documentation, None if state is None else value(state))


class _WorkerNow(Collector):
    def __init__(self, now: Callable[[], WorkerState]) -> None:
        self._now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        state = self._now()
        late = "How late the loop wakes who asked to be woken, over three seconds"
        yield _labelled("frontdesk_loop_lag_seconds", late, "quantile", state.loop_lag_s)
        yield _gauge("frontdesk_clock_late_seconds", "How late the media plane ticks, p99", state.clock_late_s)
        yield _gauge("frontdesk_calls_capacity", "The most calls this worker takes", state.capacity)
        yield _gauge("frontdesk_draining", "1 while no new calls are taken", state.draining)
        yield _gauge("frontdesk_media_lines", "Media websockets being served", state.media_lines)
        yield _gauge("frontdesk_memory_bytes", "Resident memory of this process", state.memory_bytes)
        waits = "Records that wait for the database, by where"
        yield _labelled("frontdesk_spooled_records", waits, "where", state.spooled)
        yield _gauge("frontdesk_database_up", "1 while the database answers", state.database_up)


class _StoreCounts(Collector):
    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily("frontdesk_store", "What the store has survived, by what it was", labels=["what"])
        for what, count in self._counts().items():
            family.add_metric([what], count)
        yield family


def _gauge(name: str, documentation: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation)
    if value is not None:  # else it is named and explained, and has no value: not 0
        family.add_metric([], value)
    return family


def _labelled(name: str, documentation: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for of, value in values.items():
        family.add_metric([of], value)
    return family
