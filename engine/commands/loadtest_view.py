"""What ``frontdesk loadtest`` shows at the terminal: while it runs, and in the end."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from engine.loadtest.plan import Plan
from engine.loadtest.series import Sample, Seen


def progress(plan: Plan, sample: Sample, seen: Seen) -> Table:
    """While it runs."""
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


def summary(console: Console, report: dict[str, Any], out: Path) -> None:
    """In the end; ``out``: where the report lies."""
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
    if (generator := load["generator"]) is not None:
        console.print(
            f"beside it: callers {generator['callers_cores']:.2f} cores, "
            f"model {generator['peers_cores']:.2f}, database {generator['database_cores']:.2f}; "
            f"checks: {load['checks']['callers']}"
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
