"""Many calls at once against one real gateway process: what a call costs, and whether its audio holds.

    python bench/load.py --calls 100 --hold 60

The gateway (``frontdesk serve``, as shipped) is pinned to the first core; callers, carrier and model, all simulated,
share the second. Every caller asks every four seconds and is answered for two: the workload of the design's figures.
Prints the report with the fixed keys; ``--out`` keeps it. Exit status 1 if a call was dropped or ran dry.
"""

import argparse
import gc
import itertools
import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import trio
import yaml
from numpy.typing import NDArray

from engine.sim.brain import EchoBrain
from engine.sim.caller import CallOptions, place_call
from engine.sim.carrier_rest import CarrierRest
from engine.sim.carrier_web import CarrierAccount
from engine.sim.figures import figures
from engine.sim.gemini import SimGemini
from engine.sim.network import Network, NullNetwork
from engine.sim.report import PhoneReport
from engine.sim.scenario import Clip, HangUp, Listen, Moment, Say
from engine.sim.world import ACCOUNT_SID, API_KEY, AUTH_TOKEN, STATUS_URL
from engine.telephony.plane import MediaPlane
from engine.tenants import examples
from engine.voice.cache import VoiceCache

QUESTION = "Is there somewhere I can park?"
ANSWER_S = 2.0
CYCLE_S = 4.0
SERVER_CORE, GENERATOR_CORE = 0, 1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PHONE_POLL_MS = 5.0  # the phones read their sockets this often: a shorter gap may be theirs
GENERATOR_LIMIT = 0.90  # of its core: above it the generator, not the server, sets the limit


class SureEar:
    """Hears the one question that there is, at no cost: load is about the engine, not about the simulator's hearing."""

    def hear(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:  # noqa: ARG002 - whatever was said
        return QUESTION

    def partial(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        return QUESTION if len(pcm) > rate // 2 else None


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds and resident bytes of a process."""

    cpu_s: float
    rss_mib: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return cls((int(stat[11]) + int(stat[12])) / TICKS_PER_S, int(stat[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20)


@dataclass(frozen=True, slots=True)
class Steady:
    """What was seen while all calls were up."""

    seconds: float
    server: Usage
    generator_cores: float
    memory_mib: float
    loop_lag_ms: dict[str, float]
    generator_lag_ms: dict[str, float]


def scenario(clip: Clip, turns: int, rng: random.Random) -> list[Moment]:
    """Greeting, then a turn every four seconds; starts are spread so that calls do not move in step."""
    rest_ms = 1000 * (CYCLE_S - ANSWER_S) - len(clip.mulaw) / 8 - 750
    moments: list[Moment] = [Listen(quiet_ms=rng.uniform(200, 1500))]
    for _ in range(turns):
        moments += [Say(clip), Listen(quiet_ms=max(200.0, rest_ms), timeout_s=10)]
    return [*moments, HangUp()]


@asynccontextmanager
async def gateway(settings: dict[str, str], tenants: Path) -> AsyncIterator[trio.Process]:
    """``frontdesk serve`` on its own core; ends with the block."""
    command = [sys.executable, "-m", "engine", "serve", "--memory", "--tenants", str(tenants)]
    process = await trio.lowlevel.open_process(command, env={**os.environ, **settings})
    os.sched_setaffinity(process.pid, {SERVER_CORE})  # before it has made a thread that would not follow
    try:
        await wait_ready(settings["FRONTDESK_PUBLIC_URL"], process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with trio.move_on_after(10, shield=True) as patience:
            await process.wait()
        if patience.cancelled_caught:
            process.kill()


async def wait_ready(url: str, process: trio.Process) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        while process.poll() is None:
            try:
                if (await http.get(f"{url}/health/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await trio.sleep(0.1)
    raise SystemExit("the gateway did not start; its log is above")


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


async def run(args: argparse.Namespace) -> dict[str, Any]:
    os.sched_setaffinity(0, {GENERATOR_CORE})
    with tempfile.TemporaryDirectory(prefix="frontdesk-load-") as scratch:
        data = Path(scratch)
        clip = Clip(QUESTION, VoiceCache(data / "voice").mulaw(QUESTION))
        tenant = examples.load("harbor-dental").model_dump(mode="json", by_alias=True)
        tenant["quotas"] = {"concurrent_calls": 5000, "calls_per_minute": None}
        (data / "tenant.yaml").write_text(yaml.safe_dump(tenant))
        tone = (6000 * np.sin(2 * np.pi * 440 * np.arange(int(24000 * ANSWER_S)) / 24000)).astype(np.int16)
        model = SimGemini(ear=SureEar(), brain=EchoBrain(tone), pace=args.pace, think_ms=args.think_ms, seed=args.seed)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        account = CarrierAccount(ACCOUNT_SID, AUTH_TOKEN, url)
        rest = CarrierRest.of(account)
        plane = MediaPlane()
        async with trio.open_nursery() as peers:
            model_url = await peers.start(model.serve)
            rest_url = await peers.start(rest.serve)
            await peers.start(plane.run)
            settings = {
                "FRONTDESK_BIND": f"127.0.0.1:{port}",
                "FRONTDESK_PUBLIC_URL": url,
                "FRONTDESK_DATA_DIR": str(data),
                "FRONTDESK_MAX_CALLS": str(args.calls + 50),
                "FRONTDESK_LOG_LEVEL": "WARNING",
                "FRONTDESK_TWILIO_ACCOUNT_SID": ACCOUNT_SID,
                "FRONTDESK_TWILIO_AUTH_TOKEN": AUTH_TOKEN,
                "FRONTDESK_TWILIO_API_URL": rest_url,
                "FRONTDESK_GEMINI_API_KEY": API_KEY,
                "FRONTDESK_GEMINI_URL": model_url,
                "FRONTDESK_LOCAL_MODEL": "false",
                "FRONTDESK_GEMINI_TRANSCRIBE_MODEL": "gemini-3.5-transcribe-live" if args.listener else "off",
            }
            async with gateway(settings, data / "tenant.yaml") as process:
                reports, steady = await drive(args, process, account, rest, plane, clip)
            peers.cancel_scope.cancel()
    return judge(args, reports, steady, model)


def settle_generator() -> None:
    """No collection while it drives: a pause of ours would be heard as a gap of the server's. Bounded by the run."""
    gc.collect()
    gc.disable()


async def drive(
    args: argparse.Namespace,
    process: trio.Process,
    account: CarrierAccount,
    rest: CarrierRest,
    plane: MediaPlane,
    clip: Clip,
) -> tuple[list[PhoneReport], Steady]:
    reports: list[PhoneReport] = []
    turns = int((args.ramp + args.hold) / CYCLE_S) + 1
    settle_generator()
    empty = Usage.of(process.pid)
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(trust_env=False, timeout=30, limits=limits) as http, trio.open_nursery() as calls:

        async def one(number: int) -> None:
            await trio.sleep(args.ramp * number / args.calls)
            network = Network(args.seed + number, jitter_ms=args.jitter) if args.jitter else NullNetwork()
            reports.append(
                await place_call(
                    line=account,
                    caller=f"+1555010{number:04d}",
                    called="+15550100100",
                    scenario=scenario(clip, turns, random.Random(args.seed + number)),
                    plane=plane,
                    network=network,
                    rest=rest,
                    http=http,
                    options=CallOptions(status_url=STATUS_URL, seed=args.seed + number),
                )
            )

        for number in range(args.calls):
            calls.start_soon(one, number)
        await trio.sleep(args.ramp + 3)
        before, mine, began = Usage.of(process.pid), Usage.of(os.getpid()), trio.current_time()
        server_lag, own_lag = [], []
        while trio.current_time() < began + args.hold - 6:
            await trio.sleep(2.0)
            own_lag.append(plane.statistics().lateness_max_ms)
            seen = (await http.get(f"{account.gateway_url}/health")).json()
            server_lag.append(seen["loop"]["lateness_max_ms"])
        after, mine_after, seconds = Usage.of(process.pid), Usage.of(os.getpid()), trio.current_time() - began
    return reports, Steady(
        seconds,
        Usage(after.cpu_s - before.cpu_s, after.rss_mib),
        (mine_after.cpu_s - mine.cpu_s) / seconds,
        after.rss_mib - empty.rss_mib,
        worst(server_lag),
        worst(own_lag),
    )


def worst(lags: list[float]) -> dict[str, float]:
    """Of the worst lateness in each two seconds: the median and the largest."""
    ranked = sorted(lags)
    return {"p50": round(ranked[len(ranked) // 2], 1), "max": round(ranked[-1], 1)}


def judge(args: argparse.Namespace, reports: Sequence[PhoneReport], steady: Steady, model: SimGemini) -> dict[str, Any]:
    limited = "generator" if steady.generator_cores > GENERATOR_LIMIT else "none"
    report = figures(reports, seed=args.seed, metrics=None, limited_by=limited)
    cores = steady.server.cpu_s / steady.seconds
    report["server"] = {
        "cores": round(cores, 3),
        "cpu_ms_per_call_second": round(1000 * cores / args.calls, 3),
        "memory_mib_per_call": round(steady.memory_mib / args.calls, 3),
        "loop_lag_ms": steady.loop_lag_ms,
    }
    gaps = sorted(itertools.chain.from_iterable(r.gaps_ms for r in reports), reverse=True)
    report["load"] = {
        "calls": args.calls,
        "hold_s": args.hold,
        "model_pace": args.pace,
        "calls_with_underruns": sum(any(gap > PHONE_POLL_MS for gap in r.gaps_ms) for r in reports),
        "underruns_over_5_ms": sum(gap > PHONE_POLL_MS for gap in gaps),
        "longest_gaps_ms": [round(gap, 1) for gap in gaps[:5]],
        "unanswered": sum(r.unanswered for r in reports),
        "given_up": sum(r.given_up for r in reports),
        "generator_cores": round(steady.generator_cores, 3),
        "model_protocol_faults": len(model.protocol_faults),
        "generator_lag_ms": steady.generator_lag_ms,
        "turns_answered": sum(len(r.responses) for r in reports),
    }
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--ramp", type=float, default=10.0, help="seconds until all calls are up")
    parser.add_argument("--hold", type=float, default=60.0, help="seconds that all calls stay up")
    parser.add_argument("--pace", type=float, default=3.0, help="times real time at which the model sends audio")
    parser.add_argument("--think-ms", type=int, default=250)
    parser.add_argument("--jitter", type=float, default=0.0, help="ms of network jitter on the caller's audio")
    parser.add_argument("--listener", action="store_true", help="query text from a (simulated) transcribe stream")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    report = trio.run(run, args)
    text = json.dumps(report, indent=2)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")
    sys.exit(1 if report["calls"]["dropped"] or report["load"]["calls_with_underruns"] else 0)


if __name__ == "__main__":
    main()
