"""``frontdesk serve --workers N``: what the parent has and hands down, and the signals that it answers to.

    the listening socket ......... opened once; lives as long as the service
    └─ the embedded PostgreSQL ... ours to hold: it ends with its last user, and that must not be a worker
       └─ Supervisor ............. SIGTERM, SIGINT: end (again: now). SIGHUP: replace every worker.

Workers attach to the database by themselves, as any process does: so each of them can also bring it back up.
"""

import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from engine.config import PREFIX, Settings
from engine.errors import StoreUnavailable
from engine.log import get_logger
from engine.server.app import listen
from engine.store.embedded import EmbeddedServer
from engine.store.pghome import find_home
from engine.workers.child import Launch
from engine.workers.link import Order
from engine.workers.post import Station
from engine.workers.pulse import Patience
from engine.workers.supervisor import MISTAKE, Supervisor

MOVING_S = 20.0  # on top of the drain: what is left is moved, and written down
INTERRUPTED = 130

log = get_logger("workers.service")


async def run_service(settings: Settings, *, count: int, tenants: Path | None) -> int:
    """Serve until a signal ends it; the exit status.

    Args:
        tenants: documents to import first.

    Raises:
        ConfigurationError: the address or the data directory cannot be used.
    """
    with listen(settings.bind) as sock:
        handle, common = sock.fileno(), _environment(settings)

        def environment(name: str) -> Mapping[str, str]:
            return {**common, f"{PREFIX}WORKER_ID": name, **_ops_bind(settings, name)}

        def worker(_: str, link: int, stacks: int) -> Sequence[str]:
            # Once somebody has served, the documents are in: a later worker must not undo what was changed since.
            documents = () if tenants is None or supervisor.ever_ready else ("--tenants", str(tenants))
            return (
                sys.executable,
                "-m",
                "engine",
                "serve",
                *documents,
                "--station",
                str(Station(link, stacks, handle)),
            )

        def stand_in(_: str, link: int, stacks: int) -> Sequence[str]:
            return (sys.executable, "-m", "engine.workers.stand_in", str(Station(link, stacks, handle)))

        supervisor = Supervisor(
            count=count,
            worker=Launch(worker, environment, (handle,)),
            stand_in=Launch(stand_in, environment, (handle,)),
            patience=Patience(leave_s=settings.drain_s + MOVING_S),
        )
        host, port = sock.getsockname()[:2]
        log.info("listening", host=host, port=port, workers=count, pid=os.getpid())
        impatient = False
        async with trio.open_nursery() as nursery:

            def hurry() -> None:
                nonlocal impatient
                impatient = True

            nursery.start_soon(_watch_signals, supervisor, hurry)
            async with _database(settings):
                await supervisor.run()
            nursery.cancel_scope.cancel()
    log.info("service ended")
    return MISTAKE if supervisor.mistaken else INTERRUPTED if impatient else 0


async def _watch_signals(supervisor: Supervisor, hurry: Callable[[], None]) -> None:
    asked = False
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async for number in signals:
            log.info("signal", signal=signal.Signals(number).name)
            if number == signal.SIGHUP:
                supervisor.roll()
                continue
            supervisor.stop(Order.NOW if asked else Order.END)
            if asked:
                hurry()
            asked = True


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[None]:
    """Be a user of the embedded database, if that is the one; without it, the workers know what to do."""
    if settings.database_url is not None:
        yield
        return
    server = EmbeddedServer(find_home(settings.data_dir / "postgres"))
    held = False
    try:
        await trio.to_thread.run_sync(server.__enter__)
        held = True
    except StoreUnavailable as error:
        log.error("the embedded database does not start; the workers go on trying", detail=str(error))
    try:
        yield
    finally:
        if held:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(server.__exit__, None, None, None)


def _environment(settings: Settings) -> Mapping[str, str]:
    """What all workers share: our own environment, and one secret, so that each knows the others' tokens."""
    secret = settings.secret_key.get_secret_value() if settings.secret_key else kept_secret(settings.data_dir)
    return {**os.environ, f"{PREFIX}SECRET_KEY": secret}


def _ops_bind(settings: Settings, name: str) -> Mapping[str, str]:
    """Worker 0 at the port itself, the others behind it; the stand-in has nothing to tell."""
    if settings.ops_bind is None or not name.startswith("worker-"):
        return {f"{PREFIX}OPS_BIND": ""}
    host, _, port = settings.ops_bind.rpartition(":")
    index = int(name.removeprefix("worker-").split(".")[0])
    return {f"{PREFIX}OPS_BIND": f"{host}:{int(port) + index if int(port) else 0}"}


def kept_secret(data_dir: Path) -> str:
    """This data directory's own secret, made when it is first asked for: tokens outlive a restart of the service."""
    path = data_dir / "secret_key"
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text("ascii").strip()
    with open(handle, "w", encoding="ascii") as file:
        file.write(secret := secrets.token_hex(32))
    return secret
