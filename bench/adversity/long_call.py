"""One call that goes on for hours: ``python -m bench.adversity.long_call``. Two hours take some ten minutes.

Under virtual time, over real sockets. The caller asks, listens, thinks, and asks again; the provider closes every
connection after its time, so that session follows session. What may not happen: that the caller hears of it, that what
a successor is told grows without end, that tasks or memory do.

Memory is what code of the engine itself has allocated and holds (``tracemalloc``, by file, without the simulators,
which keep every sound they hear). A transcript is kept, so it grows; what else would grow is a leak.
"""

import argparse
import gc
import json
import sys
import tracemalloc
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import trio
import trio.testing

import engine
from bench.adversity.cast import PARKING, TENANT, WHITENING, Cast, brain
from bench.adversity.keep import Kept
from bench.adversity.play import seeded_scheduler
from engine import log
from engine.call.record import HISTORY_CHARS
from engine.sim.gemini import SimGemini
from engine.sim.leaks import TaskWatch, watched
from engine.sim.report import PhoneReport
from engine.sim.scenario import HangUp, Listen, Moment, Say, Wait
from engine.sim.world import World, open_world

ENGINE = str(Path(engine.__file__).parent / "*")
SIMULATORS = str(Path(engine.__file__).parent / "sim" / "*")
HEAPS = 12  # looked at so often: a look takes seconds where there is much
THINKS_S = 7.0  # less than the agent waits before it asks whether anybody is there
ROUND_S = 13.0  # a question, its answer and the thinking, roughly
SESSION_KIB = 64.0  # what the memory may grow by in a minute: a transcript and its timeline take a third of it


@dataclass
class Seen:
    """What was seen of the call while it went on."""

    tasks: list[int] = field(default_factory=list)
    heap_kib: list[tuple[float, float]] = field(default_factory=list)  # at which minute, how much


@dataclass(frozen=True)
class Figures:
    """What came of it. ``told_chars``: the longest history that a successor was given; ``tasks``: the most at once."""

    minutes: float
    turns: int
    unanswered: int
    sessions: int
    longest_session_s: float
    uncompressed: int
    told_of_it: int
    slowest_answer_ms: float
    told_chars: int
    tasks_first_quarter: int
    tasks_last_quarter: int
    heap_kib: float
    heap_kib_per_minute: float
    left: int

    def broken(self, limit_s: float) -> list[str]:
        """The bars that do not hold, in words."""
        bars = {
            "turns were left unanswered": self.unanswered == 0,
            "a session outlived the provider's limit": self.longest_session_s <= limit_s,
            "a session was opened without compression": self.uncompressed == 0,
            "the caller was told of a hand-over": self.told_of_it == 0,
            "an answer took longer than 2 s": self.slowest_answer_ms <= 2000.0,
            "a successor was told too much": self.told_chars <= HISTORY_CHARS,
            "tasks became more": self.tasks_last_quarter <= self.tasks_first_quarter,
            "memory grew": self.heap_kib_per_minute <= SESSION_KIB,
            "something outlived the call": self.left == 0,
        }
        return [what for what, holds in bars.items() if not holds]


def long_call(voice_dir: Path, *, minutes: float, limit_s: float, seed: int = 1, heap: bool = True) -> Figures:
    """Place it, in the main thread.

    Args:
        limit_s: of the provider's connections; at least 70.
        heap: whether memory is watched, which takes as long again.
    """
    log.configure("CRITICAL")
    cast = Cast(voice_dir)
    cast.render()
    clock = trio.testing.MockClock(autojump_threshold=inf)
    with seeded_scheduler(seed):
        return trio.run(partial(_call, cast, minutes, limit_s, seed, clock, heap=heap), clock=clock)


async def _call(
    cast: Cast, minutes: float, limit_s: float, seed: int, clock: trio.testing.MockClock, *, heap: bool
) -> Figures:
    kept, seen = Kept(), Seen()
    model = SimGemini(ear=cast.ear, brain=brain(), voice=cast.voice, seed=seed)
    tenant = TENANT.model_copy(update={"quotas": TENANT.quotas.model_copy(update={"longest_call_minutes": 240})})
    steps: list[Moment] = [Listen()]
    turns = round(60 * minutes / ROUND_S)
    for turn in range(turns):
        steps += [Say(cast.said[(PARKING, WHITENING)[turn % 2]]), Listen(), Wait(THINKS_S)]
    async with open_world(
        data_dir=cast.data_dir, tenants=[tenant], model=model, keep=kept.keep, gemini_connection_s=limit_s
    ) as world:
        with watched() as watch:
            clock.autojump_threshold = 0
            async with trio.open_nursery() as beside:
                beside.start_soon(_look, watch, seen)
                if heap:
                    beside.start_soon(_weigh, minutes, seen)
                report = await world.call([*steps, HangUp()])
                beside.cancel_scope.cancel()
            with trio.move_on_after(15.0):
                while watch.of_calls() or not kept.store.ends:  # noqa: ASYNC110 - nobody tells when the last has ended
                    await trio.sleep(0.1)
            return _figures(world, report, model, kept, seen, left=len(watch.of_calls()))


async def _look(watch: TaskWatch, seen: Seen) -> None:
    while True:
        await trio.sleep(1.0)
        seen.tasks.append(len(watch.of_calls()))


async def _weigh(minutes: float, seen: Seen) -> None:
    tracemalloc.start()
    try:
        while True:
            await trio.sleep(max(5.0, 60.0 * minutes / HEAPS))
            seen.heap_kib.append((trio.current_time() / 60, _heap_kib()))
    finally:
        tracemalloc.stop()


def _heap_kib() -> float:
    gc.collect()
    wanted = [tracemalloc.Filter(inclusive=True, filename_pattern=ENGINE)]
    but = [tracemalloc.Filter(inclusive=False, filename_pattern=SIMULATORS)]
    traces = tracemalloc.take_snapshot().filter_traces(wanted).filter_traces(but)
    return sum(statistic.size for statistic in traces.statistics("filename")) / 1024


def _figures(world: World, report: PhoneReport, model: SimGemini, kept: Kept, seen: Seen, *, left: int) -> Figures:
    now = trio.current_time()
    timeline = [moment for end in kept.store.ends for moment in end.document["timeline"]]
    quarter = max(1, len(seen.tasks) // 4)
    half = seen.heap_kib[len(seen.heap_kib) // 2 - 1 :] or [(0.0, 0.0)]
    at, held = np.array(half).T
    per_minute = float(np.polyfit(at, held, 1)[0]) if len(half) > 1 else 0.0
    setups = [session.setup for session in model.sessions if session.setup is not None]
    return Figures(
        minutes=round(report.duration_ms / 60_000, 1),
        turns=len(report.said),
        unanswered=report.unanswered + report.given_up,
        sessions=len(model.sessions),
        longest_session_s=round(max((one.closed_at or now) - one.opened_at for one in model.sessions), 1),
        uncompressed=sum("contextWindowCompression" not in setup.raw for setup in setups),
        told_of_it=sum(moment["kind"] == "script" for moment in timeline),
        slowest_answer_ms=round(max(report.responses, default=0.0)),
        told_chars=max((session.seeded_chars for session in model.sessions), default=0),
        tasks_first_quarter=max(seen.tasks[:quarter]),
        tasks_last_quarter=max(seen.tasks[-quarter:]),
        heap_kib=round(seen.heap_kib[-1][1] if seen.heap_kib else 0.0, 1),
        heap_kib_per_minute=round(per_minute, 2),
        left=left + len(model.protocol_faults) + world.composed.switchboard.statistics().calls_now,
    )


def as_line(figures: Figures) -> str:
    """For people."""
    return (
        f"{figures.minutes:.0f} minutes, {figures.turns} turns ({figures.unanswered} unanswered), "
        f"{figures.sessions} sessions of {figures.longest_session_s:.0f} s at most; the slowest answer after "
        f"{figures.slowest_answer_ms:.0f} ms; successors were told {figures.told_chars} characters at most; "
        f"{figures.tasks_last_quarter} tasks at the end ({figures.tasks_first_quarter} at first); "
        f"{figures.heap_kib:.0f} KiB held, {figures.heap_kib_per_minute:+.1f} KiB a minute"
    )


def as_json(figures: Figures, limit_s: float) -> dict[str, Any]:
    """To keep."""
    return {**asdict(figures), "limit_s": limit_s, "holds": not figures.broken(limit_s)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1 where a bar is broken."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.adversity.long_call", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--limit-s", type=float, default=600.0, help="of the provider's connections; 70 or more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--voice", type=Path, default=Path(".frontdesk/voice"), help="directory of rendered speech")
    parser.add_argument("--json", type=Path, help="keep the figures here")
    given = parser.parse_args(arguments)
    figures = long_call(given.voice, minutes=given.minutes, limit_s=given.limit_s, seed=given.seed)
    print(as_line(figures))
    for what in figures.broken(given.limit_s):
        print(f"  BROKEN: {what}")
    if given.json is not None:
        given.json.write_text(json.dumps(as_json(figures, given.limit_s), indent=1) + "\n", "utf-8")
    return 1 if figures.broken(given.limit_s) else 0


if __name__ == "__main__":
    sys.exit(main())
