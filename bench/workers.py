"""Workers killed, hung, replaced and ended with callers on the line: ``python -m bench.workers --runs 50``.

Real processes in real time: ``frontdesk serve --workers N`` with an embedded database, simulated callers, model and
calendar. Each run is one fault at a seeded instant under ``--calls`` calls that ask, book and hang up. What a caller
heard is measured at the phone; what was done, at the calendar; how each call ended, in the database.

* kept: the caller hung up by themselves after a conversation; when the whole service ends: heard the static script.
* return: from the carrier's close of a stream to our next sound. Silence: as the phone's report has it.
* lost: told the caller that it was booked, and the calendar knows nothing. Doubled: booked twice for one call.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from bench.adversity.cast import BOOK, BOOKING, PARKING, TENANT, Cast, brain
from bench.workers_table import Call, progress, row, table, write_log
from engine.sim.fleet import Fleet, open_fleet
from engine.sim.gemini import SimGemini
from engine.sim.report import PhoneReport
from engine.sim.scenario import HangUp, Listen, Moment, Say
from engine.sim.showcase import CachedVoice
from engine.sim.tool_endpoint import ToolEndpoint
from engine.sim.tool_requests import ToolRequest, Verifier
from engine.tenants.tenant import Tenant
from engine.tenants.tenant import ToolEndpoint as Endpoint
from engine.tools.http_signing import ToolSecrets

SECRET_KEY = "of the bench, known to everybody"
DRAIN_S = 3.0  # so short that calls have to be moved
CALL_S = 90.0
STAGGER_S = 0.7
FAULT_AT_S = (2.0, 14.0)  # greeting, question, answer, booking: all of them are hit


async def kill(fleet: Fleet) -> None:
    """``kill -9`` of the worker with most calls."""
    os.kill(fleet.pid(await _busiest(fleet)), signal.SIGKILL)


async def hang(fleet: Fleet) -> None:
    """The worker with most calls stands still: its heartbeat stops, and it is killed."""
    os.kill(fleet.pid(await _busiest(fleet)), signal.SIGSTOP)


async def roll(fleet: Fleet) -> None:
    """A rolling restart of all workers, to its end."""
    done = _count(fleet, "rolling restart done")
    fleet.signal(signal.SIGHUP)
    while _count(fleet, "rolling restart done") == done:  # noqa: ASYNC110 - it is another process that says so
        await trio.sleep(0.05)


async def end(fleet: Fleet) -> None:
    """SIGTERM of the whole service."""
    fleet.signal(signal.SIGTERM)


FAULTS: Mapping[str, tuple[str, Callable[[Fleet], Awaitable[None]]]] = {
    "kill": ("kill -9 of a worker", kill),
    "hang": ("a worker stands still", hang),
    "roll": ("rolling restart", roll),
    "end": ("SIGTERM of the service", end),
}


async def _busiest(fleet: Fleet) -> str:
    calls = await fleet.calls_of_workers()
    return max(calls, key=lambda worker: len(calls[worker]))


def _count(fleet: Fleet, event: str) -> int:
    return sum(line["event"] == event for line in fleet.logged)


def _scenario(cast: Cast) -> list[Moment]:
    return [
        Listen(quiet_ms=300),
        Say(cast.said[PARKING]),
        Listen(quiet_ms=1200),
        Say(cast.said[BOOKING]),
        Listen(quiet_ms=1200),
        HangUp(),
    ]


async def run_once(
    fleet: Fleet, calendar: ToolEndpoint, cast: Cast, fault: str, *, calls: int, seed: int
) -> list[Call]:
    """One fault under so many calls."""
    source = random.Random(f"{fault} {seed}")
    at = source.uniform(*FAULT_AT_S)
    reports: list[PhoneReport | None] = [None] * calls

    async def place(index: int) -> None:
        await trio.sleep(index * STAGGER_S)
        with trio.move_on_after(CALL_S):
            reports[index] = await fleet.call(_scenario(cast), caller=f"+1555010{index:04}")

    async with trio.open_nursery() as nursery:
        for index in range(calls):
            nursery.start_soon(place, index)
        await trio.sleep(at)
        await FAULTS[fault][1](fleet)
    return [await _judge(fleet, calendar, report) for report in reports]


async def _judge(fleet: Fleet, calendar: ToolEndpoint, report: PhoneReport | None) -> Call:
    if report is None:
        return Call(None, (), 0, told_booked=False)
    ends = await fleet.ends(report.call_sid)
    keys = {request.key for request in calendar.requests if request.call == report.call_sid}
    results = [one for end in ends for one in end.document["timeline"] if one["kind"] == "tool_result"]
    told = any(one["facts"].get("response", {}).get("status") == "ok" for one in results)
    return Call(report, ends, sum(calendar.effects[key] for key in keys), told_booked=told)


async def run_fault(
    fault: str, *, runs: int, calls: int, workers: int, cast: Cast, seed: int, log: Path | None = None
) -> dict[str, Any]:
    """One row. The service goes on from run to run, unless the fault is its end."""
    found: list[Call] = []
    left = 0
    while left < runs:
        with tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as folder:
            async with open_service(Path(folder), cast, workers) as (fleet, calendar):
                while left < runs:
                    found += await run_once(fleet, calendar, cast, fault, calls=calls, seed=seed + left)
                    if log is not None:
                        write_log(log, fleet, found[-calls:], static=fault == "end")
                    left += 1
                    progress(fault, left, runs, found, static=fault == "end")
                    if fault == "end":
                        break
                    await fleet.wait_settled(workers)
    return row(FAULTS[fault][0], runs, found, static=fault == "end")


@asynccontextmanager
async def open_service(folder: Path, cast: Cast, workers: int) -> AsyncIterator[tuple[Fleet, ToolEndpoint]]:
    text = ToolSecrets(secret_key=SECRET_KEY).signing_text(TENANT.id)
    assert text is not None, "a process with a secret key signs for every tenant"
    calendar = ToolEndpoint(Verifier({TENANT.id: text}), answer=_book)
    (folder / "voice").symlink_to(cast.data_dir / "voice")
    async with trio.open_nursery() as nursery:
        url = await nursery.start(calendar.serve)
        async with open_fleet(
            data_dir=folder,
            tenant=_booking_at(url),
            model=SimGemini(ear=cast.ear, brain=brain(), voice=CachedVoice(cast.cache)),
            workers=workers,
            secret_key=SECRET_KEY,
            tools_allow_private="true",
            drain_s=DRAIN_S,
        ) as fleet:
            yield fleet, calendar
        nursery.cancel_scope.cancel()


def _booking_at(url: str) -> Tenant:
    endpoint = Endpoint(url=f"{url}/book", idempotent=True)
    tools = tuple(
        tool.model_copy(update={"endpoint": endpoint}) if tool.name == BOOK.name else tool for tool in TENANT.tools
    )
    return TENANT.model_copy(update={"tools": tools})


def _book(request: ToolRequest) -> Mapping[str, Any]:
    wanted = request.arguments
    return {"status": "ok", "message": f"Booked for {wanted['name']}, {wanted['day'].title()} at {wanted['time']}."}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1 where a call was not kept, or an effect lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m bench.workers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="of each fault")
    parser.add_argument("--calls", type=int, default=4, help="at once, in each run")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--voice", type=Path, default=Path(".frontdesk/voice"), help="where speech is rendered to")
    parser.add_argument("--log", type=Path, help="write what the service logged, and each call's figures, there")
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    given = parser.parse_args(arguments)
    given.voice.mkdir(parents=True, exist_ok=True)
    cast = Cast(given.voice.resolve())
    run = partial(
        run_fault, runs=given.runs, calls=given.calls, workers=given.workers, cast=cast, seed=given.seed, log=given.log
    )
    rows = [trio.run(run, fault) for fault in given.faults]
    print(table(rows))
    if given.json is not None:
        given.json.write_text(json.dumps({"seed": given.seed, "rows": rows}, indent=1) + "\n", "utf-8")
    fine = all(row["kept"] == row["calls"] and not row["effects"]["lost"] + row["effects"]["doubled"] for row in rows)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
