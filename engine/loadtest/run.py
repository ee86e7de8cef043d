"""Makes a load test happen.

run_load
├─ the carrier's REST interface      in this process; orders are passed on to whoever has the call
├─ peers                             a process: the simulated model, its transcriber, its embeddings
├─ the gateway                       ours as processes of its own, pinned; or somebody's, by its address
├─ callers x generators              processes; each call's figures come as it ends
└─ a sample every second             of all of them, for the plots and for whoever looks on
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
import trio

from engine.errors import ConfigurationError
from engine.loadtest.gateway import Options, Started, start_gateway
from engine.loadtest.plan import Plan, Target
from engine.loadtest.processes import child, module, read_lines
from engine.loadtest.series import Sample, Seen
from engine.loadtest.watch import Steady, Watch, Watched
from engine.loadtest.wire import (
    Beat,
    Began,
    CallersPart,
    Complete,
    Ended,
    FromCallers,
    PeersEnd,
    PeersPart,
    PeersUp,
    Replace,
    line,
)
from engine.sim.carrier_call import NewDocument
from engine.sim.carrier_rest import CarrierRest
from engine.sim.world import ACCOUNT_SID, AUTH_TOKEN

GRACE_S = 90.0  # for generators to start and for the last calls to end, beside the plan's own time
ORDERS_QUEUED = 4096  # of the carrier's REST interface, to one process: each call is asked about a few times at most
SETTLE_S = 3.0  # after the ramp, before what a call costs is measured, and before its end; of short runs a fifth

AS_SHIPPED = Options()

_decoder = msgspec.json.Decoder(FromCallers)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that was seen. ``steady`` is None where the gateway is not ours."""

    plan: Plan
    seen: Seen
    steady: Steady | None


@dataclass
class _RemoteCall:
    """A call in a process of callers, as the carrier's REST interface sees it."""

    sid: str
    orders: trio.MemorySendChannel[bytes]

    @property
    def is_live(self) -> bool:
        """It is forgotten when it ends."""
        return True

    def complete(self) -> None:
        """End it."""
        self.orders.send_nowait(line(Complete(self.sid)))

    def replace(self, document: NewDocument) -> None:
        """Run this instead."""
        self.orders.send_nowait(line(Replace(self.sid, document.twiml, document.url, document.method)))


async def run_load(
    plan: Plan,
    *,
    options: Options = AS_SHIPPED,
    target: Target | None = None,
    data_dir: Path,
    on_sample: Callable[[Sample, Seen], None] = lambda _sample, _seen: None,
) -> Outcome:
    """Run it to its end.

    Args:
        options: of our own gateway.
        target: somebody's gateway instead of ours.
        data_dir: of our gateway; rendered speech is kept there, in ``voice``.
        on_sample: is shown every second.

    Raises:
        ConfigurationError: the gateway did not come up, or a process of the test died.
    """
    rest = CarrierRest(ACCOUNT_SID, AUTH_TOKEN)
    async with trio.open_nursery() as nursery:
        rest_url = await nursery.start(rest.serve)
        if target is None:
            async with (
                _peers(plan, data_dir, options.other_cores) as peers,
                start_gateway(plan, options, peers.up, rest_url, data_dir) as started,
            ):
                outcome = await _drive(plan, started.target, (started, peers), rest, data_dir, options, on_sample)
            outcome.seen.model_faults = peers.faults
        else:
            outcome = await _drive(plan, target, None, rest, data_dir, options, on_sample)
        nursery.cancel_scope.cancel()
    return outcome


@dataclass
class _Peers:
    """The process of the simulated model; ``faults`` is known once it has ended."""

    up: PeersUp
    process: psutil.Process
    faults: int = 0


@asynccontextmanager
async def _peers(plan: Plan, data_dir: Path, cores: Sequence[int]) -> AsyncIterator[_Peers]:
    async with child(module("engine.loadtest.peers"), cores=cores) as process:
        assert process.stdin is not None
        await process.stdin.send_all(line(PeersPart(plan, str(data_dir / "voice"))))
        up = msgspec.json.decode(await _one_line(process), type=PeersUp)
        peers = _Peers(up, psutil.Process(process.pid))
        yield peers
        await process.stdin.aclose()
        peers.faults = msgspec.json.decode(await _one_line(process), type=PeersEnd).faults


async def _one_line(process: trio.Process) -> bytes:
    assert process.stdout is not None
    said = b""
    while b"\n" not in said:
        more = await process.stdout.receive_some()
        if not more:
            raise ConfigurationError("the simulated model ended; what it said is above")
        said += more
    return said.partition(b"\n")[0]


async def _drive(
    plan: Plan,
    target: Target,
    ours: tuple[Started, _Peers] | None,
    rest: CarrierRest,
    data_dir: Path,
    options: Options,
    on_sample: Callable[[Sample, Seen], None],
) -> Outcome:
    seen = Seen()
    callers: list[psutil.Process] = []
    if ours is None:
        watched = Watched(callers=callers, elsewhere=options.other_cores)
    else:
        started, peers = ours
        watched = Watched(
            started.health_urls, started.server, started.database, callers, [peers.process], options.other_cores
        )
    async with trio.open_nursery() as everything:
        watch = Watch(watched, seen, on_sample)
        await everything.start(watch.run)
        with trio.move_on_after(plan.ramp_s + plan.duration_s + GRACE_S) as patience:
            async with trio.open_nursery() as generators:
                for index in range(plan.generators):
                    part = CallersPart(plan, target, index, str(data_dir / "voice"))
                    generators.start_soon(_generate, part, options.other_cores, callers, rest, seen)
                if ours is not None:
                    settle_s = min(SETTLE_S, plan.duration_s / 5)
                    await trio.sleep(plan.ramp_s + settle_s)
                    watch.begin_steady()
                    await trio.sleep(plan.duration_s - 2 * settle_s)
                    watch.end_steady()
        everything.cancel_scope.cancel()
    if patience.cancelled_caught:
        raise ConfigurationError(f"callers had not come to an end {GRACE_S:.0f} s after the plan did: nothing is known")
    return Outcome(plan, seen, watch.steady)


async def _generate(
    part: CallersPart, cores: Sequence[int], callers: list[psutil.Process], rest: CarrierRest, seen: Seen
) -> None:
    """One process of callers, from its start to its end."""
    async with child(module("engine.loadtest.callers"), cores=cores) as process:
        assert process.stdin is not None
        callers.append(psutil.Process(process.pid))
        await process.stdin.send_all(line(part))
        orders_send, orders = trio.open_memory_channel[bytes](ORDERS_QUEUED)

        def on_line(data: bytes) -> None:
            match _decoder.decode(data):
                case Began(call_sid):
                    rest.add(_RemoteCall(call_sid, orders_send))
                case Ended(figures):
                    rest.remove(_RemoteCall(figures.call_sid, orders_send))
                    seen.calls.append(figures)
                case Beat(up, late_ms, late_p99_ms):
                    seen.up[part.index] = up
                    seen.late_ms[part.index], seen.late_p99_ms[part.index] = late_ms, late_p99_ms

        with orders_send, orders:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pass_on, orders, process.stdin)
                await read_lines(process, on_line)
                nursery.cancel_scope.cancel()
        if (code := await process.wait()) != 0:
            raise ConfigurationError(f"a process of callers ended with status {code}; what it said is above")


async def _pass_on(orders: trio.MemoryReceiveChannel[bytes], stdin: trio.abc.SendStream) -> None:
    async for order in orders:
        await stdin.send_all(order)
