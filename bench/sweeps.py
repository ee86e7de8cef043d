"""Which sweeps there are: one knob each, every point a ``frontdesk loadtest`` that anybody can repeat by its flags."""

from collections.abc import Mapping
from dataclasses import dataclass

CALLS = 60  # of most sweeps: the server busy, and the generator far from its own limit on two cores


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of the knob. ``flags`` are those that differ from the other points'."""

    name: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """One knob.

    Attributes:
        base: the point that the others are told as ratios of: what ships.
        flags: of all points.
        plots: figures that are drawn (``sweep.FIGURES``).
    """

    name: str
    title: str
    axis: str
    base: str
    points: tuple[Point, ...]
    flags: tuple[str, ...]
    plots: tuple[str, ...]


def _points(flag: str, *values: object) -> tuple[Point, ...]:
    return tuple(Point(str(value), (flag, str(value))) for value in values)


_COST = ("cpu_ms", "added_p50_ms", "added_p99_ms", "underruns_per_minute")
_LOAD = ("--calls", str(CALLS))

WINDOW = Sweep(
    "window",
    "How much of the caller's sound goes to the model at once",
    "window, ms",
    "100",
    # Models take 20 to 250 ms; windows are whole frames of 20 ms.
    _points("--window-ms", 20, 40, 60, 100, 160, 240),
    _LOAD,
    (*_COST, "late_p99_ms", "response_p50_ms"),
)
LEAD = Sweep(
    "lead",
    "How much of the agent's sound waits at the carrier",
    "lead, ms",
    "400",
    _points("--lead-ms", 60, 100, 200, 400, 800),
    # Interruptions, since a short lead is there to be cleared quickly.
    (*_LOAD, "--scenario", "mixed"),
    ("cpu_ms", "late_p99_ms", "underruns_per_minute", "barge_in_p50_ms"),
)
WORKERS = Sweep(
    "workers",
    "Processes that share the port",
    "workers",
    "1",
    (Point("1", ()), Point("2", ("--workers", "2"))),
    _LOAD,
    (*_COST, "memory_mib"),
)
RETRIEVAL = Sweep(
    "retrieval",
    "What a caller says, written down and looked up in every turn",
    "retrieval",
    "simulated",
    (
        Point("off", ("--no-retrieval",)),
        Point("simulated", ("--embeddings", "simulated")),
        Point("offline", ("--embeddings", "offline")),
    ),
    _LOAD,
    (*_COST, "memory_mib"),
)
TOOLS = Sweep(
    "tools",
    "Tools that the model may call: none, offered, used in every fourth answer",
    "tools",
    "offered",
    _points("--tools", "off", "offered", "used"),
    _LOAD,
    _COST,
)


def pace(capacity: int) -> Sweep:
    """At half of what the machine is known to hold."""
    return Sweep(
        "pace",
        "How fast the model sends its answer, in times real time",
        "pace",
        "3",
        _points("--model-pace", 1, 3, 20),
        ("--calls", str(max(1, round(capacity * 0.5)))),
        _COST,
    )


def calls(capacity: int) -> Sweep:
    """From one call to as many as the machine is known to hold (``frontdesk loadtest --find-capacity``)."""
    counts = sorted({1, *(max(1, round(capacity * share)) for share in (0.1, 0.25, 0.5, 0.75, 1.0))})
    return Sweep(
        "calls",
        "Calls at once",
        "calls",
        str(max(1, round(capacity * 0.5))),
        _points("--calls", *counts),
        (),
        (*_COST, "memory_mib", "response_p99_ms"),
    )


def sweeps(capacity: int) -> Mapping[str, Sweep]:
    """All of them by name."""
    return {sweep.name: sweep for sweep in (WINDOW, LEAD, calls(capacity), WORKERS, RETRIEVAL, TOOLS, pace(capacity))}
