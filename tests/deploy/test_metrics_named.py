"""Every metric that the dashboard, the alert rules and the table name exists, with that suffix and those labels."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from prometheus_client import CollectorRegistry

from engine.metrics import Metrics, OfficeMetrics, WorkerState

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = re.compile(r"\bfrontdesk_[a-z0-9_]+")
SELECTED = re.compile(r"(frontdesk_[a-z0-9_]+)\{([^}]*)\}")
GROUPED = re.compile(r"\bby \(([a-z_, ]+)\)")
ADDED_BY_PROMETHEUS = {"instance", "job", "le"}
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def registries() -> list[CollectorRegistry]:
    metrics = Metrics()
    metrics.watch_store(lambda: {"spooled": 1})
    metrics.watch_worker(
        lambda: WorkerState({"p50": 0.0, "p90": 0.0, "max": 0.0}, 0.0, 1, draining=False, spooled={"disk": 0})
    )
    return [metrics.registry, OfficeMetrics(lambda: None).registry]


def known() -> dict[str, str]:
    """Of every series that is exposed: its metric's type."""
    return {
        family.name + suffix: family.type
        for registry in registries()
        for family in registry.collect()
        for suffix in SUFFIXES[family.type]
    }


def labels() -> dict[str, set[str]]:
    """Of every family: its labels."""
    found: dict[str, set[str]] = {}
    for registry in registries():
        for collector in set(registry._collector_to_names):
            for family in collector.collect():
                names = getattr(collector, "_labelnames", None) or getattr(family, "_labelnames", ())
                found[family.name] = set(names or ())
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Where, and what Prometheus is asked there."""
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]


def dashboard() -> Any:
    return orjson.loads((DEPLOY / "grafana" / "frontdesk.json").read_bytes())


def table() -> dict[str, tuple[str, set[str]]]:
    rows = re.findall(
        r"^\| `(frontdesk_[a-z0-9_]+)` \| (\w+) \|([^|]*)\|", (DEPLOY / "metrics.md").read_text("utf-8"), re.MULTILINE
    )
    return {name: (kind, set(re.findall(r"`([a-z_]+)`", said))) for name, kind, said in rows}


def without_suffix(series: str) -> str:
    return re.sub(r"_(total|bucket|sum|count)$", "", series)


def test_there_is_something_to_check() -> None:
    assert len(list(expressions())) > 50
    assert len(table()) > 30


def test_every_series_that_is_asked_for_is_exposed_under_that_name() -> None:
    series = known()
    asked = {(where, name) for where, asks in expressions() for name in NAME.findall(asks)}
    assert {(where, name) for where, name in asked if name not in series} == set()


def test_every_label_that_is_asked_for_is_one_of_its_metric() -> None:
    of = labels()
    wrong = [
        (where, series, label)
        for where, asks in expressions()
        for series, selected in SELECTED.findall(asks)
        for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selected)
        if label not in of[without_suffix(series)] | ADDED_BY_PROMETHEUS
    ]
    wrong += [
        (where, asks, label)
        for where, asks in expressions()
        for names in GROUPED.findall(asks)
        for label in re.split(r",\s*", names)
        if not any(label in of[without_suffix(name)] | ADDED_BY_PROMETHEUS for name in NAME.findall(asks))
    ]
    assert wrong == []


def test_rates_are_taken_of_what_only_grows() -> None:
    series = known()
    for where, asks in expressions():
        for name in re.findall(r"(?:rate|increase)\((frontdesk_[a-z0-9_]+)", asks):
            assert series[name] in {"counter", "histogram"}, f"{where}: {name}"


def test_the_table_names_every_series_and_no_other() -> None:
    exposed = {
        (family.name + ("_total" if family.type == "counter" else ""), family.type)
        for registry in registries()
        for family in registry.collect()
    }
    assert {(name, kind) for name, (kind, _) in table().items()} == exposed


def test_the_table_names_every_label_and_no_other() -> None:
    of = labels()
    assert {name: said for name, (_, said) in table().items()} == {name: of[without_suffix(name)] for name in table()}


def test_every_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert {"summary", "what_to_do"} <= set(rule["annotations"])


def test_every_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", ["prometheus.yml", "alerts.yml"])
def test_prometheus_files_are_yaml_without_a_name_given_twice(name: str) -> None:
    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        keys = [loader.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys
        return dict(loader.construct_pairs(node, deep=True))

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    assert yaml.load((DEPLOY / "prometheus" / name).read_text("utf-8"), Strict)
