"""``frontdesk backoffice``: the REST API and the pages, in a process of their own, until a signal ends it.

``serve --with-backoffice`` runs the same as a child beside the gateway, for one machine.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from subprocess import PIPE

import click
import trio
from pydantic import SecretStr

from engine import log
from engine.backoffice.app import serve_backoffice
from engine.backoffice.biller import run_biller
from engine.backoffice.chores import run_chores
from engine.backoffice.office import open_office
from engine.backoffice.telling import run_webhooks
from engine.config import PREFIX, Settings
from engine.workers.service import kept_secret

PAUSES_S = (0.5, 2.0, 5.0, 15.0)  # before a child that ended is started again; the last repeats
STEADY_S = 60.0  # after so long it is no longer the same trouble
ENDING_S = 10.0  # politely; then killed
OPS_BIND = "127.0.0.1:9100"  # of worker 0, where nothing is set
LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - how to reach what listens everywhere
MISTAKE = 2  # a child that was set up wrongly has said so, and starting it again helps nobody

_logger = log.get_logger("commands.backoffice")


@click.command()
@click.option("--beside", "is_beside", is_flag=True, hidden=True, help="As a child: end when standard input does.")
def backoffice(*, is_beside: bool) -> None:
    """Serve the REST API and the pages until SIGTERM or SIGINT."""
    settings = Settings.read()
    log.configure(settings.log_level, pretty=log.for_people(settings.log_format))
    trio.run(_serve, settings, is_beside)


async def _serve(settings: Settings, is_beside: bool) -> None:  # noqa: FBT001 - trio.run gives no names
    shutdown = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch_signals, shutdown)
        if is_beside:
            nursery.start_soon(_watch_parent, shutdown)
        async with open_office(settings, waits=True) as office, trio.open_nursery() as chores:
            chores.start_soon(run_chores, office)
            chores.start_soon(run_webhooks, office)
            chores.start_soon(run_biller, office)
            await serve_backoffice(office, shutdown=shutdown)
            chores.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


async def _watch_signals(shutdown: trio.Event) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            _logger.info("asked to stop", signal=signal.Signals(number).name)
            if shutdown.is_set():
                raise KeyboardInterrupt
            shutdown.set()


def agreed(settings: Settings, workers: int) -> Settings:
    """Settings of a gateway with a back office beside it, with what both have to agree on.

    One secret, so that each knows what the other has signed; and where the workers' ops pages are, by which calls on
    the line are seen.
    """
    secret = settings.secret_key or SecretStr(kept_secret(settings.data_dir))
    ops_bind = settings.ops_bind or OPS_BIND
    told = settings.model_copy(update={"secret_key": secret, "ops_bind": ops_bind})
    if settings.gateways:
        return told
    host, _, port = ops_bind.rpartition(":")
    host = LOOPBACK.get(host, host)
    urls = [f"http://{host}:{int(port) + index}" for index in range(workers if int(port) else 0)]
    return told.model_copy(update={"gateways": ",".join(urls)})


async def _watch_parent(shutdown: trio.Event) -> None:
    """A parent that was killed closes our standard input all the same; its successor needs our port."""
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stdin:
        async for _ in stdin:
            pass
    _logger.info("the gateway beside us is gone")
    shutdown.set()


@asynccontextmanager
async def beside(settings: Settings) -> AsyncIterator[None]:
    """For as long as the block a back office runs as a child of this process, started again when it ends.

    Args:
        settings: as ``agreed``.
    """
    assert settings.secret_key is not None, "agreed() has seen to that"
    told = {f"{PREFIX}SECRET_KEY": settings.secret_key.get_secret_value(), f"{PREFIX}GATEWAYS": settings.gateways}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_keep, {**os.environ, **told})
        yield
        nursery.cancel_scope.cancel()


async def _keep(environment: Mapping[str, str]) -> None:
    failed = 0
    while True:
        began = trio.current_time()
        status = await _run(environment)
        if status == MISTAKE:
            _logger.error("the back office cannot be started as it is set up; calls are served without it")
            return
        failed = 0 if trio.current_time() - began > STEADY_S else failed + 1
        pause_s = PAUSES_S[min(failed, len(PAUSES_S) - 1)]
        _logger.error("the back office ended; starting it again", status=status, pause_s=pause_s)
        await trio.sleep(pause_s)


async def _run(environment: Mapping[str, str]) -> int:
    """One child from start to end; it is ended where we are cancelled."""
    command = (sys.executable, "-m", "engine", "backoffice", "--beside")
    # Signals of a terminal reach the whole group; ours is the one that the child is to hear, after the calls.
    process = await trio.lowlevel.open_process(command, env=environment, stdin=PIPE, start_new_session=True)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            with trio.move_on_after(ENDING_S, shield=True):
                await process.wait()
        if process.returncode is None:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
