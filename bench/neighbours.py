"""Does one bad neighbour hurt the others? p99 lateness of the media plane beside each, against quiet runs.

    python bench/neighbours.py --seconds 15

One gateway, its callers and its model in one process, in real time. Some calls of one tenant talk all the time; beside
them, one kind of trouble after the other from another tenant:

    retriever, tool,    an actor that spins: computes without end, with a checkpoint after each slice (--slice-ms), and
    listener            heeds no deadline
    hoard               one that takes a MiB of memory after the other, and keeps 256 of them
    keys, unknown,      one caller whose stream sends nothing but that, as fast as its socket takes it; where its line
    garbage, media,     is ended for it, it calls again at once
    large

Each kind is let loose and held back by turns, 2.6 s each (what the plane's own statistics look back on), so that
whatever else the machine does falls upon both alike. A figure is the median over its turns of the plane's p99; the
ratio is that of the loud turns to the quiet ones between them. ``memory_mib`` is what the process grew by. Exit status
1 where a ratio is above 1.5, or where an other call lost its stream or went unanswered.
"""

import argparse
import gc
import json
import random
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import trio

from bench.asking import QUESTION, SureEar, scenario
from bench.flood import Flood, inputs
from bench.spinning import NOISY_ID, SPINNING, Spinner, SpinningListener, SpinningSearch, SpinningTasks
from engine import log
from engine.config import Settings
from engine.loadtest.plan import CYCLE_S
from engine.server.keeping import Keeping, keep_in_memory
from engine.server.loop_lag import resident_mib
from engine.sim.brain import EchoBrain, HeardTurn, Reply, ToolWish
from engine.sim.gemini import SimGemini
from engine.sim.report import PhoneReport
from engine.sim.scenario import Clip
from engine.sim.world import World, open_world
from engine.telephony.plane import PlaneStatistics
from engine.tenants import examples
from engine.tenants.tenant import Quotas, Tenant
from engine.voice.cache import VoiceCache

WINDOW_S = 2.6  # 512 ticks of 5 ms, and a little
WORST_RATIO = 1.5
FLOODS = tuple(inputs(""))
OTHERS = examples.load("harbor-dental").model_copy(update={"quotas": Quotas(concurrent_calls=500)})
NOISY_NUMBER = "+15550100666"
MESSAGE = ToolWish("take_message", {"name": "Robin Lee", "message": "Call me.", "phone": "+15550100555"})


class NoisyBrain(EchoBrain):
    """Always the same answer; but for the tool that only the noisy tenant has, which it wants each time."""

    def reply(self, turn: HeardTurn) -> Reply:
        """See ``Brain``."""
        if turn.tools == (MESSAGE.name,) and not turn.results:
            return Reply("", (MESSAGE,))
        return super().reply(turn)


def noisy_tenant() -> Tenant:
    """The neighbour; it may call as often as it likes, so that it is the gateway, not a quota, that bears it."""
    tools = tuple(tool for tool in OTHERS.tools if tool.name == MESSAGE.name)
    quotas = Quotas(concurrent_calls=500, calls_per_minute=None)
    return OTHERS.model_copy(update={"id": NOISY_ID, "numbers": (NOISY_NUMBER,), "tools": tools, "quotas": quotas})


@dataclass
class Row:
    """One kind of trouble; p99s are those of the gateway's plane, in ms."""

    name: str
    quiet_p99_ms: float
    loud_p99_ms: float
    ratio: float
    loud_max_ms: float
    memory_mib: float
    did: str


@asynccontextmanager
async def neighbourhood(scratch: Path, spinner: Spinner) -> AsyncIterator[tuple[World, Clip]]:
    """A world with both tenants, and what its callers say."""
    clip = Clip(QUESTION, VoiceCache(scratch / "voice").mulaw(QUESTION))
    tone = (6000 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 24000)).astype(np.int16)
    model = SimGemini(ear=SureEar(), brain=NoisyBrain(tone), pace=3.0, think_ms=250, seed=1)

    @asynccontextmanager
    async def keep(settings: Settings, tenants: Sequence[Tenant]) -> AsyncIterator[Keeping]:
        async with keep_in_memory(tenants, settings.data_dir / "calls") as kept:
            search = SpinningSearch(kept.search, spinner)
            yield replace(kept, search=search, follow_ups=SpinningTasks(kept.follow_ups, spinner))

    tenants = [OTHERS, noisy_tenant()]
    async with open_world(
        data_dir=scratch, tenants=tenants, model=model, keep=keep, gemini_transcribe_model="off"
    ) as world:
        yield world, clip


async def talk(world: World, clip: Clip, number: str, seconds: float, seed: int) -> PhoneReport:
    """One call that asks and listens for so long."""
    turns = int(seconds / CYCLE_S) + 1
    return await world.call(scenario(clip, turns, random.Random(seed)), called=number)


async def measure(world: World, clip: Clip, name: str, seconds: float, spinner: Spinner) -> Row:
    """Let one kind of trouble loose, and hold it back, by turns; the others are talking already."""
    gc.collect()
    before, spun = resident_mib() or 0.0, spinner.spun_s
    flood = Flood(name, world.account, world.settings.stream_url, NOISY_NUMBER) if name in FLOODS else None
    turns: dict[bool, list[PlaneStatistics]] = {False: [], True: []}
    if name == "listener":  # of calls that begin from here on; services are made for good, so this is by force
        object.__setattr__(world.composed.services, "listener", SpinningListener(spinner))
    async with trio.open_nursery() as trouble:
        if flood is not None:
            trouble.start_soon(flood.run, world.http)
        else:
            spinner.on = name
            trouble.start_soon(talk, world, clip, NOISY_NUMBER, 10 * seconds, 99)
            await trio.sleep(2 * CYCLE_S)  # until the caller has asked
        for _ in range(max(2, round(seconds / WINDOW_S))):
            for loud in (False, True):
                spinner.loud = loud
                if flood is not None:
                    flood.loud = loud
                await trio.sleep(WINDOW_S)
                turns[loud].append(world.composed.gateway.plane.statistics())
        spinner.loud, spinner.on = False, ""
        object.__setattr__(world.composed.services, "listener", None)
        trouble.cancel_scope.cancel()
    await trio.sleep(1.0)
    gc.collect()
    loud_s = WINDOW_S * len(turns[True])
    did = f"spun {100 * (spinner.spun_s - spun) / loud_s:.0f} % of the time"
    if flood is not None:
        did = f"{flood.calls} calls, {flood.sent_mib:.1f} MiB"
    quiet, noisy = (statistics.median(seen.lateness_p99_ms for seen in turns[loud]) for loud in (False, True))
    return Row(
        name,
        quiet_p99_ms=round(quiet, 2),
        loud_p99_ms=round(noisy, 2),
        ratio=round(noisy / quiet, 2),
        loud_max_ms=round(max(seen.lateness_max_ms for seen in turns[True]), 1),
        memory_mib=round((resident_mib() or 0.0) - before, 1),
        did=did,
    )


async def run(args: argparse.Namespace) -> dict[str, Any]:
    """All rows."""
    log.configure("CRITICAL")
    spinner = Spinner(args.slice_ms / 1000)
    reports: list[PhoneReport] = []
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="frontdesk-neighbours-") as scratch:
        async with neighbourhood(Path(scratch), spinner) as (world, clip):
            ended = trio.Event()

            async def other(index: int) -> None:
                await trio.sleep(index * CYCLE_S / args.calls)
                while not ended.is_set():
                    reports.append(await talk(world, clip, OTHERS.numbers[0], args.seconds, index))

            async with trio.open_nursery() as others:
                for index in range(args.calls):
                    others.start_soon(other, index)
                await trio.sleep(CYCLE_S + WINDOW_S)
                for name in args.only or (*SPINNING, *FLOODS):
                    rows.append(await measure(world, clip, name, args.seconds, spinner))
                    print(asdict(rows[-1]), file=sys.stderr, flush=True)
                ended.set()
    return {
        "calls": args.calls,
        "seconds": args.seconds,
        "slice_ms": args.slice_ms,
        "rows": [asdict(row) for row in rows],
        "worst_ratio": max(row.ratio for row in rows),
        "others": {
            "calls": len(reports),
            "unanswered": sum(report.unanswered for report in reports),
            "given_up": sum(report.given_up for report in reports),
            "underruns": sum(len(report.gaps_ms) for report in reports),
            "streams_lost": sum(report.streams != 1 for report in reports),
        },
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each kind, loud and quiet each")
    parser.add_argument("--calls", type=int, default=8, help="that talk beside the trouble")
    parser.add_argument(
        "--slice-ms", type=float, default=0.2, help="what a spinning actor computes between checkpoints"
    )
    parser.add_argument("--only", nargs="*", choices=(*SPINNING, *FLOODS))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    report = trio.run(run, args)
    text = json.dumps(report, indent=2)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")
    hurt = report["others"]["unanswered"] or report["others"]["streams_lost"]
    sys.exit(1 if hurt or report["worst_ratio"] > WORST_RATIO else 0)


if __name__ == "__main__":
    main()
