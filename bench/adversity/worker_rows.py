"""Rows about processes: a worker killed or standing still, all of them replaced, the service ended. In real time.

``bench.workers`` does the work: real processes over an embedded database. ``TOGETHER`` seeds are calls of one service,
at once, under one fault, at an instant drawn from the first of them.
"""

import tempfile
from functools import cache, partial
from pathlib import Path

import trio

from bench import workers
from bench.adversity.cast import Cast
from bench.adversity.types import Bars, Row, RunResult
from bench.workers_table import Call
from engine.sim.figures import Effects
from engine.sim.fleet import comebacks_ms

TOGETHER = 5
WORKERS = 2
BARS = Bars(silence_ms=3000.0, return_ms=3000.0)
GROUPS_OF = {"kill": "worker", "hang": "worker", "roll": "deploy", "end": "deploy"}


def run_row(fault: str, seed: int, voice_dir: Path) -> RunResult:
    """One call, of a service that it shares with its neighbours by seed."""
    return _together(fault, seed // TOGETHER * TOGETHER, voice_dir)[seed]


@cache
def _together(fault: str, first: int, voice_dir: Path) -> dict[int, RunResult]:
    cast = Cast(voice_dir.resolve())

    async def play(folder: Path) -> list[Call]:
        async with workers.open_service(folder, cast, WORKERS) as (fleet, calendar):
            return await workers.run_once(fleet, calendar, cast, fault, calls=TOGETHER, seed=first)

    with tempfile.TemporaryDirectory(prefix="frontdesk-workers-") as folder:
        calls = trio.run(play, Path(folder))
    return {first + at: judge(first + at, call, static=fault == "end") for at, call in enumerate(calls)}


def judge(seed: int, call: Call, *, static: bool) -> RunResult:
    """What came of one call. ``static``: the script of the carrier may have ended it."""
    report = call.report
    if report is None:
        return RunResult(seed, kept=False, outcome="never ended", silence_ms=float("inf"))
    outcome = call.ends[0].outcome_reason if call.ends else "static script" if report.said_by_static_verbs else "no end"
    return RunResult(
        seed=seed,
        kept=call.kept(static=static),
        outcome=outcome,
        silence_ms=report.longest_silence_ms or 0.0,
        effects=Effects(
            expected=int(call.told_booked),
            done=call.booked,
            duplicated=max(0, call.booked - 1),
            lost=int(call.told_booked and not call.booked),
        ),
        left=(f"{len(call.ends)} ends",) if len(call.ends) > 1 else (),
        faults=tuple(f"carrier: {entry.code} {entry.detail}" for entry in report.protocol_faults),
        return_ms=tuple(comebacks_ms(report)),
        answered=len(report.said) - report.unanswered,
        asked=len(report.said),
    )


ROWS: tuple[Row, ...] = tuple(
    Row(f"{GROUPS_OF[name]}-{name}", GROUPS_OF[name], said, partial(run_row, name), BARS, real_time=True)
    for name, (said, _) in workers.FAULTS.items()
)
