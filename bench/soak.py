"""Calls that come and go for half an hour: does the gateway grow? ``python -m bench.soak --minutes 30 --calls 125``

A gateway of its own, as ``frontdesk loadtest`` starts it, is loaded twice: briefly, so that everything that is made at
first use is there, and then for ``--minutes``, both times by ``frontdesk loadtest``'s own callers. Memory, tasks,
threads, sockets and database connections are looked at every two seconds, also in the quiet minute before and after
the long load. ``drift.py`` says what is flat, and what is left.

A gateway remembers ended calls for a quarter of an hour (``call/entries.py``), so that for so long its memory must
grow; only from then on a slope says something, and a run that is too short for that does not judge memory at all. The
others are fitted from the second minute on. Exit status 1 where something grows, is left over, or where quality did
not hold.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import trio

from bench import machine
from bench.drift import Sample, drifts, left
from bench.loadtests import number
from bench.soak_watch import Watch
from engine.call.entries import REMEMBERED_S
from engine.loadtest.gateway import Options, Started, start_gateway
from engine.loadtest.plan import Plan
from engine.loadtest.processes import child, module
from engine.loadtest.report import report_of
from engine.loadtest.run import run_load
from engine.loadtest.wire import PeersPart, PeersUp, line
from engine.sim.carrier_rest import CarrierRest
from engine.sim.world import ACCOUNT_SID, AUTH_TOKEN

CALLS_PER_S = 10.0  # of the ramp
WARM_UP_S = 20.0
QUIET_S = 60.0
FORGET_S = 15.0  # of each quiet time: connections that are kept for the next request are let go of
FILLING_S = 60.0  # until everything but memory is as it will be
LEAST_S = 300.0  # of memory that is full, to judge it by
SHOWN = 300  # samples in the report


def cores() -> Options:
    """The gateway on the first core and everything else, this process too, on the others, where there are others."""
    known = sorted(os.sched_getaffinity(0))
    if len(known) < 2:
        return Options()
    os.sched_setaffinity(0, known[1:])
    return Options(server_cores=(known[0],), other_cores=tuple(known[1:]))


@asynccontextmanager
async def open_gateway(plan: Plan, options: Options, data_dir: Path) -> AsyncIterator[tuple[Started, PeersUp]]:
    """A gateway, and what it talks to."""
    rest = CarrierRest(ACCOUNT_SID, AUTH_TOKEN)
    async with trio.open_nursery() as nursery:
        rest_url = await nursery.start(rest.serve)
        async with child(module("engine.loadtest.peers"), cores=options.other_cores) as process:
            peers = await _told(process, plan, data_dir)
            async with start_gateway(plan, options, peers, rest_url, data_dir) as started:
                yield started, peers
        nursery.cancel_scope.cancel()


async def _told(peers: trio.Process, plan: Plan, data_dir: Path) -> PeersUp:
    assert peers.stdin is not None
    assert peers.stdout is not None
    await peers.stdin.send_all(line(PeersPart(plan, str(data_dir / "voice"))))
    said = b""
    while not said.endswith(b"\n"):
        more = await peers.stdout.receive_some()
        if not more:
            raise SystemExit("the simulated model did not start; what it said is above")
        said += more
    return msgspec.json.decode(said, type=PeersUp)


async def run(plan: Plan, *, quiet_s: float, data_dir: Path) -> dict[str, Any]:
    """The whole soak; its report."""
    options = cores()
    warm_up = msgspec.structs.replace(plan, duration_s=WARM_UP_S, call_s=WARM_UP_S / 2)
    async with open_gateway(plan, options, data_dir) as (started, peers), trio.open_nursery() as nursery:
        watch = Watch(started, data_dir, embed_port=urlsplit(peers.embed_url).port)
        await nursery.start(watch.run)
        say(f"{warm_up.calls} calls to warm up")
        await run_load(warm_up, options=options, target=started.target, data_dir=data_dir)
        before = await quiet(watch, quiet_s)
        say(f"{plan.calls} calls for {plan.duration_s / 60:g} minutes; before: {shown(before[-1])}")
        first = len(watch.samples)
        outcome = await run_load(
            plan,
            options=options,
            target=started.target,
            data_dir=data_dir,
            on_sample=lambda sample, _: say(shown(watch.samples[-1])) if sample.at_s % 60 < 1 else None,
        )
        loaded = watch.samples[first:]
        after = await quiet(watch, quiet_s)
        say(f"after: {shown(after[-1])}")
        nursery.cancel_scope.cancel()
    return summary(plan, report_of(outcome), before, loaded, after)


async def quiet(watch: Watch, seconds: float) -> list[Sample]:
    """What is seen when nobody calls, and nobody has called for a moment."""
    await trio.sleep(FORGET_S)
    first = len(watch.samples)
    await trio.sleep(max(seconds - FORGET_S, 5.0))
    return watch.samples[first:]


def summary(
    plan: Plan,
    report: Mapping[str, Any],
    before: Sequence[Sample],
    loaded: Sequence[Sample],
    after: Sequence[Sample],
) -> dict[str, Any]:
    """The report of a soak, JSON-ready.

    Args:
        report: of the load test.
        loaded: from its first call to its last.
    """
    fitted = steady(plan, loaded, FILLING_S)
    found, remains = drifts(fitted), left(before, after)
    if plan.duration_s < REMEMBERED_S + LEAST_S:
        found["rss_mib"] = None
    else:
        found["rss_mib"] = drifts(steady(plan, loaded, REMEMBERED_S))["rss_mib"]
    every = max(1, -(-(len(before) + len(loaded) + len(after)) // SHOWN))
    return {
        "kind": "soak",
        "calls": plan.calls,
        "minutes": round(plan.duration_s / 60, 2),
        "call_s": plan.call_s,
        "machine": machine.described(),
        "load": {
            "calls": report["calls"],
            "response_ms": report["response_ms"],
            "underruns_per_minute": number(report, "underruns_per_minute"),
            "held": report["load"]["held"],
            "failures": report["load"]["failures"],
            "limited_by": report["limited_by"],
        },
        "cpu_ms_per_call_second": cpu_ms_per_call_second(fitted),
        "drift": {
            name: None if drift is None else rounded(asdict(drift) | {"growth": drift.growth}) | {"flat": drift.is_flat}
            for name, drift in found.items()
        },
        "left": dict(remains),
        "flat": verdict(None if drift is None else drift.is_flat for drift in found.values()),
        "nothing_left": verdict(None if count is None else count == 0 for count in remains.values()),
        "rss_mib": {"before": before[-1].rss_mib, "after": after[-1].rss_mib},
        "series": [asdict(sample) for sample in [*before, *loaded, *after][::every]],
    }


def verdict(each: Iterable[bool | None]) -> bool | None:
    """False where one is; else None where one is not known."""
    known = list(each)
    return False if False in known else None if None in known else True


def steady(plan: Plan, loaded: Sequence[Sample], filling_s: float) -> list[Sample]:
    """Those after all calls were up for so long, and before calls begin to leave."""
    if not loaded:
        return []
    began = loaded[0].at_s + plan.ramp_s
    last = began + plan.duration_s - plan.call_s
    return [sample for sample in loaded if began + filling_s <= sample.at_s <= last]


def cpu_ms_per_call_second(samples: Sequence[Sample]) -> float | None:
    """What a call cost, arrivals and departures included; None where nobody called."""
    call_s = cpu_s = 0.0
    for one, then in itertools.pairwise(samples):
        if one.calls is not None:
            call_s += one.calls * (then.at_s - one.at_s)
            cpu_s += then.cpu_s - one.cpu_s
    return round(1000 * cpu_s / call_s, 3) if call_s else None


def rounded(figures: Mapping[str, float]) -> dict[str, float]:
    """To four digits that mean something."""
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


def shown(sample: Sample) -> str:
    """For whoever looks on."""
    return (
        f"{sample.at_s:>6.0f} s  {sample.calls} calls  {sample.rss_mib:.1f} MiB  {sample.tasks} tasks  "
        f"{sample.threads} threads  {sample.sockets} sockets  {sample.connections} database connections"
    )


def say(text: str) -> None:
    """At once, so that half an hour does not pass in silence."""
    print(text, file=sys.stderr, flush=True)


def table(report: Mapping[str, Any]) -> str:
    """For people."""
    rows = [f"{'':<14}{'mean':>10}{'per hour':>12}{'+-':>10}{'growth':>10}{'':>8}{'left':>6}"]
    for name in dict.fromkeys((*report["drift"], *report["left"])):
        drift, remains = report["drift"].get(name), report["left"].get(name, "")
        figures = f"{'not fitted':>42}{'':>8}"
        if drift is not None:
            numbers = f"{drift['mean']:>10.4g}{drift['per_hour']:>12.4g}{drift['error']:>10.3g}{drift['growth']:>10.3g}"
            figures = f"{numbers}{'flat' if drift['flat'] else 'GROWS':>8}"
        rows.append(f"{name:<14}{figures}{remains!s:>6}")
    load = report["load"]
    rows.append(f"{load['calls']['placed']} calls, {load['calls']['dropped']} dropped; {'; '.join(load['failures'])}")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--calls", type=int, default=125, help="at once: half of what the machine holds")
    parser.add_argument("--call-seconds", type=float, default=30.0, help="a call's mean length")
    parser.add_argument("--quiet-seconds", type=float, default=QUIET_S, help="before and after the load")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--voice", type=Path, default=Path(".frontdesk/voice"), help="where speech is rendered to")
    parser.add_argument("--out", type=Path, help="keep the report there")
    given = parser.parse_args(arguments)
    given.voice.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        calls=given.calls,
        ramp_s=max(3.0, given.calls / CALLS_PER_S),
        duration_s=60 * given.minutes,
        call_s=given.call_seconds,
        workers=given.workers,
    )
    with tempfile.TemporaryDirectory(prefix="frontdesk-soak-") as folder:
        (Path(folder) / "voice").symlink_to(given.voice.resolve())
        report = trio.run(lambda: run(plan, quiet_s=given.quiet_seconds, data_dir=Path(folder)))
    print(table(report))
    if given.out is not None:
        given.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 1 if False in (report["flat"], report["nothing_left"], report["load"]["held"]) else 0


if __name__ == "__main__":
    sys.exit(main())
