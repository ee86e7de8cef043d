"""What a row of the table is, what one run of it leaves, and which bars are held against it.

Rows of any kind fit: those here place calls under virtual time; others (a worker that is killed, a database that is
stopped) may run in real time, as long as a seed gives a ``RunResult``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from engine.sim.figures import Effects
from engine.sim.report import Spread

GROUPS = ("model", "time-limit", "line", "rest", "tools", "barge-in", "store", "worker", "deploy", "process")
NO_EFFECTS = Effects(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Bars:
    """What is held against a row; None: nothing.

    Attributes:
        silence_ms: longest unexplained silence of any run (``silence.longest_silence``).
        return_ms: longest way from the carrier's close of a stream to our next sound.
        barge_in_ms: 95 % of the row's barge-ins, from the caller's first sound to silence at the playback head.
    """

    silence_ms: float | None = 2000.0
    return_ms: float | None = None
    barge_in_ms: float | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one seeded call came to.

    Attributes:
        kept: it ended by the caller, or by the script's own decision; never by an accident of ours.
        outcome: the engine's reason for the end.
        left: what outlived the call: tasks, sockets, plane members, a second end; empty is right.
        faults: breaches of protocol that the simulators counted, crashes, and what else may never happen.
        answered, asked: how many of the caller's turns were answered to the end, of how many.
        events: the call's timeline, kinds and texts: the same for the same seed.
    """

    seed: int
    kept: bool
    outcome: str
    silence_ms: float
    effects: Effects = NO_EFFECTS
    left: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    return_ms: tuple[float, ...] = ()
    barge_in_ms: tuple[float, ...] = ()
    answered: int = 0
    asked: int = 0
    events: tuple[str, ...] = field(default=(), repr=False)


MODEL_BARS = Bars()

RunRow: TypeAlias = Callable[[int, Path], RunResult]
"""A seed, and the directory of rendered speech (``VoiceCache``), to what came of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. ``name`` is unique; ``group`` is one of ``GROUPS``; ``fault`` is said to people.

    Attributes:
        real_time: it takes the machine's own time, so it runs by itself.
        run_short: one call, as short as the fault allows; None where a row has no short form.
    """

    name: str
    group: str
    fault: str
    run: RunRow = field(repr=False)
    bars: Bars = MODEL_BARS
    real_time: bool = False
    run_short: Callable[[Path], RunResult] | None = field(default=None, repr=False)


def broken(bars: Bars, run: RunResult) -> tuple[str, ...]:
    """The bars that this run breaks, in words; empty where it holds them all."""
    found = []
    if not run.kept:
        found.append(f"dropped ({run.outcome})")
    if bars.silence_ms is not None and run.silence_ms > bars.silence_ms:
        found.append(f"silence {run.silence_ms:.0f} ms")
    if bars.return_ms is not None and max(run.return_ms, default=0.0) > bars.return_ms:
        found.append(f"back after {max(run.return_ms):.0f} ms")
    if run.effects.lost:
        found.append(f"{run.effects.lost} effects lost")
    if run.effects.duplicated:
        found.append(f"{run.effects.duplicated} effects doubled")
    return (*found, *(f"left: {one}" for one in run.left), *run.faults)


def broken_together(bars: Bars, runs: Sequence[RunResult]) -> tuple[str, ...]:
    """The bars that only all runs of a row together can break."""
    spread = Spread.of([ms for run in runs for ms in run.barge_in_ms])
    if bars.barge_in_ms is None:
        return ()
    if spread is None:
        return ("no barge-in was measured",)
    return (f"barge-in p95 {spread.p95:.0f} ms",) if spread.p95 > bars.barge_in_ms else ()


def worst_silence(runs: Sequence[RunResult]) -> tuple[float, float]:
    """Median and largest of the runs' longest silences, in ms; NaN where there is no run."""
    spread = Spread.of([run.silence_ms for run in runs])
    return (spread.p50, spread.max) if spread else (math.nan, math.nan)
