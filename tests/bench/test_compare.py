"""Whether the comparison of two reports finds what became worse, and nothing else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.compare import NotComparable, compare, main

LOADTEST: dict[str, Any] = {
    "calls": {"placed": 60, "answered": 60, "completed": 60, "dropped": 0},
    "response_ms": {"p50": 660.0, "p95": 670.0, "p99": 680.0, "max": 700.0},
    "added_ms": {"p50": 6.0, "p95": 9.0, "p99": 20.0, "max": 30.0},
    "barge_in_ms": None,
    "underruns_per_minute": 0.0,
    "server": {"cores": 0.3, "cpu_ms_per_call_second": 5.0, "memory_mib_per_call": 0.3},
    "protocol_faults": 0,
    "load": {"plan": {"calls": 60, "window_ms": None, "pace": 3.0, "seed": 1}, "held": True, "unanswered": 0},
}
MICRO: dict[str, Any] = {"kind": "micro", "cases": {"pacer": {"loops": 4.8, "ns": 1}, "media_in": {"loops": 1.2}}}
POINT: dict[str, Any] = {
    "name": "20",
    "figures": {"added_p50_ms": 8.0, "underruns_per_minute": 0.0},
    "to_base": {"cpu_ms": 1.4, "memory_mib": 1.0},
    "held": 2,
    "runs": [{}, {}],
}
SWEEP: dict[str, Any] = {
    "kind": "sweep",
    "sweep": "window",
    "base": "100",
    "base_cpu_loops": 100.0,
    "points": [POINT, POINT | {"name": "100", "to_base": {"cpu_ms": 1.0, "memory_mib": None}}],
}
SOAK: dict[str, Any] = {"kind": "soak", "calls": 50, "flat": True, "nothing_left": True, "cpu_ms_per_call_second": 5.0}


def changed(report: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy in which this is that; ``...`` takes the key out."""
    new: dict[str, Any] = json.loads(json.dumps(report))  # nothing shared, not even within
    *way, last = path.split(".")
    place: Any = new
    for name in way:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return new


def worse(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [change.name for change in compare(old, new) if change.is_worse]


@pytest.mark.parametrize("report", [LOADTEST, MICRO, SWEEP, SOAK])
def test_nothing_is_worse_than_itself(report: dict[str, Any]) -> None:
    assert worse(report, report) == []
    assert compare(report, report)


@pytest.mark.parametrize(
    ("report", "path", "fine", "bad"),
    [
        (LOADTEST, "server.cpu_ms_per_call_second", 7.5, 9.0),
        (LOADTEST, "server.memory_mib_per_call", 0.35, 0.5),
        (LOADTEST, "response_ms.p99", 800.0, 1000.0),
        (LOADTEST, "calls.dropped", 0, 1),
        (LOADTEST, "load.unanswered", 0, 1),
        (LOADTEST, "load.held", True, False),
        (LOADTEST, "underruns_per_minute", 0, 0.01),
        (MICRO, "cases.pacer.loops", 5.5, 6.5),
        (SWEEP, "base_cpu_loops", 120.0, 130.0),
        (SWEEP, "points.0.to_base.cpu_ms", 1.6, 1.9),
        (SWEEP, "points.0.figures.added_p50_ms", 12.0, 14.0),
        (SWEEP, "points.1.held", 2, 1),
        (SOAK, "flat", True, False),
        (SOAK, "nothing_left", True, False),
        (SOAK, "cpu_ms_per_call_second", 7.0, 9.0),
    ],
)
def test_what_may_change_may_and_what_may_not_is_found(
    report: dict[str, Any], path: str, fine: object, bad: object
) -> None:
    assert worse(report, changed(report, path, fine)) == []
    assert len(worse(report, changed(report, path, bad))) == 1


def test_what_became_better_is_not_worse() -> None:
    assert worse(changed(LOADTEST, "server.cpu_ms_per_call_second", 50.0), LOADTEST) == []
    assert worse(changed(LOADTEST, "load.held", False), LOADTEST) == []
    assert worse(changed(MICRO, "cases.pacer.loops", 48.0), MICRO) == []


def test_times_shorter_than_the_callers_look_at_their_lines_are_alike() -> None:
    assert worse(changed(LOADTEST, "added_ms.p50", 0.4), changed(LOADTEST, "added_ms.p50", 4.0)) == []
    assert worse(changed(LOADTEST, "added_ms.p50", 0.4), changed(LOADTEST, "added_ms.p50", 9.0)) == ["added_ms.p50"]


@pytest.mark.parametrize("gone", [..., None])
def test_a_figure_that_is_not_measured_any_more_is_worse(gone: object) -> None:
    assert worse(LOADTEST, changed(LOADTEST, "added_ms", gone)) == ["added_ms.p50", "added_ms.p99"]
    assert worse(SWEEP, changed(SWEEP, "points.0.to_base.cpu_ms", gone)) == ["20: to_base.cpu_ms"]


@pytest.mark.parametrize("absent", [..., None])
def test_a_figure_that_is_new_is_not_worse(absent: object) -> None:
    assert worse(changed(LOADTEST, "added_ms", absent), LOADTEST) == []


def test_a_number_that_is_a_word_was_not_measured() -> None:
    assert worse(LOADTEST, changed(LOADTEST, "response_ms.p50", "fast")) == ["response_ms.p50"]


def test_points_that_only_one_sweep_has_are_not_compared() -> None:
    assert worse(SWEEP, changed(SWEEP, "points", SWEEP["points"][1:])) == []
    with pytest.raises(NotComparable, match="no point"):
        compare(SWEEP, changed(SWEEP, "points", []))


def test_rounds_may_be_more_or_fewer() -> None:
    once = [point | {"held": 1, "runs": [{}]} for point in SWEEP["points"]]
    assert worse(SWEEP, changed(SWEEP, "points", once)) == []


def test_cases_that_only_one_run_has_are_not_compared() -> None:
    assert worse(MICRO, changed(MICRO, "cases.media_in", ...)) == []
    with pytest.raises(NotComparable, match="no case"):
        compare(MICRO, changed(MICRO, "cases", {"new": {"loops": 1.0}}))


@pytest.mark.parametrize(("path", "value"), [("calls", 61), ("window_ms", 20), ("pace", 1.0)])
def test_loads_of_different_plans_are_not_compared(path: str, value: object) -> None:
    with pytest.raises(NotComparable, match=path):
        compare(LOADTEST, changed(LOADTEST, f"load.plan.{path}", value))


def test_a_plan_that_did_not_know_a_knob_yet_is_comparable() -> None:
    assert worse(changed(LOADTEST, "load.plan.window_ms", ...), LOADTEST) == []
    assert worse(LOADTEST, changed(LOADTEST, "load.plan.seed", 2)) == []


def test_searches_for_capacity_are_compared_by_what_they_found() -> None:
    found = LOADTEST | {"capacity": {"calls": 240}}
    more = changed(changed(found, "load.plan.calls", 250), "response_ms.p99", 5000.0)
    assert worse(found, changed(more, "capacity.calls", 250)) == []
    assert worse(found, changed(more, "capacity.calls", 210)) == []
    assert worse(found, changed(more, "capacity.calls", 200)) == ["capacity.calls"]
    assert worse(found, changed(more, "capacity.calls", 0)) == ["capacity.calls"]
    with pytest.raises(NotComparable, match="search"):
        compare(found, LOADTEST)


@pytest.mark.parametrize("report", [{}, [], None, {"kind": "poem"}, {"load": {}}, 7])
def test_what_is_no_report_is_refused(report: Any) -> None:
    with pytest.raises(NotComparable):
        compare(LOADTEST, report)


@pytest.mark.parametrize("kind", ["micro", "sweep", "soak"])
def test_a_report_without_its_contents_is_refused(kind: str) -> None:
    with pytest.raises(NotComparable, match="without its"):
        compare({"kind": kind}, {"kind": kind})


def test_reports_of_different_benches_are_refused() -> None:
    with pytest.raises(NotComparable, match="micro"):
        compare(MICRO, SWEEP)


def test_the_command_tells_worse_by_its_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, slower = (tmp_path / name for name in ("old.json", "new.json", "slower.json"))
    old.write_text(json.dumps(MICRO))
    new.write_text(json.dumps(changed(MICRO, "cases.pacer.loops", 4.9)))
    slower.write_text(json.dumps(changed(MICRO, "cases.pacer.loops", 14.4)))
    assert main([str(old), str(new)]) == 0
    assert "2 figures, 0 worse" in capsys.readouterr().out
    assert main([str(old), str(slower)]) == 1
    table = capsys.readouterr().out
    assert "pacer" in table
    assert "3.00" in table
    assert "media_in" not in table
    assert main([str(old), str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err
