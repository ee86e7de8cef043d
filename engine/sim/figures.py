"""The report with fixed keys that demo and load test print: other people's tools read it. A figure that was not
measured is None, never 0.
"""

import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import engine
from engine.metrics import Metrics
from engine.sim.carrier_call import HowEnded
from engine.sim.report import PhoneReport, Spread

_OUTCOMES = {"notes": "notes", "nothing_found": "nothingfound", "timed_out": "timedout", "skipped": "skipped"}
_SHOWN_VERSIONS = ("trio", "hypercorn", "numpy")


@dataclass(frozen=True, slots=True)
class Effects:
    """Side effects that the scenario wanted, and what came of them."""

    expected: int
    done: int
    duplicated: int
    lost: int


def figures(
    reports: Sequence[PhoneReport],
    *,
    seed: int,
    metrics: Metrics | None,
    effects: Effects | None = None,
    handover_ms: Iterable[float] = (),
    held_ms: Iterable[float] = (),
    tasks_left: int | None = None,
    sockets_left: int | None = None,
    limited_by: str = "none",
) -> dict[str, Any]:
    """All that was measured, by the fixed keys; JSON-ready."""
    return {
        "calls": _calls(reports),
        "setup_ms": _spread(r.setup_ms for r in reports if r.setup_ms is not None),
        "response_ms": _spread(ms for r in reports for ms in r.responses),
        "added_ms": None,
        "retrieval_hold_ms": _spread(held_ms),
        "handover_ms": _spread(handover_ms),
        "barge_in_ms": _spread(ms for r in reports for ms in r.barge_in_ms),
        "longest_silence_ms": _spread(r.longest_silence_ms for r in reports if r.longest_silence_ms is not None),
        "lateness_ms": _spread(ms for r in reports for ms in r.lateness_ms),
        "underruns_per_minute": _underruns(reports),
        "effects": None
        if effects is None
        else {
            "expected": effects.expected,
            "done": effects.done,
            "duplicated": effects.duplicated,
            "lost": effects.lost,
        },
        "retrieval": None if metrics is None else _retrieval(metrics),
        "server": {
            "cores": None,
            "cpu_ms_per_call_second": None,
            "memory_mib_per_call": None,
            "loop_lag_ms": None,
        },
        "protocol_faults": sum(r.protocol_fault_count for r in reports),
        "tasks_left": tasks_left,
        "sockets_left": sockets_left,
        "limited_by": limited_by,
        "seed": seed,
        "versions": {"frontdesk": engine.__version__, "python": platform.python_version()}
        | {name: version(name) for name in _SHOWN_VERSIONS},
    }


def _spread(values: Iterable[float]) -> dict[str, float] | None:
    spread = Spread.of(list(values))
    if spread is None:
        return None
    return {name: round(getattr(spread, name), 1) for name in ("p50", "p95", "p99", "max")}


def _calls(reports: Sequence[PhoneReport]) -> Mapping[str, int]:
    dropped = sum(r.answered and r.how_ended is HowEnded.APPLICATION_ERROR for r in reports)
    answered = sum(r.answered for r in reports)
    return {"placed": len(reports), "answered": answered, "completed": answered - dropped, "dropped": dropped}


def _underruns(reports: Sequence[PhoneReport]) -> float | None:
    minutes = sum(r.duration_ms for r in reports) / 60_000
    return round(sum(r.underruns for r in reports) / minutes, 3) if minutes else None


def _retrieval(metrics: Metrics) -> dict[str, int]:
    counted = {
        sample.labels["retrieval"]: int(sample.value)
        for metric in metrics.turns.collect()
        for sample in metric.samples
        if re.fullmatch(r".*_total", sample.name)
    }
    by_outcome = {name: counted.get(label, 0) for name, label in _OUTCOMES.items()}
    return {"turns": sum(by_outcome.values()), **by_outcome}
