"""Runs rows with seeds, over several processes; the same results in the same order, however many there are."""

import multiprocessing
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.adversity.rows import BY_NAME
from bench.adversity.table import Judged
from bench.adversity.types import Row, RunResult

RUN_S = 0.9  # CPU seconds of an average run under virtual time, measured on a quiet machine
PROGRESS = 100  # runs between two words about it

Item = TypeVar("Item")


def estimated_s(rows: Sequence[Row], seeds: int, jobs: int) -> float:
    """How long the rows under virtual time will take."""
    return sum(not row.real_time for row in rows) * seeds * RUN_S / jobs


def run_all(rows: Sequence[Row], seeds: Sequence[int], voice: Path, jobs: int) -> list[Judged]:
    """Every row with every seed; rows in real time come last, one after the other."""
    work = [(row.name, seed) for row in rows if not row.real_time for seed in seeds]
    found: defaultdict[str, list[RunResult]] = defaultdict(list)
    for at, ((name, _), run) in enumerate(zip(work, _spread(partial(_run, voice), work, jobs), strict=True), start=1):
        found[name].append(run)
        if at % PROGRESS == 0:
            print(f"{at} of {len(work)}", file=sys.stderr)
    for row in rows:
        if row.real_time:
            found[row.name] = [row.run(seed, voice) for seed in seeds]
    return [Judged(row, tuple(found[row.name])) for row in rows]


def run_short(rows: Sequence[Row], voice: Path, jobs: int) -> list[Judged]:
    """Every row that has a short form, once."""
    short = [row for row in rows if row.run_short is not None]
    runs = _spread(partial(_run_short, voice), [row.name for row in short], jobs)
    return [Judged(row, (run,)) for row, run in zip(short, runs, strict=True)]


def _spread(run: Callable[[Item], RunResult], work: Sequence[Item], jobs: int) -> Iterator[RunResult]:
    if jobs == 1 or len(work) < 2:
        yield from map(run, work)
        return
    # Spawned: a forked process would share the parent's sockets, which are counted here.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(run, work, chunksize=4)


def _run(voice: Path, item: tuple[str, int]) -> RunResult:
    name, seed = item
    return BY_NAME[name].run(seed, voice)


def _run_short(voice: Path, name: str) -> RunResult:
    short = BY_NAME[name].run_short
    assert short is not None, "only rows with a short form are asked"
    return short(voice)
