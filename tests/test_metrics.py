"""Metrics: one set per process, never shared, and no label that grows with callers."""

from prometheus_client.parser import text_string_to_metric_families

from engine.metrics import Metrics

# A label of these takes one of a small set of words. Call, caller or tenant are never among them.
BOUNDED = {
    "path", "result", "reason", "kind", "outcome", "source", "target", "cause", "provider", "retrieval", "effect",
    "status", "fate", "channel", "place", "what",
}  # fmt: skip


def test_two_worlds_in_one_process_never_mix() -> None:
    one, other = Metrics(), Metrics()
    one.underruns.inc(3)
    assert Metrics.total(one.underruns) == 3
    assert Metrics.total(other.underruns) == 0


def test_total_sums_over_labels() -> None:
    metrics = Metrics()
    metrics.crashes.labels("call").inc()
    metrics.crashes.labels("retriever").inc(2)
    assert Metrics.total(metrics.crashes) == 3


def test_exposition_can_be_read_back() -> None:
    metrics = Metrics()
    metrics.calls.labels("success", "hang_up").inc()
    metrics.calls_now.set(4)
    metrics.response.observe(0.4)
    text = metrics.exposition().decode()
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["frontdesk_calls_total", ("success", "hang_up")] == 1
    assert samples["frontdesk_calls_now", ()] == 4
    assert samples["frontdesk_response_seconds_bucket", ("0.5",)] == 1
    assert samples["frontdesk_response_seconds_bucket", ("0.3",)] == 0


def test_every_metric_is_ours_by_name_explained_and_bounded_in_labels() -> None:
    families = list(Metrics().registry.collect())
    assert len(families) > 10
    for family in families:
        assert family.name.startswith("frontdesk_")
        assert family.documentation
    collectors = [value for value in vars(Metrics()).values() if hasattr(value, "_labelnames")]
    assert len(collectors) == len(families)
    assert {label for collector in collectors for label in collector._labelnames} <= BOUNDED


def test_what_the_store_counts_by_itself_is_told_as_it_stands_when_somebody_looks() -> None:
    metrics, counts = Metrics(), {"refused": 0}
    metrics.watch_store(lambda: counts)
    counts["refused"] = 2
    assert 'frontdesk_store_total{what="refused"} 2.0' in metrics.exposition().decode()
