"""PostgreSQL stopped and started under those who keep things: everything is there, once."""

import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from engine.errors import StoreUnavailable
from engine.store.database import Database, DatabaseConfig, open_database
from engine.store.embedded import EmbeddedServer
from engine.store.pghome import Home, environment, helper
from engine.store.postgres_store import PostgresStore
from engine.store.spool import SpooledStore
from tests.postgres.conftest import copied
from tests.store.suites.records import a_follow_up, a_usage, an_end


@pytest.fixture(scope="module")
def server(made: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return copied(made, tmp_path_factory.mktemp("apart"))


@pytest.fixture
async def external(server: Home) -> AsyncIterator[Database]:
    """A database whose server this test stops and starts; nobody brings it back behind our back."""
    with EmbeddedServer(server):
        pass  # which makes the database
    control(server, "start")
    url = f"postgresql://postgres@/frontdesk?host={sockets(server)}"
    try:
        async with open_database(DatabaseConfig(url, Path("unused"))) as opened:
            yield opened
    finally:
        control(server, "stop")


def sockets(home: Home) -> Path:
    """A short way to where its socket is: that of a test among several processes may be too long for one."""
    short = Path(tempfile.gettempdir()) / f"frontdesk-test-{zlib.crc32(os.fsencode(home.cluster)):08x}"
    if not short.is_symlink():
        short.symlink_to(home.cluster)
    return short


def control(home: Home, verb: str) -> None:
    """``pg_ctl``, as whom the server runs."""
    options = ["-o", f"-c listen_addresses= -k {sockets(home)}"] if verb == "start" else ["-m", "fast"]
    command = [home.program("pg_ctl"), verb, "-w", "-D", str(home.cluster), "-l", str(home.log), *options]
    subprocess.run(
        helper("as", home.identity, "--", *command),
        check=True,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd=home.directory,
    )
    if verb == "stop":
        sockets(home).unlink()


async def test_everything_is_there_once_after_an_outage(external: Database, server: Home, tmp_path: Path) -> None:
    inner = PostgresStore(external)
    store = SpooledStore(inner, tmp_path / "spool")
    sids = [f"CA{n}" for n in range(30)]

    async def keep(sid: str) -> None:
        await store.keep_call(an_end(call_sid=sid, messages=2))
        await store.keep_follow_up(a_follow_up(key=f"task-{sid}"))
        await store.keep_usage(a_usage(call_sid=sid))

    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        for sid in sids[:10]:
            await keep(sid)
        assert store.statistics().spooled == 0
        await trio.to_thread.run_sync(control, server, "stop")
        for sid in sids[10:20]:
            with trio.fail_after(10):
                await keep(sid)
        assert store.statistics().spooled == 30
        with pytest.raises(StoreUnavailable):
            await store.calls("acme")
        await trio.to_thread.run_sync(control, server, "start")
        for sid in sids[20:]:
            await keep(sid)
        with trio.fail_after(20):
            while store.statistics().waiting:
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    assert [end.call_sid for end in await inner.calls("acme")] == sids
    assert (await inner.calls("acme"))[15] == an_end(call_sid="CA15", messages=2)
    assert [item.key for item in await inner.follow_ups("acme")] == [f"task-{sid}" for sid in sids]
    assert [record.call_sid for record in await inner.usage("acme")] == sids
    assert list((tmp_path / "spool").iterdir()) == []


REPLAYER = """
import os, signal, sys, trio
from pathlib import Path
from engine.store.database import DatabaseConfig, open_database
from engine.store.postgres_store import PostgresStore
from engine.store import spool
def die(path):
    os.kill(os.getpid(), signal.SIGKILL)
spool._unlink = die  # between the insertion and the unlinking
async def main():
    async with open_database(DatabaseConfig(sys.argv[1], Path("unused"))) as database:
        await spool.SpooledStore(PostgresStore(database), Path(sys.argv[2])).replay()
trio.run(main)
"""


class Away(PostgresStore):
    """A database that is away."""

    def __init__(self) -> None:
        """Without one."""

    async def keep_call(self, end: object) -> bool:
        raise StoreUnavailable("away")


async def test_a_process_killed_between_keeping_and_forgetting_duplicates_nothing(
    database: Database, url: str, tmp_path: Path
) -> None:
    spooled = SpooledStore(Away(), tmp_path)
    for number in range(3):
        await spooled.keep_call(an_end(call_sid=f"CA{number}", messages=1))
    command = [sys.executable, "-c", REPLAYER, url, str(tmp_path)]
    for _ in range(2):
        died = await trio.run_process(command, check=False)
        assert died.returncode == -9
    inner = PostgresStore(database)
    assert [end.call_sid for end in await inner.calls("acme")] == ["CA0"]
    assert len(os.listdir(tmp_path)) == 3
    assert await SpooledStore(inner, tmp_path).replay() == 3
    assert [end.call_sid for end in await inner.calls("acme")] == ["CA0", "CA1", "CA2"]
    assert os.listdir(tmp_path) == []
