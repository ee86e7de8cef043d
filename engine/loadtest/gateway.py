"""The gateway under test: ours, started with everything it needs simulated, or somebody's, wherever it is."""

import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import trio
from pydantic import ValidationError

from engine.errors import ConfigurationError
from engine.loadtest.plan import Plan, Target
from engine.loadtest.processes import ONE_THREAD, database_of, family, module, pin
from engine.loadtest.wire import PeersUp
from engine.sim.serving import environment, free_ports
from engine.sim.world import ACCOUNT_SID, API_KEY, AUTH_TOKEN
from engine.tenants import examples
from engine.tenants.tenant import Tenant

STARTING_S = 180.0  # a first start makes a database and renders every prompt
ENDING_S = 20.0
TENANT = "harbor-dental"
SPARE_CALLS = 50


@dataclass(frozen=True, slots=True)
class Started:
    """A gateway of ours.

    Attributes:
        health_urls: of each worker.
        server: its processes; ``database``: those that it started for its database.
    """

    target: Target
    health_urls: tuple[str, ...]
    server: Sequence[psutil.Process]
    database: Sequence[psutil.Process]


@dataclass(frozen=True, slots=True)
class Options:
    """How our own gateway is started.

    Attributes:
        server_cores, other_cores: where what runs; empty: anywhere.
        settings: more of them, or others.
    """

    server_cores: tuple[int, ...] = ()
    other_cores: tuple[int, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


@asynccontextmanager
async def start_gateway(
    plan: Plan, options: Options, peers: PeersUp, rest_url: str, data_dir: Path
) -> AsyncIterator[Started]:
    """``frontdesk serve``, as shipped, on a free port; ended with the block.

    Raises:
        ConfigurationError: it did not come up; says what it logged last.
    """
    document = tenant(plan)
    tenant_file = data_dir / "tenant.json"
    tenant_file.write_text(document.model_dump_json(by_alias=True), "utf-8")
    port, *ops = free_ports(1 + (plan.workers or 0))
    url = f"http://127.0.0.1:{port}"
    settings = {
        "bind": f"127.0.0.1:{port}",
        "public_url": url,
        "data_dir": str(data_dir),
        "max_calls": str(plan.calls + SPARE_CALLS),
        "log_level": "WARNING",
        "drain_s": "1",
        "twilio_account_sid": ACCOUNT_SID,
        "twilio_auth_token": AUTH_TOKEN,
        "twilio_api_url": rest_url,
        "gemini_api_key": API_KEY,
        "gemini_url": peers.model_url,
        "gemini_transcribe_url": peers.transcribe_url,
        "gemini_transcribe_model": "gemini-3.5-transcribe-live" if plan.listener and plan.retrieval else "off",
        "gemini_embed_url": peers.embed_url,
        "embeddings": "offline" if plan.embeddings == "offline" else "auto",
        "local_model": "false",
        **({"ops_bind": f"127.0.0.1:{ops[0]}"} if ops else {}),
        **dict(options.settings),
    }
    command = [*module("engine"), "serve", "--tenants", str(tenant_file)]
    command += ["--memory"] if plan.memory else []
    command += ["--workers", str(plan.workers)] if plan.workers else []
    log_path = data_dir / "serve.log"
    with log_path.open("wb") as log:
        process = await trio.lowlevel.open_process(
            command, env=environment(settings) | ONE_THREAD, stdout=log, stderr=log
        )
        try:
            pin([psutil.Process(process.pid)], options.server_cores)
            health = tuple(f"http://127.0.0.1:{one}/health" for one in ops) or (f"{url}/health",)
            await _wait_ready(process, health, log_path)
            server, database = family(process.pid), database_of(data_dir)
            pin([one for first in database for one in (first, *first.children())], options.other_cores)
            called = str(document.numbers[0])
            target = Target(url=url, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, called=called)
            yield Started(target, health, server, database)
        finally:
            with trio.CancelScope(shield=True):
                await _end(process)


def tenant(plan: Plan) -> Tenant:
    """The business that is called: an example's, without limits, and as the plan wants it.

    Raises:
        ConfigurationError: a window or a lead that no tenant may have.
    """
    document = examples.load(TENANT).model_dump(mode="json", by_alias=True)
    document["quotas"] |= {"concurrent_calls": 10_000, "calls_per_minute": None}
    wanted = {"window_ms": plan.window_ms, "lead_ms": plan.lead_ms}
    document["timing"] |= {name: value for name, value in wanted.items() if value is not None}
    if plan.tools == "off":
        document["tools"] = []
    try:
        return Tenant.model_validate(document)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigurationError(f"no tenant may have this: {said}") from None


async def _wait_ready(process: trio.Process, health: Sequence[str], log_path: Path) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        with trio.move_on_after(STARTING_S):
            for url in health:
                while not await _is_ready(http, f"{url}/ready"):
                    if process.poll() is not None:
                        raise ConfigurationError(f"the gateway did not start: {_last_words(log_path)}")
                    await trio.sleep(0.1)
            return
    raise ConfigurationError(f"the gateway was not ready within {STARTING_S:.0f} s: {_last_words(log_path)}")


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).status_code == 200
    except httpx.TransportError:
        return False


def _last_words(log_path: Path) -> str:
    lines = log_path.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1][-500:] if lines else "it said nothing"


async def _end(process: trio.Process) -> None:
    if process.poll() is not None:
        return
    for _ in range(2):  # the second: do not wait for calls that are still on the line
        process.send_signal(signal.SIGTERM)
        await trio.sleep(0.2)
    with trio.move_on_after(ENDING_S):
        await process.wait()
        return
    process.kill()
    await process.wait()
