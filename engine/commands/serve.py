"""``frontdesk serve``: the gateway, until a signal asks it to drain; by itself, or as workers on one port."""

import signal
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import click
import trio

from engine import log
from engine.config import Settings
from engine.server.app import serve_gateway
from engine.server.compose import open_gateway
from engine.server.keeping import Keeping, keep_in_memory, keep_in_postgres
from engine.server.models import model_names
from engine.tenants import examples
from engine.tenants.directory import MemoryDirectory
from engine.tenants.documents import read_tenants
from engine.tenants.tenant import Tenant
from engine.workers.post import Station
from engine.workers.service import run_service
from engine.workers.worker import settle_memory, work

_logger = log.get_logger("commands.serve")


def load_tenants(path: Path | None) -> list[Tenant]:
    """The tenants of a file or directory; without one, the example that ships with the product."""
    return read_tenants(path) if path is not None else [examples.load("harbor-dental")]


@click.command()
@click.option(
    "--tenants",
    type=click.Path(exists=True, path_type=Path),
    help="Import this tenant document first, or a directory of them (YAML or JSON).",
)
@click.option("--memory", is_flag=True, help="Without a database: knowledge by words, nothing kept but call files.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="So many processes, under one that restarts them, replaces them on SIGHUP, and outlives their kill -9.",
)
@click.option("--station", type=Station.parse, hidden=True, help="For a worker: what its supervisor has given it.")
def serve(*, tenants: Path | None, memory: bool, workers: int | None, station: Station | None) -> None:
    """Answer calls until SIGTERM or SIGINT, then drain: live calls go on, new ones get the static script."""
    settings = Settings.read()
    log.configure(settings.log_level, pretty=sys.stderr.isatty())
    documents = read_tenants(tenants) if tenants is not None else []
    if workers is not None:
        if memory:
            raise click.UsageError("--workers need a database: a call that loses its worker is found again there")
        sys.exit(trio.run(lambda: run_service(settings, count=workers, tenants=tenants)))
    if memory:
        keeping = keep_in_memory(documents or load_tenants(None), settings.data_dir / "calls")
    else:
        keeping = keep_in_postgres(settings, documents)
    if station is not None:
        log.bind_call(worker=settings.worker_id)
        trio.run(work, settings, station, keeping)
    else:
        trio.run(_serve, settings, keeping)


async def _serve(settings: Settings, keeping: AbstractAsyncContextManager[Keeping]) -> None:
    shutdown = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch_signals, shutdown)
        async with keeping as kept, open_gateway(settings, kept) as composed:
            settle_memory()
            await serve_gateway(composed.gateway, shutdown=shutdown)
        nursery.cancel_scope.cancel()


async def _watch_signals(shutdown: trio.Event) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            _logger.info("asked to stop", signal=signal.Signals(number).name)
            if shutdown.is_set():
                raise KeyboardInterrupt  # asked twice: the operator does not want to wait for the drain
            shutdown.set()


@click.command("check-config")
@click.option("--tenants", type=click.Path(exists=True, path_type=Path), help="As for serve.")
def check_config(*, tenants: Path | None) -> None:
    """Say whether the settings and tenant documents can be used, without starting anything."""
    settings = Settings.read()
    known = load_tenants(tenants)
    MemoryDirectory(known)  # refuses a number that two of them claim
    for tenant in known:
        click.echo(f"tenant {tenant.id}: {', '.join(tenant.numbers) or 'no number'}")
    for name, value in settings.model_dump(mode="json").items():
        if value is not None:
            click.echo(f"FRONTDESK_{name.upper()}={value}")
    if settings.twilio_auth_token is None:
        click.echo("no FRONTDESK_TWILIO_AUTH_TOKEN: every request of the carrier will be refused", err=True)
    if models := model_names(settings):
        click.echo(f"models: {', '.join(models)}")
    else:
        none = "no key of a model (FRONTDESK_GEMINI_API_KEY, FRONTDESK_OPENAI_API_KEY) and no local one"
        click.echo(f"{none}: every call will be served by the script alone", err=True)
