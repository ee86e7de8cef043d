"""What one knob does to cost and quality: ``python -m bench.sweep window``, or ``all``.

Every point is a ``frontdesk loadtest`` on a fresh gateway. Points are run in rounds (A B C A B C), so that a host that
is slow for some minutes is slow for all of them. A point's figure is the median over rounds; its ratio is the median
of its ratios to the base's run in the same round, and that is what ``python -m bench.compare`` looks at. What the base
itself costs is told in calibration loops (``machine.spin``) timed before and after its run.

A run in which a gateway turned calls away (it does, on a machine that is too busy) has no cost: the exit status is 1.

Writes ``sweep-NAME.json`` and ``sweep-NAME.svg`` to ``--out``; the committed ones are in ``bench/reference``.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import machine
from bench.loadtests import LoadtestFailed, Report, at, loadtest, number
from bench.svg import Panel, draw
from bench.sweeps import Sweep, sweeps

RAMP_S, SECONDS, ROUNDS = 3.0, 12.0, 2
QUICK_SECONDS, QUICK_POINTS = 9.0, 3
CALLS_PER_S = 25.0  # of the ramp: a morning's rush is no faster

FIGURES: Mapping[str, tuple[str, str]] = {
    "cpu_ms": ("server.cpu_ms_per_call_second", "CPU, ms per call-second"),
    "memory_mib": ("server.memory_mib_per_call", "memory, MiB per call"),
    "added_p50_ms": ("added_ms.p50", "added latency, median, ms"),
    "added_p99_ms": ("added_ms.p99", "added latency, 99th percentile, ms"),
    "response_p50_ms": ("response_ms.p50", "response, median, ms"),
    "response_p99_ms": ("response_ms.p99", "response, 99th percentile, ms"),
    "barge_in_p50_ms": ("barge_in_ms.p50", "caller's sound to silence, median, ms"),
    "late_p99_ms": ("lateness_ms.p99", "media later than its playback, 99th percentile, ms"),
    "underruns_per_minute": ("underruns_per_minute", "gaps in the agent's voice per minute of a call"),
}
COSTS = ("cpu_ms", "memory_mib")  # told as ratios to the base too
TURNED_AWAY = 0.02  # of the calls: where more get the static script, what the others cost is not what was asked

Run = Callable[[Sequence[str]], Report]


def flags_of(sweep: Sweep, flags: Sequence[str], seconds: float, seed: int) -> list[str]:
    """The whole command line of a point in one round."""
    everything = [*sweep.flags, *flags]
    count = int(everything[everything.index("--calls") + 1])
    ramp = max(RAMP_S, count / CALLS_PER_S)
    timing = ["--ramp", f"{ramp:g}", "--duration", f"{seconds:g}", "--call-seconds", "30", "--seed", str(seed)]
    return [*everything, *timing]


def run_sweep(
    sweep: Sweep,
    *,
    rounds: int,
    seconds: float,
    run: Run,
    on_run: Callable[[int, str, Mapping[str, Any]], None] = lambda *_: None,
) -> dict[str, Any]:
    """Run it; the report. A run that left none counts as one that did not hold, and has no figures."""
    runs: dict[str, list[dict[str, Any]]] = {point.name: [] for point in sweep.points}
    for turn in range(rounds):
        for point in sweep.points:
            flags = flags_of(sweep, point.flags, seconds, seed=turn + 1)
            before = machine.spin_ns()
            try:
                report = run(flags)
            except LoadtestFailed as failed:
                report = {"load": {"held": False, "failures": [str(failed)]}}
            found = _figures(report) | {"loop_ns": round((before + machine.spin_ns()) / 2)}
            runs[point.name].append(found)
            on_run(turn, point.name, found)
    return _report(sweep, runs, rounds=rounds, seconds=seconds)


def _figures(report: Report) -> dict[str, Any]:
    figures: dict[str, Any] = {name: number(report, path) for name, (path, _) in FIGURES.items()}
    load = report["load"]
    turned_away = number(load, "served_by_static_script") or 0.0
    if turned_away > TURNED_AWAY * (number(report, "calls.placed") or 0.0):
        figures |= dict.fromkeys(COSTS)
    return figures | {
        "held": load["held"],
        "failures": load["failures"],
        "limited_by": at(report, "limited_by"),
        "dropped": number(report, "calls.dropped"),
    }


def _report(
    sweep: Sweep, runs: Mapping[str, Sequence[dict[str, Any]]], *, rounds: int, seconds: float
) -> dict[str, Any]:
    base = runs[sweep.base]
    points = []
    for point in sweep.points:
        mine = runs[point.name]
        points.append(
            {
                "name": point.name,
                "flags": " ".join((*sweep.flags, *point.flags)),
                "figures": {name: median(run[name] for run in mine) for name in FIGURES},
                "to_base": {
                    name: median(_ratio(run[name], other[name]) for run, other in zip(mine, base, strict=True))
                    for name in COSTS
                },
                "held": sum(bool(run["held"]) for run in mine),
                "runs": list(mine),
            }
        )
    return {
        "kind": "sweep",
        "sweep": sweep.name,
        "title": sweep.title,
        "axis": sweep.axis,
        "base": sweep.base,
        # The calibration loops that fit into what a second of a call costs.
        "base_cpu_loops": median(_ratio(run["cpu_ms"], run["loop_ns"] / 1e6) for run in base),
        "rounds": rounds,
        "seconds": seconds,
        "machine": machine.described(),
        "points": points,
    }


def _ratio(value: float | None, of: float | None) -> float | None:
    return value / of if value is not None and of else None


def median(values: Any) -> float | None:
    """Of those that were measured; None where none was."""
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 4) if known else None


def picture(report: Mapping[str, Any], plots: Sequence[str]) -> str:
    """The sweep as SVG: medians, and bars from the least to the most of all rounds."""
    panels = []
    for name in plots:
        points = []
        for point in report["points"]:
            known = [run[name] for run in point["runs"] if run[name] is not None]
            points.append((point["figures"][name], min(known), max(known)) if known else None)
        panels.append(Panel(FIGURES[name][1], tuple(points)))
    names = tuple(str(point["name"]) for point in report["points"])
    return draw(str(report["title"]), str(report["axis"]), names, panels)


def _quick(sweep: Sweep) -> Sweep:
    """The base and what lies farthest from it."""
    ends = {sweep.points[0].name, sweep.base, sweep.points[-1].name}
    points = tuple(point for point in sweep.points if point.name in ends)[:QUICK_POINTS]
    return Sweep(sweep.name, sweep.title, sweep.axis, sweep.base, points, sweep.flags, sweep.plots)


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module. Exit status 1 where a run has no figures of what it cost."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="+", choices=[*sweeps(100), "all"], metavar="NAME", help=f"{', '.join(sweeps(100))}, or all"
    )
    parser.add_argument("--capacity", type=int, default=250, help="the most calls of the sweep over calls")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="that all calls are up, in each run")
    parser.add_argument("--quick", action="store_true", help="a try: one short round of base and ends")
    parser.add_argument("--out", type=Path, default=Path(".frontdesk/bench"))
    given = parser.parse_args(arguments)
    known = sweeps(given.capacity)
    given.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in known if "all" in given.names else given.names:
        sweep = _quick(known[name]) if given.quick else known[name]
        rounds, seconds = (1, QUICK_SECONDS) if given.quick else (given.rounds, given.seconds)
        began = time.monotonic()
        report = run_sweep(sweep, rounds=rounds, seconds=seconds, run=loadtest, on_run=_told)
        (given.out / f"sweep-{name}.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        (given.out / f"sweep-{name}.svg").write_text(picture(report, sweep.plots), "utf-8")
        failed += sum(run["cpu_ms"] is None for point in report["points"] for run in point["runs"])
        print(f"{name}: {given.out / f'sweep-{name}.svg'}, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if failed else 0


def _told(turn: int, point: str, run: Mapping[str, Any]) -> None:
    shown = "  ".join(f"{name} {run[name]:.2f}" for name in FIGURES if run[name] is not None)
    print(f"  round {turn + 1}  {point:>9}  {shown}  {'; '.join(run['failures'])}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
