"""The supervisor: what it starts, it shares, brings back and never leaves behind. Each test has a server of its own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from engine.errors import ConfigurationError, StoreUnavailable
from engine.store import pghome
from engine.store.database import DatabaseConfig, open_database
from engine.store.embedded import EmbeddedServer
from engine.store.pghome import Home, find_home
from engine.store.sql import Connection
from tests.postgres.conftest import copied

USER = """
import sys
from pathlib import Path
from engine.store.embedded import EmbeddedServer
from engine.store.pghome import find_home
with EmbeddedServer(find_home(Path(sys.argv[1]), durable=False)) as server:
    print(server.pid(), server.started, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    return copied(made, tmp_path / "postgres")


@contextmanager
def another_user(home: Home) -> Iterator[tuple["subprocess.Popen[str]", int, int]]:
    """A process that uses the server until its input ends: it, the postmaster's pid, and how often it started one."""
    command = [sys.executable, "-c", USER, str(home.directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid, started = process.stdout.readline().split()
        yield process, int(pid), int(started)
        process.kill()


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}


def soon(true: Callable[[], bool], within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def test_the_last_to_leave_waits_until_the_server_has_gone(home: Home) -> None:
    with EmbeddedServer(home) as first:
        pid = first.pid()
        assert pid is not None
        with EmbeddedServer(home) as second:
            assert (second.pid(), second.started, second.address) == (pid, 0, first.address)
        assert lives(pid)
    assert not lives(pid)
    assert "database system is shut down" in home.log.read_text("utf-8")


def test_another_process_attaches_to_the_server_that_runs(home: Home) -> None:
    with EmbeddedServer(home) as mine, another_user(home) as (_, pid, started):
        assert (pid, started) == (mine.pid(), 0)


def test_a_server_outlives_its_starter_while_somebody_uses_it(home: Home) -> None:
    with another_user(home) as (starter, pid, started):
        assert started == 1
        with EmbeddedServer(home) as mine:
            starter.kill()
            starter.wait()
            time.sleep(0.2)
            assert mine.pid() == pid
    assert soon(lambda: not lives(pid))


def test_kill_9_of_its_only_user_leaves_no_server(home: Home) -> None:
    with another_user(home) as (user, pid, _):
        user.send_signal(signal.SIGKILL)
        user.wait()
        assert soon(lambda: not lives(pid), 3)
        assert soon(lambda: subprocess.run(["pgrep", "-f", str(home.cluster)], check=False).returncode == 1, 3)
    with EmbeddedServer(home) as again:
        assert again.started == 1


def test_kill_9_of_the_postmaster_is_recovered_from(home: Home) -> None:
    with EmbeddedServer(home) as server:
        pid = server.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert soon(lambda: server.pid() is None)
        server.ensure()
        assert server.started == 2
        assert server.pid() != pid


def test_kill_9_of_everything_is_recovered_from(home: Home) -> None:
    with another_user(home) as (user, pid, _):
        user.send_signal(signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        user.kill()
        user.wait()
    assert (home.cluster / "postmaster.pid").exists()
    with EmbeddedServer(home) as server:
        assert server.started == 1


def test_a_stale_pid_file_that_names_a_living_stranger_is_seen_through(home: Home) -> None:
    (home.cluster / "postmaster.pid").write_text(
        f"{os.getpid()}\n{home.cluster}\n1\n5432\n{home.cluster}\n\n0 0\nready\n"
    )
    with EmbeddedServer(home) as server:
        assert server.started == 1
        assert server.pid() != os.getpid()


def test_many_users_who_come_at_once_share_one_server(home: Home) -> None:
    started: list[int] = []

    def use() -> None:
        with EmbeddedServer(home) as server:
            started.append(server.started)
            time.sleep(0.2)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(trio.to_thread.run_sync, use)

    trio.run(main)
    assert sorted(started) == [0] * 7 + [1]


def test_coming_and_going_without_a_pause_always_finds_a_server(home: Home) -> None:
    def use(number: int) -> None:
        for _ in range(6):
            with EmbeddedServer(home) as server:
                assert server.pid() is not None
                time.sleep(0.003 * number)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(trio.to_thread.run_sync, use, number)

    trio.run(main)


def test_a_folder_too_long_for_a_socket_gets_a_short_one_that_goes_again(made: Home, tmp_path: Path) -> None:
    home = copied(made, tmp_path / ("x" * 100))
    with EmbeddedServer(home) as server:
        folder = Path(server.address.host)
        assert folder.is_dir()
        assert len(str(folder)) < 85
        assert folder.stat().st_mode & 0o077 == 0
    assert soon(lambda: not folder.exists())


def test_a_server_that_cannot_start_says_why(home: Home) -> None:
    (home.cluster / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(StoreUnavailable, match="no_such_setting"), EmbeddedServer(home):
        pass


def test_a_cluster_of_another_version_is_not_touched(home: Home) -> None:
    (home.cluster / "PG_VERSION").write_text("13\n")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 13, and this is 18"), EmbeddedServer(home):
        pass


def test_what_a_killed_set_up_left_is_cleared_away(home: Home) -> None:
    home.cluster.rename(home.directory / "cluster.new")
    (home.directory / "cluster.new" / "PG_VERSION").unlink()
    with EmbeddedServer(home) as server:
        assert server.pid() is not None
    assert not (home.directory / "cluster.new").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match=r"file/postgres.*FRONTDESK_DATA_DIR"):
        find_home(tmp_path / "file" / "postgres")


def test_without_its_binaries_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pghome, "PACKAGE", "no_such_package")
    with pytest.raises(ConfigurationError, match=r"no-such-package.*FRONTDESK_DATABASE_URL"):
        find_home(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_without_namespaces_runs_it_as_nobody(tmp_path: Path) -> None:
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o011)  # pytest's own folders, which nobody may not pass
    home = find_home(tmp_path / "postgres", identity="nobody", durable=False)
    with EmbeddedServer(home) as server:
        pid = server.pid()
        assert pid is not None
        assert Path(f"/proc/{pid}").stat().st_uid == home.cluster.stat().st_uid != 0
    assert not lives(pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can close a folder to nobody")
def test_nobody_before_a_closed_folder_is_told_to_the_operator(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match="runs as nobody, who cannot get there"):
        find_home(tmp_path / "private" / "postgres", identity="nobody")


@pytest.mark.parametrize("namespaces", [True, False])
def test_a_uid_without_a_name_gets_one_or_a_clear_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, namespaces: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(pghome, "_ok", lambda command: namespaces)
    if namespaces:
        assert find_home(tmp_path).identity == "namespace"
    else:
        with pytest.raises(
            ConfigurationError, match=r"uid 54321 has no entry in the passwd file.*FRONTDESK_DATABASE_URL"
        ):
            find_home(tmp_path)


PLAIN_PYTHON = Path("/usr/bin/python3")  # one that anybody may run; a virtual environment may lie in a private folder


@pytest.mark.skipif(os.geteuid() != 0 or not PLAIN_PYTHON.exists(), reason="only root can become a nameless uid")
@pytest.mark.parametrize("uid", [0, 54321])
def test_in_a_namespace_a_process_has_a_name_and_its_files_stay_its_own(tmp_path: Path, uid: int) -> None:
    keeper = Path(shutil.copy(pghome.__file__.replace("pghome", "pgwatch"), "/tmp"))  # where a nameless uid may read
    try:
        keeper.chmod(0o644)
        probe = (
            "import os, pwd; print(pwd.getpwuid(os.geteuid()).pw_name, os.stat('/proc/self').st_uid == os.geteuid())"
        )
        command = [str(PLAIN_PYTHON), "-I", str(keeper), "as", "namespace", "--", str(PLAIN_PYTHON), "-c", probe]
        done = subprocess.run(
            command, user=uid, group=uid, extra_groups=[], cwd="/", capture_output=True, text=True, check=False
        )
    finally:
        keeper.unlink()
    if done.returncode == 77:
        pytest.skip(f"no user namespaces here: {done.stderr}")
    name, own = done.stdout.split()
    assert name != "root"
    assert own == "True"


async def test_a_database_goes_on_after_its_postmaster_was_killed(home: Home) -> None:
    async def one(connection: Connection) -> int:
        return int(await connection.fetchval("select 1"))

    async with open_database(DatabaseConfig(None, home.directory.parent, durable=False)) as database:
        heard: list[str | None] = []
        await database.listen("canary", heard.append)
        assert await database.for_tenant("acme", one) == 1
        with EmbeddedServer(home) as other:
            pid = other.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with trio.fail_after(20):
            while True:
                try:
                    assert await database.for_tenant("acme", one) == 1
                    break
                except StoreUnavailable:
                    await trio.sleep(0.02)
            while len(heard) < 2 or not database.statistics().listening:  # told to look anew, at least once
                await trio.sleep(0.02)
        assert not any(heard)
        assert database.statistics().restarts == 1
