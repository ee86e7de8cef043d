"""``frontdesk serve``: the gateway, until a signal asks it to drain; by itself, or as workers on one port."""

import signal
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import click
import trio

from engine import log
from engine.backoffice.biller import biller_of
from engine.commands.backoffice import agreed, beside
from engine.config import Settings
from engine.errors import ConfigurationError
from engine.server.app import serve_gateway
from engine.server.call_recordings import NO_KEY, cannot_record
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
@click.option("--with-backoffice", is_flag=True, help="And the back office beside it (REST API, pages), as a child.")
@click.option("--station", type=Station.parse, hidden=True, help="For a worker: what its supervisor has given it.")
def serve(
    *, tenants: Path | None, memory: bool, workers: int | None, with_backoffice: bool, station: Station | None
) -> None:
    """Answer calls until SIGTERM or SIGINT, then drain: live calls go on, new ones get the static script."""
    settings = Settings.read()
    log.configure(settings.log_level, pretty=log.for_people(settings.log_format))
    documents = read_tenants(tenants) if tenants is not None else []
    if memory and (workers is not None or with_backoffice):
        who = "a call that loses its worker is found again" if workers is not None else "the back office looks"
        raise click.UsageError(f"--workers and --with-backoffice need a database: {who} there")
    if with_backoffice:
        settings = agreed(settings, workers or 1)
    if workers is not None:
        sys.exit(trio.run(_run_service, settings, workers, tenants, with_backoffice))
    if memory:
        keeping = keep_in_memory(documents or load_tenants(None), settings.data_dir / "calls")
    else:
        keeping = keep_in_postgres(settings, documents)
    if station is not None:
        log.bind_call(worker=settings.worker_id)
        trio.run(work, settings, station, keeping)
    else:
        trio.run(_serve, settings, keeping, with_backoffice)


async def _run_service(settings: Settings, count: int, tenants: Path | None, with_backoffice: bool) -> int:  # noqa: FBT001
    async with beside(settings) if with_backoffice else nullcontext():
        return await run_service(settings, count=count, tenants=tenants)


async def _serve(
    settings: Settings,
    keeping: AbstractAsyncContextManager[Keeping],
    with_backoffice: bool,  # noqa: FBT001 - trio.run gives no names
) -> None:
    shutdown = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch_signals, shutdown)
        async with (
            keeping as kept,
            open_gateway(settings, kept) as composed,
            beside(settings) if with_backoffice else nullcontext(),
        ):
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
    if refused := cannot_record(settings, known):
        raise ConfigurationError(f"tenant {', '.join(refused)}: {NO_KEY}")
    biller_of(settings)
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
