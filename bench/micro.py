"""What the pure parts of the fast path cost: ``python -m bench.micro``, half a minute on one core (``--quick``: 3 s).

Each case is timed many times in short batches, all cases by turns, and before and after each the calibration loop
(``machine.spin``). A figure is how many such loops a second of a call costs: the median over all turns of the case's
CPU time divided by its neighbours'. A host that is slow for a while is slow in both, so that two runs can be compared
(``python -m bench.compare``): on a machine with eight times too much to do, whose host has two speeds, two runs agreed
within 5 %; five short ones within 4 to 20 %, and within 3 to 48 % by the best time of each. ``ns`` is beside it for the
curious: the best of all turns, here and then.
"""

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import machine
from bench.micro_cases import CASES, Case, Second

BATCH_S = 0.004
TURNS, QUICK_TURNS = 300, 20


class Timed:
    """One case under way."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.second: Second = case.make()
        self.times = 1
        self.ns: list[float] = []
        self.ratios: list[float] = []
        self.second()  # what is made at first use is made now
        while (took := self._batch()) < 1e9 * BATCH_S / 2:
            self.times = max(2 * self.times, int(self.times * 1e9 * BATCH_S / max(took, 1.0)))

    def turn(self) -> None:
        """One batch between two of the calibration loop."""
        before = machine.spin_ns(20)
        ns = self._batch() / self.times
        after = machine.spin_ns(20)
        self.ns.append(ns)
        self.ratios.append(2 * ns / (before + after))

    def figures(self) -> dict[str, float | str]:
        """``loops`` of the calibration per call-second; ``spread``: half of all turns lie so far apart, as a share."""
        low, middle, high = statistics.quantiles(self.ratios, n=4)
        return {
            "what": self.case.says,
            "loops": round(middle, 4),
            "spread": round((high - low) / middle, 3),
            "ns": round(min(self.ns)),
            "ns_middle": round(statistics.median(self.ns)),
            "ns_each": round(min(self.ns) / self.case.pieces),
        }

    def _batch(self) -> float:
        second, times = self.second, self.times
        began = time.thread_time_ns()
        for _ in range(times):
            second()
        return float(time.thread_time_ns() - began)


def measure(cases: Mapping[str, Case], turns: int) -> dict[str, Any]:
    """All cases by turns; the report."""
    timed = {name: Timed(case) for name, case in cases.items()}
    loops = []
    gc.collect()
    gc.disable()  # as timeit does: a collection would fall upon whichever case is under way
    try:
        for _ in range(turns):
            loops.append(machine.spin_ns(20))
            for one in timed.values():
                one.turn()
    finally:
        gc.enable()
    return {
        "kind": "micro",
        "machine": machine.described(),
        "turns": turns,
        "loop_ns": round(min(loops)),
        "cases": {name: one.figures() for name, one in timed.items()},
    }


def table(report: Mapping[str, Any]) -> str:
    """For people."""
    rows = [f"{'':<22}{'loops':>9}{'spread':>8}{'us per call-s':>15}{'ns each':>9}"]
    for name, case in report["cases"].items():
        rows.append(
            f"{name:<22}{case['loops']:>9.3f}{100 * case['spread']:>7.0f}%{case['ns'] / 1000:>15.1f}"
            f"{case['ns_each']:>9}  {case['what']}"
        )
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.micro", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a try: a tenth of the turns")
    parser.add_argument("--only", nargs="+", choices=CASES, help="these cases")
    parser.add_argument("--json", action="store_true", help="print the report as JSON, and nothing else")
    parser.add_argument("--out", type=Path, help="keep the report there")
    given = parser.parse_args(arguments)
    cases = {name: CASES[name] for name in given.only or CASES}
    report = measure(cases, QUICK_TURNS if given.quick else TURNS)
    text = json.dumps(report, indent=1)
    print(text if given.json else table(report))
    if given.out is not None:
        given.out.write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
