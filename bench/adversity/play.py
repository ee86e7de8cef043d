"""One seeded call in a world of its own, under virtual time: set up, placed, waited out, judged.

Everything that a run draws at random comes from its seed: the plan, identifiers, the network, and the order in which
trio runs tasks that are ready at once. Time stands still while the world is set up, so that each call begins at zero.
"""

import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from math import inf
from pathlib import Path

import trio
import trio.testing

from bench.adversity.cast import Cast
from bench.adversity.judge import Finished, judge
from bench.adversity.keep import Kept
from bench.adversity.plan import Line, Over, Plan, Planner, Step, shortened
from bench.adversity.types import MODEL_BARS, Bars, Row, RunResult
from engine import log
from engine.metrics import Metrics
from engine.server.app import KEEP_ALIVE_S
from engine.sim.gemini import SimGemini
from engine.sim.leaks import KEPT_ALIVE, TaskWatch, open_sockets, watched
from engine.sim.moods import Rule
from engine.sim.report import PhoneReport
from engine.sim.scenario import Moment, Say, SayOver
from engine.sim.tool_endpoint import ToolEndpoint
from engine.sim.tool_requests import ToolRequest, Verifier
from engine.sim.world import World, open_world
from engine.tenants.tenant import Tenant
from engine.tenants.tenant import ToolEndpoint as Endpoint
from engine.tools.http_signing import ToolSecrets

WEDNESDAY = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)  # the same day for every run, or what is said would differ
SETTLE_S = 15.0  # virtual: the longest write that goes on after its call, and a little
KERNEL_TRIES = 200  # of 5 ms of the machine's own time, for sockets to be gone
CIRCLING_CPU_S = 40.0  # a long call takes two
SHORT_SEEDS = range(1, 7)  # a short form takes the one with the shortest call
SECRET_KEY = "of the adversity table, known to everybody"


def call_row(name: str, group: str, fault: str, plan: Planner, bars: Bars = MODEL_BARS) -> Row:
    """A row whose runs are calls under virtual time; ``plan`` makes each from its own source of randomness."""

    def planned(seed: int) -> Plan:
        return plan(random.Random(f"{name}:{seed}"))

    def run(seed: int, voice_dir: Path) -> RunResult:
        log.configure("CRITICAL")
        return play(planned(seed), seed, voice_dir)

    def run_short(voice_dir: Path) -> RunResult:
        log.configure("CRITICAL")
        seed = min(SHORT_SEEDS, key=lambda seed: len(shortened(planned(seed)).steps))
        return play(shortened(planned(seed)), seed, voice_dir)

    return Row(name, group, fault, run, bars, run_short=run_short)


def play(plan: Plan, seed: int, voice_dir: Path) -> RunResult:
    """Carry this plan out, in the main thread. A run that only turns in circles is ended, and found at fault."""
    clock = trio.testing.MockClock(autojump_threshold=inf)
    cast = _cast(voice_dir)
    cast.render()  # or the first run in a process would spend its seconds on it
    before = signal.signal(signal.SIGPROF, _end_circling)
    signal.setitimer(signal.ITIMER_PROF, CIRCLING_CPU_S)
    try:
        with seeded_scheduler(seed):
            return trio.run(partial(_play, plan, seed, cast, clock), clock=clock)
    except BaseException as error:
        # However trio and its tasks wrapped it on its way up; everything else is the harness's own failure, and raised.
        if not _is_circling(error):
            raise
        return RunResult(seed, kept=False, outcome="never ended", silence_ms=inf, faults=("turned in circles",))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Circling(BaseException):
    """A run has used more of the processor than any call needs: something does not wait where it should."""


def _end_circling(*_: object) -> None:
    raise Circling


def _is_circling(error: BaseException | None) -> bool:
    if error is None or isinstance(error, Circling):
        return error is not None
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return any(_is_circling(one) for one in (*inner, error.__cause__, error.__context__))


@lru_cache(maxsize=1)
def _cast(voice_dir: Path) -> Cast:
    return Cast(voice_dir)


@contextmanager
def seeded_scheduler(seed: int) -> Iterator[None]:
    """Trio shuffles tasks that are ready at once; its own hook for Hypothesis lets a seed decide instead of chance."""
    scheduler = trio._core._run
    before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    scheduler._r.seed(seed)
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = before  # type: ignore[misc]
        scheduler._r.seed()


async def _play(plan: Plan, seed: int, cast: Cast, clock: trio.testing.MockClock) -> RunResult:
    kept = Kept()
    model = _model(plan, plan.rules, seed, cast)
    backup = None if plan.backup is None else _model(plan, plan.backup, seed, cast)
    kept.diary.takes_s = plan.booking_takes_s
    steps = [_spoken(step, cast) for step in plan.steps]
    async with (
        _endpoint(plan) as (endpoint, tenant),
        _served(backup) as backup_url,
        _open(plan, tenant, kept, model, backup_url, cast) as world,
    ):
        sockets = open_sockets()
        with watched() as watch:
            clock.autojump_threshold = 0
            began_at = trio.current_time()
            async with trio.open_nursery() as beside:
                if plan.meanwhile is not None:
                    beside.start_soon(plan.meanwhile, world)
                options = replace(plan.options, seed=seed)
                report = await world.call(steps, network=plan.network(), options=options)
                beside.cancel_scope.cancel()
            left = await _settle(world, watch, sockets, kept, clock)
        return judge(
            Finished(
                seed=seed,
                plan=plan,
                report=report,
                began_at=began_at,
                kept=kept,
                models=(model,) if backup is None else (model, backup),
                prompts=world.composed.services.prompts.for_tenant(tenant),
                effects_at_endpoint=None if endpoint is None else sum(endpoint.effects.values()),
                left=left,
                faults=_faults(world, report, endpoint, backup),
            )
        )


def _model(plan: Plan, rules: tuple[Rule, ...], seed: int, cast: Cast) -> SimGemini:
    return SimGemini(
        ear=cast.ear,
        brain=plan.brain,
        voice=cast.voice,
        pace=plan.pace,
        think_ms=plan.think_ms,
        seed=seed,
        rules=rules,
    )


@asynccontextmanager
async def _served(backup: SimGemini | None) -> AsyncIterator[str | None]:
    """The other endpoint's address, where there is one."""
    if backup is None:
        yield None
        return
    async with trio.open_nursery() as nursery:
        yield await nursery.start(backup.serve)
        nursery.cancel_scope.cancel()


def _spoken(step: Step, cast: Cast) -> Moment:
    match step:
        case Line(text):
            return Say(cast.said[text], again=True)
        case Over(text, after_ms):
            return SayOver(cast.said[text], after_ms)
        case moment:
            return moment


@asynccontextmanager
async def _open(
    plan: Plan, tenant: Tenant, kept: Kept, model: SimGemini, backup_url: str | None, cast: Cast
) -> AsyncIterator[World]:
    settings = {"secret_key": SECRET_KEY, "tools_allow_private": True, **plan.settings}
    if backup_url is not None:
        settings["gemini_backup_url"] = backup_url
    async with open_world(
        data_dir=cast.data_dir,
        tenants=[tenant],
        model=model,
        keep=kept.keep,
        now=lambda: WEDNESDAY + timedelta(seconds=trio.current_time()),
        **settings,
    ) as world:
        for rule in plan.ear_rules:
            world.ear.schedule(rule)
        world.rest.script(plan.rest)
        yield world


@asynccontextmanager
async def _endpoint(plan: Plan) -> AsyncIterator[tuple[ToolEndpoint | None, Tenant]]:
    """The tenant's own booking endpoint, where the plan has one, and the tenant that knows its address."""
    if plan.endpoint is None:
        yield None, plan.tenant
        return
    signing = ToolSecrets(secret_key=SECRET_KEY).signing_text(plan.tenant.id)
    assert signing is not None, "a secret key signs for every tenant"
    served = ToolEndpoint(
        Verifier({plan.tenant.id: signing}),
        idempotent=plan.endpoint.idempotent,
        answer=_book,
        works_s=plan.endpoint.works_s,
        clock=lambda: WEDNESDAY.timestamp() + trio.current_time(),
    )
    served.script(plan.endpoint.moods)
    async with trio.open_nursery() as nursery:
        url = _nowhere() if plan.endpoint.port_closed else await nursery.start(served.serve)
        where = Endpoint(url=f"{url}/book", idempotent=plan.endpoint.idempotent)
        tools = [
            tool.model_copy(update={"endpoint": where}) if tool.name == "book_appointment" else tool
            for tool in plan.tenant.tools
        ]
        yield served, plan.tenant.model_copy(update={"tools": tuple(tools)})
        nursery.cancel_scope.cancel()


def _nowhere() -> str:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}/tools"


def _book(request: ToolRequest) -> dict[str, object]:
    return {"status": "ok", "message": f"Booked for {request.arguments['name']}, Monday at ten."}


async def _settle(
    world: World, watch: TaskWatch, sockets: int, kept: Kept, clock: trio.testing.MockClock
) -> tuple[str, ...]:
    """Wait until the call has left nothing, as long as anything of it may take; what is left then."""
    with trio.move_on_after(SETTLE_S):
        while watch.of_calls() or not kept.store.ends:  # noqa: ASYNC110 - nobody tells when the last task has ended
            await trio.sleep(0.1)
    left = [f"task {name}" for name in watch.of_calls()]
    for _ in range(KERNEL_TRIES):
        if open_sockets() <= sockets + KEPT_ALIVE:
            break
        await trio.sleep(2 * KEEP_ALIVE_S / KERNEL_TRIES)  # hypercorn may keep a connection that ended under it so long
        clock.autojump_threshold = inf  # the kernel is waited for, not the clock
        await trio.to_thread.run_sync(time.sleep, 0.005)
        clock.autojump_threshold = 0
    if (more := open_sockets() - sockets - KEPT_ALIVE) > 0:
        left.append(f"{more} sockets")
    if (members := world.composed.gateway.plane.statistics().members) > 0:
        left.append(f"{members} lines on the media plane")
    if (live := world.composed.switchboard.statistics().calls_now) > 0:
        left.append(f"{live} calls at the switchboard")
    return tuple(left)


def _faults(
    world: World, report: PhoneReport, endpoint: ToolEndpoint | None, backup: SimGemini | None
) -> tuple[str, ...]:
    models = [world.model, world.ear, *(() if backup is None else (backup,))]
    found = [f"carrier: {entry.code} {entry.detail}" for entry in report.protocol_faults]
    found += [f"model: {fault.code} {fault.reason}" for model in models for fault in model.protocol_faults]
    found += [f"endpoint: {fault}" for fault in (endpoint.faults if endpoint else ())]
    found += [f"never acted: {rule.mood}" for rule in world.model.moods.left if rule.connection == 1]
    crashes = Metrics.total(world.composed.gateway.metrics.crashes)
    return (*found, f"{crashes:.0f} crashes") if crashes else tuple(found)
