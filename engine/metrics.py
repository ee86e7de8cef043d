"""What is counted, in one place, with bounded labels.

One ``Metrics`` object per process, made in the composition root and handed down: no global registry, so two worlds in
one test process never mix. Per-frame figures are plain integers in each object's ``statistics()`` and are added here
once, when the call ends.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


class Metrics:
    """Counters, gauges and histograms of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.webhooks = Counter(
            "frontdesk_webhooks", "Requests of the carrier by path and result", ["path", "result"], registry=r
        )
        self.media_refused = Counter(
            "frontdesk_media_refused", "Media streams refused, by reason", ["reason"], registry=r
        )
        self.media_faults = Counter("frontdesk_media_faults", "Bad media messages, by kind", ["kind"], registry=r)
        self.calls = Counter("frontdesk_calls", "Calls ended, by class and reason", ["outcome", "reason"], registry=r)
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
        self.tools = Counter("frontdesk_tools", "Tool calls answered", ["effect", "status"], registry=r)
        self.response = Histogram(
            "frontdesk_response_seconds", "End of caller speech to first agent sound sent", buckets=_SECONDS, registry=r
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

    def watch_store(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """From now on tell what the store counts by itself, by what it survived; asked whenever somebody looks."""
        self.registry.register(_StoreCounts(counts))

    @staticmethod
    def total(counter: Counter) -> float:
        """A counter's sum over all its labels."""
        return sum(s.value for metric in counter.collect() for s in metric.samples if s.name.endswith("_total"))

    def exposition(self) -> bytes:
        """The text format that ``GET /metrics`` serves."""
        return generate_latest(self.registry)


class _StoreCounts(Collector):
    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily("frontdesk_store", "What the store has survived, by what it was", labels=["what"])
        for what, count in self._counts().items():
            family.add_metric([what], count)
        yield family
