"""``frontdesk loadtest``: synthetic callers against a gateway of one's own, or against any deployment."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import orjson
import trio
from rich.console import Console
from rich.live import Live
from rich.table import Table

from engine.config import Settings
from engine.errors import ConfigurationError
from engine.loadtest.capacity import Tried, find_capacity
from engine.loadtest.gateway import Options
from engine.loadtest.page import write_page
from engine.loadtest.plan import Faults, Plan, Scenario, Target
from engine.loadtest.report import report_of
from engine.loadtest.run import run_load
from engine.loadtest.series import Sample, Seen
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
@click.option("--workers", type=click.IntRange(1, 64), help="Of our own gateway.")
@click.option("--memory", is_flag=True, help="Our own gateway without a database.")
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
    )
    target = None if given["url"] is None else _target(given["url"], given["called"], given["account_sid"])
    console = Console(stderr=given["as_json"], quiet=given["as_json"], highlight=False)
    options = replace(_cores(), workers=given["workers"], memory=given["memory"])
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
        _summary(console, report, out)
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
            on_sample=lambda sample, seen: live.update(_progress(plan, sample, seen)),
        )
    return report_of(outcome, workers=options.workers or 1, unloaded_p99_ms=unloaded)


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
                {"calls": one.calls, "held": one.held, "failures": one.report["load"]["failures"]}
                for one in found.tried
            ],
        }
    }


def _progress(plan: Plan, sample: Sample, seen: Seen) -> Table:
    responses = seen.responses
    table = Table.grid(padding=(0, 2))
    left = max(0.0, plan.ramp_s + plan.duration_s - sample.at_s)
    table.add_row("calls up", f"{sample.up} of {plan.calls}", "ended", str(sample.ended), "left", f"{left:.0f} s")
    table.add_row(
        "response p50 / p99",
        "-" if responses is None else f"{responses.p50:.0f} / {responses.p99:.0f} ms",
        "underruns",
        str(seen.underruns),
        "dropped",
        str(seen.dropped),
    )
    table.add_row(
        "server",
        "-" if sample.server_cores is None else f"{100 * sample.server_cores:.0f} % of a core",
        "late",
        "-" if sample.plane_late_ms is None else f"{sample.plane_late_ms:.1f} ms",
        "generator",
        f"{100 * sample.generator_cores:.0f} %, {sample.generator_late_ms:.0f} ms late",
    )
    return table


def _summary(console: Console, report: dict[str, Any], out: Path) -> None:
    load, server, calls = report["load"], report["server"], report["calls"]
    table = Table(show_header=True, header_style="bold")
    for head in ("ms", "p50", "p95", "p99", "max"):
        table.add_column(head, justify="left" if head == "ms" else "right")
    for name in ("response_ms", "added_ms", "setup_ms", "barge_in_ms", "longest_silence_ms", "lateness_ms"):
        if (spread := report[name]) is not None:
            shares = (f"{spread[share]:.0f}" for share in ("p50", "p95", "p99", "max"))
            table.add_row(name.removesuffix("_ms").replace("_", " "), *shares)
    console.print(table)
    console.print(
        f"{calls['placed']} calls, {calls['dropped']} dropped, {load['turns_answered']} answers, "
        f"{load['calls_with_underruns']} calls with gaps"
    )
    if server["cpu_ms_per_call_second"] is not None:
        console.print(
            f"server: {server['cores']:.2f} cores, "
            f"{server['cpu_ms_per_call_second']:.2f} ms of CPU per second of a call, "
            f"{server['memory_mib_per_call']:.2f} MiB per call"
        )
    if (found := report.get("capacity")) is not None:
        console.print(f"[bold]{found['calls']} calls[/] at once held; above, limited by: {found['limited_by']}")
    elif load["held"]:
        console.print("[bold green]quality held[/]")
    else:
        console.print(f"[bold red]quality did not hold[/]: {'; '.join(load['failures'])}")
    if report["limited_by"] == "generator":
        console.print("the generator was the limit, not the server: more --generators, or another machine")
    console.print(f"report: {out / 'report.html'}, {out / 'report.json'}")
