"""``frontdesk loadtest``: synthetic callers against a gateway of one's own, or against any deployment."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import orjson
import trio
from rich.console import Console
from rich.live import Live

from engine.commands.loadtest_view import progress, summary
from engine.config import Settings
from engine.errors import ConfigurationError
from engine.loadtest.capacity import Tried, find_capacity
from engine.loadtest.gateway import Options, tenant
from engine.loadtest.page import write_page
from engine.loadtest.plan import Checks, Embeddings, Faults, Plan, Scenario, Target, Tools
from engine.loadtest.report import report_of
from engine.loadtest.run import run_load
from engine.sim.world import ACCOUNT_SID

PREPARING = "preparing: rendering what callers say, starting what is needed ..."


@click.command()
@click.option("--calls", type=click.IntRange(1, 5000), default=20, show_default=True, help="On the line at once.")
@click.option("--ramp", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Seconds until all are.")
@click.option("--duration", type=click.FloatRange(7), default=30.0, show_default=True, help="Seconds that they are.")
@click.option("--call-seconds", type=click.FloatRange(8), default=30.0, show_default=True, help="A call's mean length.")
@click.option("--scenario", type=click.Choice(get_args(Scenario)), default="questions", show_default=True)
@click.option(
    "--model-latency", type=click.IntRange(0), default=250, show_default=True, help="Of the simulated model, ms."
)
@click.option(
    "--model-pace", type=click.FloatRange(1), default=3.0, show_default=True, help="Times real time it sends at."
)
@click.option("--faults", type=click.Choice(get_args(Faults)), default="none", show_default=True, help="Of the model.")
@click.option("--jitter", type=click.FloatRange(0), default=0.0, show_default=True, help="Of the network, ms.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--generators", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes of callers.")
@click.option(
    "--checks",
    type=click.Choice(get_args(Checks)),
    default="light",
    show_default=True,
    help="Strict: callers and model look at everything that comes, and so bear fewer calls.",
)
@click.option("--workers", type=click.IntRange(1, 64), help="Of our own gateway.")
@click.option("--memory", is_flag=True, help="Our own gateway without a database.")
@click.option("--window-ms", type=int, help="Of the caller's sound, to the model; of our own gateway's tenant.")
@click.option("--lead-ms", type=int, help="Of the agent's sound, at the carrier; of our own gateway's tenant.")
@click.option(
    "--tools",
    type=click.Choice(get_args(Tools)),
    default="offered",
    show_default=True,
    help="Used: in every fourth answer.",
)
@click.option("--listener/--no-listener", default=True, show_default=True, help="A transcribe stream for each call.")
@click.option(
    "--retrieval/--no-retrieval", default=True, show_default=True, help="Without: no listener, no query text."
)
@click.option("--embeddings", type=click.Choice(get_args(Embeddings)), default="simulated", show_default=True)
@click.option("--find-capacity", is_flag=True, help="Search the most calls, up to --calls, at which quality holds.")
@click.option("--url", help="A deployment's voice webhook: https://host/twilio/voice. Without: ours, started for this.")
@click.option("--called", default="+15550100100", show_default=True, help="With --url: the number to call.")
@click.option("--account-sid", default=ACCOUNT_SID, help="With --url: of the account that it serves.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("loadtest-out"), show_default=True
)
def loadtest(**given: Any) -> None:
    """Place synthetic calls and measure, at the caller's ear, how the gateway bears it. Needs no key.

    Leaves report.json and report.html in the --out directory. With --url the account's auth token is read from
    FRONTDESK_TWILIO_AUTH_TOKEN, for signatures. Exit status 1 where quality did not hold.
    """
    plan = Plan(
        calls=given["calls"],
        ramp_s=given["ramp"],
        duration_s=given["duration"],
        call_s=given["call_seconds"],
        scenario=given["scenario"],
        think_ms=given["model_latency"],
        pace=given["model_pace"],
        faults=given["faults"],
        jitter_ms=given["jitter"],
        seed=given["seed"],
        generators=given["generators"],
        checks=given["checks"],
        workers=given["workers"],
        memory=given["memory"],
        window_ms=given["window_ms"],
        lead_ms=given["lead_ms"],
        tools=given["tools"],
        listener=given["listener"],
        retrieval=given["retrieval"],
        embeddings=given["embeddings"],
    )
    target = None if given["url"] is None else _target(given["url"], given["called"], given["account_sid"])
    console = Console(stderr=given["as_json"], quiet=given["as_json"], highlight=False)
    if target is None:
        tenant(plan)  # what no tenant may have is refused here, not when all has been started
    options = _cores()
    with _data_dir() as data_dir:
        if given["find_capacity"]:
            report = trio.run(_find, plan, options, target, data_dir, console)
        else:
            report = trio.run(_once, plan, options, target, data_dir, console, None)
    out: Path = given["out"]
    out.mkdir(parents=True, exist_ok=True)
    text = orjson.dumps(report, option=orjson.OPT_INDENT_2)
    (out / "report.json").write_bytes(text + b"\n")
    write_page(report, out / "report.html")
    if given["as_json"]:
        sys.stdout.write(text.decode() + "\n")
    else:
        summary(console, report, out)
    sys.exit(0 if report["load"]["held"] else 1)


def _target(url: str, called: str, account_sid: str) -> Target:
    origin, slash, path = url.partition("/twilio/")
    if not slash or not origin.startswith(("http://", "https://")):
        raise ConfigurationError(f"--url must be a voice webhook such as https://host/twilio/voice, not {url!r}")
    token = Settings.read().twilio_auth_token
    if token is None:
        raise ConfigurationError("set FRONTDESK_TWILIO_AUTH_TOKEN to the deployment's: webhooks are signed with it")
    return Target(
        url=origin,
        account_sid=account_sid,
        auth_token=token.get_secret_value(),
        called=called,
        voice_path=f"/twilio/{path}",
    )


def _cores() -> Options:
    """The gateway on the first core and everything else on the others, where there are others."""
    known = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return Options(server_cores=(known[0],), other_cores=tuple(known[1:])) if len(known) > 1 else Options()


@contextmanager
def _data_dir() -> Iterator[Path]:
    """A fresh one for every test, so that none finds what another left; but what was rendered is kept."""
    voice = (Settings.read().data_dir / "voice").absolute()
    voice.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="frontdesk-loadtest-") as folder:
        (Path(folder) / "voice").symlink_to(voice)
        yield Path(folder)


async def _once(
    plan: Plan, options: Options, target: Target | None, data_dir: Path, console: Console, unloaded: float | None
) -> dict[str, Any]:
    with Live(PREPARING, console=console, transient=True, refresh_per_second=2) as live:
        outcome = await run_load(
            plan,
            options=options,
            target=target,
            data_dir=data_dir,
            on_sample=lambda sample, seen: live.update(progress(plan, sample, seen)),
        )
    return report_of(outcome, unloaded_p99_ms=unloaded)


async def _find(
    plan: Plan, options: Options, target: Target | None, data_dir: Path, console: Console
) -> dict[str, Any]:
    async def run(calls: int, unloaded: float | None) -> dict[str, Any]:
        ramp_s = max(plan.ramp_s, calls / 25)  # a real morning's rush is no faster
        return await _once(
            msgspec.structs.replace(plan, calls=calls, ramp_s=ramp_s), options, target, data_dir, console, unloaded
        )

    def told(tried: Tried) -> None:
        said = "held" if tried.held else "; ".join(tried.report["load"]["failures"])
        console.print(f"{tried.calls:>5} calls: {said}")

    found = await find_capacity(run, most=plan.calls, on_tried=told)
    held = [one for one in found.tried if one.held]
    best = max(held, key=lambda one: one.calls) if held else found.tried[-1]
    return best.report | {
        "capacity": {
            "calls": found.calls,
            "limited_by": found.limited_by,
            "tried": [
                {
                    "calls": one.calls,
                    "held": one.held,
                    "failures": one.report["load"]["failures"],
                    "limited_by": one.report["limited_by"],
                    "server_cores": one.report["server"]["cores"],
                    "response_ms": one.report["response_ms"],
                    "added_ms": one.report["added_ms"],
                }
                for one in found.tried
            ],
        }
    }
