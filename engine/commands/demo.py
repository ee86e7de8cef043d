"""``frontdesk demo``: one call on this machine, without a key, that a newcomer can watch, hear and read."""

import sys
from pathlib import Path

import click
import orjson
import trio
from rich.console import Console

from engine import log
from engine.audio.wav import write_stereo
from engine.commands.demo_view import DemoView
from engine.config import Settings
from engine.sim.showcase import Shown, run_showcase
from engine.tenants import examples

TENANT = "harbor-dental"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-out"), show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of all the simulators' dice.")
def demo(*, as_json: bool, out: Path, seed: int) -> None:
    """Place one call to an example business: asked, answered, cut off, rescued, booked.

    Leaves call.wav (caller left, agent right), transcript.txt and report.json in the --out directory. Ends by itself;
    exit status 0 only if the call did all it should.
    """
    log.configure("ERROR", pretty=not as_json)
    settings = Settings.read()
    tenant = examples.load(TENANT)
    console = Console(stderr=as_json, quiet=as_json, highlight=False)
    view = DemoView(console, tenant)
    view.begin()
    out.mkdir(parents=True, exist_ok=True)

    async def run() -> Shown:
        return await run_showcase(tenant=tenant, data_dir=settings.data_dir / "demo", seed=seed, observe=view.show)

    shown = trio.run(run)
    write_stereo(out / "call.wav", shown.phone.left, shown.phone.right)
    transcript = shown.end.document["transcript"] if shown.end else []
    (out / "transcript.txt").write_text("".join(f"{line['role']:>6}  {line['text']}\n" for line in transcript), "utf-8")
    report = orjson.dumps(shown.report, option=orjson.OPT_INDENT_2)
    (out / "report.json").write_bytes(report + b"\n")
    if as_json:
        sys.stdout.write(report.decode() + "\n")
        for failure in shown.failures:
            click.echo(f"demo: {failure}", err=True)
    else:
        view.end(shown, out)
    sys.exit(1 if shown.failures else 0)
