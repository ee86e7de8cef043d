"""What the sweeps make of the load tests that they run; the load tests themselves are made up."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest

import bench.sweep
from bench import compare, loadtests
from bench.loadtests import LoadtestFailed
from bench.svg import Panel, draw
from bench.sweep import flags_of, main, picture, run_sweep
from bench.sweeps import LEAD, WINDOW, calls, pace, sweeps
from engine.commands.loadtest import loadtest


@pytest.fixture(autouse=True)
def no_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.spin_ns", lambda: 40_000.0)


def report(cpu_ms: float | None, *, held: bool = True) -> dict[str, Any]:
    return {
        "calls": {"dropped": 0},
        "server": {"cpu_ms_per_call_second": cpu_ms, "memory_mib_per_call": 0.3},
        "added_ms": {"p50": 6.0, "p99": 20.0},
        "barge_in_ms": None,
        "underruns_per_minute": 0.0,
        "limited_by": "none",
        "load": {"held": held, "failures": [] if held else ["3 calls heard gaps"]},
    }


def value(flags: Sequence[str], name: str) -> str:
    return flags[flags.index(name) + 1]


class Machine:
    """A server that costs 10 ms and less with longer windows, on a host that is half as fast from round two on."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, flags: Sequence[str]) -> dict[str, Any]:
        window = value(flags, "--window-ms")
        self.ran.append(window)
        return report((4.0 + 100 / float(window)) * float(value(flags, "--seed")))


def test_points_are_run_in_rounds() -> None:
    machine = Machine()
    run_sweep(WINDOW, rounds=2, seconds=10, run=machine.run)
    assert machine.ran == 2 * ["20", "40", "60", "100", "160", "240"]


def test_a_slow_round_changes_no_ratio() -> None:
    found = run_sweep(WINDOW, rounds=2, seconds=10, run=Machine().run)
    ratios = {point["name"]: point["to_base"]["cpu_ms"] for point in found["points"]}
    assert ratios["100"] == 1.0
    assert ratios["20"] == pytest.approx(9 / 5)
    assert found["points"][0]["figures"]["cpu_ms"] == pytest.approx(9 * 1.5)


def test_what_the_base_costs_is_told_in_loops() -> None:
    found = run_sweep(WINDOW, rounds=1, seconds=10, run=Machine().run)
    assert found["base_cpu_loops"] == pytest.approx(5.0 / 0.04)


def test_a_run_without_a_report_is_one_that_did_not_hold() -> None:
    def fails_at_one(flags: Sequence[str]) -> dict[str, Any]:
        if value(flags, "--model-pace") == "1":
            raise LoadtestFailed("it said why")
        return report(5.0)

    found = run_sweep(pace(120), rounds=2, seconds=10, run=fails_at_one)
    first = found["points"][0]
    assert (first["held"], first["figures"]["cpu_ms"], first["to_base"]["cpu_ms"]) == (0, None, None)
    assert first["runs"][0]["failures"] == ["it said why"]
    assert found["points"][1]["held"] == 2
    assert "not measured" not in picture(found, ("cpu_ms",))
    assert "not measured" in picture(found, ("barge_in_p50_ms",))


@pytest.mark.parametrize(("turned_away", "cpu_ms"), [(1, 5.0), (2, None), (60, None)])
def test_a_gateway_that_turned_calls_away_has_no_cost(turned_away: int, cpu_ms: float | None) -> None:
    busy = report(5.0)
    busy["calls"]["placed"] = 60
    busy["load"]["served_by_static_script"] = turned_away
    found = run_sweep(pace(120), rounds=1, seconds=10, run=lambda _: busy)
    assert found["points"][0]["figures"]["cpu_ms"] == cpu_ms
    assert found["points"][0]["figures"]["added_p50_ms"] == 6.0


def test_a_base_that_cost_nothing_gives_no_ratio() -> None:
    found = run_sweep(pace(120), rounds=1, seconds=10, run=lambda _: report(0.0))
    assert found["points"][0]["to_base"]["cpu_ms"] is None


def test_a_sweep_can_be_compared_with_itself_later() -> None:
    old = run_sweep(WINDOW, rounds=1, seconds=10, run=Machine().run)
    assert not [change for change in compare.compare(old, old) if change.is_worse]


def test_the_sweep_over_calls_goes_from_one_to_capacity() -> None:
    assert [point.name for point in calls(240).points] == ["1", "24", "60", "120", "180", "240"]
    assert calls(240).base == "120"
    assert [point.name for point in calls(2).points] == ["1", "2"]


def test_every_base_is_a_point_and_every_plot_a_figure() -> None:
    for sweep in sweeps(100).values():
        assert sweep.base in {point.name for point in sweep.points}
        assert set(sweep.plots) <= set(bench.sweep.FIGURES)


def test_the_load_test_knows_every_flag() -> None:
    known = {name for option in loadtest.params if isinstance(option, click.Option) for name in all_names(option)}
    for sweep in sweeps(100).values():
        for point in sweep.points:
            flags = flags_of(sweep, point.flags, 14.0, seed=1)
            assert {flag for flag in flags if flag.startswith("--")} <= known
            with loadtest.make_context("loadtest", list(flags)) as context:
                assert context.params["calls"] == int(value(flags, "--calls"))


def all_names(option: click.Option) -> list[str]:
    return [*option.opts, *option.secondary_opts]


def test_many_calls_are_not_placed_at_once() -> None:
    assert float(value(flags_of(calls(250), ("--calls", "250"), 14.0, seed=1), "--ramp")) == 10.0


def test_a_picture_is_well_formed_and_small() -> None:
    drawn = picture(run_sweep(LEAD, rounds=2, seconds=10, run=lambda _: report(5.0)), LEAD.plots)
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert len(drawn) < 20_000


def test_only_numbers_are_joined_by_a_line() -> None:
    panel = Panel("", ((1.0, 1.0, 1.0), (2.0, 2.0, 2.0)))
    assert "polyline" in draw("", "", ("1", "2.5"), [panel])
    assert "polyline" not in draw("", "", ("off", "simulated"), [panel])


@pytest.mark.parametrize("values", [(0.0, 0.0), (-300.0, -20.0), (0.001, 0.002), (5.0, 5.0)])
def test_any_values_can_be_drawn(values: tuple[float, float]) -> None:
    points = ((values[0], values[0], values[1]), None, (values[1], values[0], values[1]))
    drawn = ET.fromstring(draw("a < b", "x", ("1", "2", "3"), [Panel("y & z", points)]))
    heights = [float(dot.attrib["cy"]) for dot in drawn.iter() if dot.tag.endswith("circle")]
    assert len(heights) == 2
    assert all(0 <= height <= 230 for height in heights)


def test_the_command_leaves_a_report_and_a_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[Sequence[str]] = []

    def run(flags: Sequence[str]) -> dict[str, Any]:
        ran.append(flags)
        return report(5.0)

    monkeypatch.setattr(bench.sweep, "loadtest", run)
    assert main(["window", "tools", "--quick", "--out", str(tmp_path)]) == 0
    assert len(ran) == 6
    assert json.loads((tmp_path / "sweep-window.json").read_text())["sweep"] == "window"
    assert sorted(path.name for path in tmp_path.iterdir())[1:] == [
        "sweep-tools.svg",
        "sweep-window.json",
        "sweep-window.svg",
    ]


def instead_of_python(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(path))


def test_a_load_test_that_leaves_no_report_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    instead_of_python(monkeypatch, tmp_path, "echo Usage: ... >&2; echo 'Error: 0 is too few' >&2; exit 2")
    with pytest.raises(LoadtestFailed, match=r"--calls 0: Error: 0 is too few"):
        loadtests.loadtest(["--calls", "0"])


def test_a_load_test_that_did_not_hold_has_a_report_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # What it is given: -m engine loadtest --calls 5 --json --out FOLDER
    instead_of_python(monkeypatch, tmp_path, 'echo "{\\"calls\\": $5}" >"$8/report.json"; exit 1')
    assert loadtests.loadtest(["--calls", "5"]) == {"calls": 5}
