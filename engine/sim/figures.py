"""The report with fixed keys that demo and load test print: other people's tools read it. A figure that was not
measured is None, never 0.
"""

import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import engine
from engine.metrics import Metrics
from engine.sim.carrier_call import HowEnded
from engine.sim.report import Spread

_OUTCOMES = {"notes": "notes", "nothing_found": "nothingfound", "timed_out": "timedout", "skipped": "skipped"}
_SHOWN_VERSIONS = ("trio", "hypercorn", "numpy")


@dataclass(frozen=True, slots=True)
class Effects:
    """Side effects that the scenario wanted, and what came of them."""

    expected: int
    done: int
    duplicated: int
    lost: int


class Measured(Protocol):
    """What is read of a call: a ``PhoneReport``, or what is left of one. Words and units are the same."""

    @property
    def how_ended(self) -> str:
        """By whom."""

    @property
    def answered(self) -> bool:
        """A stream came up, or a static verb was heard."""

    @property
    def duration_ms(self) -> float:
        """First request to the end."""

    @property
    def setup_ms(self) -> float | None:
        """First request to the agent's first sound."""

    @property
    def responses(self) -> tuple[float, ...]:
        """ms, in order."""

    @property
    def barge_in_ms(self) -> tuple[float, ...]:
        """One for each."""

    @property
    def longest_silence_ms(self) -> float | None:
        """While the caller waited."""

    @property
    def lateness_ms(self) -> tuple[float, ...]:
        """Of each media message in mid-utterance."""

    @property
    def underruns(self) -> int:
        """Of the agent's audio."""

    @property
    def protocol_fault_count(self) -> int:
        """Of the server."""


def figures(
    reports: Sequence[Measured],
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
        "setup_ms": spread(r.setup_ms for r in reports if r.setup_ms is not None),
        "response_ms": spread(ms for r in reports for ms in r.responses),
        "added_ms": None,
        "retrieval_hold_ms": spread(held_ms),
        "handover_ms": spread(handover_ms),
        "barge_in_ms": spread(ms for r in reports for ms in r.barge_in_ms),
        "longest_silence_ms": spread(r.longest_silence_ms for r in reports if r.longest_silence_ms is not None),
        "lateness_ms": spread(ms for r in reports for ms in r.lateness_ms),
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


def spread(values: Iterable[float]) -> dict[str, float] | None:
    """As every spread of the report; None where nothing was measured."""
    found = Spread.of(list(values))
    if found is None:
        return None
    return {name: round(getattr(found, name), 1) for name in ("p50", "p95", "p99", "max")}


def _calls(reports: Sequence[Measured]) -> Mapping[str, int]:
    dropped = sum(r.answered and r.how_ended == HowEnded.APPLICATION_ERROR for r in reports)
    answered = sum(r.answered for r in reports)
    return {"placed": len(reports), "answered": answered, "completed": answered - dropped, "dropped": dropped}


def _underruns(reports: Sequence[Measured]) -> float | None:
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
