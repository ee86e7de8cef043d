"""PostgreSQL of our own: started when the first of us comes, shared by all of us, gone when the last has left.

Three file locks say everything, and the kernel lets go of them whichever way a process ends:

* ``lock``: one process at a time starts, attaches or stops;
* ``users``: held shared by every user; ``pgwatch`` waits to hold it alone, and then shuts the server down;
* ``serving``: inherited by every process of the server, so that it is locked exactly while one of them lives. A pid in
  ``postmaster.pid`` proves nothing (in a container they come again); this does. While it is free, what is left of a
  crashed server may be cleared away.

Blocking: call everything off the loop. A server that died is started again by ``ensure``, and recovers by itself.
"""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.errors import ConfigurationError, StoreUnavailable
from engine.log import get_logger
from engine.store import pghome
from engine.store.pghome import Home

LONGEST_SOCKET_FOLDER = 85  # of some 104 bytes that a unix socket's path may have; the server adds a name
STARTING_S = 180.0  # recovery after a crash is replayed first, however long that takes on a slow disk
STOPPING_S = 30.0
ANSWERING_S = 5.0
SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # the shortest question that a server answers without knowing us
PAUSE_S = 0.005
LOG_LIMIT = 5_000_000  # bytes; begun anew at the next start, the one before is kept
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_parallel_maintenance_workers": "0",  # a container's /dev/shm is too small for them
    "max_parallel_workers_per_gather": "0",  # our queries take a millisecond; starting a worker takes longer
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",  # a statement may hold a caller's words
}
CARELESS = {"fsync": "off", "full_page_writes": "off"}  # for tests: outlives kill -9, but not the machine

_log = get_logger("store.embedded")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a client connects: the folder of a unix socket."""

    host: str
    user: str = pghome.SUPERUSER
    database: str = pghome.DATABASE
    port: int = 5432


class EmbeddedServer:
    """A user of the server in one folder. ``with`` it; ``ensure`` whenever it does not answer."""

    def __init__(self, home: Home) -> None:
        """Nothing is touched before ``with``."""
        self._home = home
        self._users = -1
        self.address = Address("")
        self.started = 0  # times that it was us who started it

    def __enter__(self) -> Self:
        try:
            self.ensure()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave; whoever is last waits until the server has gone."""
        with self._one_at_a_time():
            if self._users >= 0:
                os.close(self._users)
                self._users = -1
            users = _opened(self._home.directory / "users")
            try:
                if _locked(users, fcntl.LOCK_EX):
                    self._signal(signal.SIGINT)  # nobody else; the keeper's own signal would be the same
                    self._wait_gone()
                elif not _locked(users, fcntl.LOCK_SH):
                    self._wait_gone()  # the keeper was quicker
            finally:
                os.close(users)

    def ensure(self) -> Address:
        """Have a server that answers: attach to the one that lives, or start one.

        Raises:
            ConfigurationError: it cannot be set up here.
            StoreUnavailable: it did not come up, or not in time.
        """
        with self._one_at_a_time():
            deadline = time.monotonic() + STARTING_S
            self._become_user(deadline)
            tried = False
            while not self._wait_ready(deadline):
                if tried:
                    raise StoreUnavailable(
                        f"the embedded PostgreSQL ended while it started: {pghome.last_words(self._home)} "
                        f"(all of it is in {self._home.log})"
                    )
                pghome.make_cluster(self._home)
                self._start()
                tried = True
        return self.address

    def pid(self) -> int | None:
        """Of the postmaster that lives; None where none does."""
        return self._pid_file()[0] if self._serving() else None

    def _one_at_a_time(self) -> "_FileLock":
        return _FileLock(self._home.directory / "lock", STARTING_S)

    def _become_user(self, deadline: float) -> None:
        if self._users < 0:
            self._users = _opened(self._home.directory / "users")
        while not _locked(self._users, fcntl.LOCK_SH):  # the keeper holds it: a server is just shutting down
            _pause(deadline, "an embedded PostgreSQL that is shutting down does not end")

    def _serving(self) -> bool:
        """Does any process of a server live?"""
        handle = _opened(self._home.directory / "serving")
        try:
            return not _locked(handle, fcntl.LOCK_EX)
        finally:
            os.close(handle)

    def _start(self) -> None:
        home = self._home
        (home.cluster / "postmaster.pid").unlink(missing_ok=True)  # of a server of which nothing lives any more
        folder, remove = self._socket_folder()
        if home.log.exists() and home.log.stat().st_size > LOG_LIMIT:
            home.log.replace(home.log.with_suffix(".log.1"))
        settings = SETTINGS | ({} if home.durable else CARELESS)
        command = [home.program("postgres"), "-D", str(home.cluster), "-k", folder]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with _FileLock(home.directory / "serving", STOPPING_S) as serving, home.log.open("ab") as log:
            users = str(home.directory / "users")
            keep = pghome.helper("keep", home.identity, users, str(serving.handle), remove, "--", *command)
            subprocess.run(  # noqa: S603 - a command of our own making
                keep,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
                start_new_session=True,
                pass_fds=(serving.handle,),
                cwd=home.directory,
                env=pghome.environment(),
            )
        self.started += 1

    def _socket_folder(self) -> tuple[str, str]:
        """Where the socket goes, and what is to be removed afterwards (``-``: nothing)."""
        if len(os.fsencode(self._home.cluster)) <= LONGEST_SOCKET_FOLDER:
            return str(self._home.cluster), "-"
        short = tempfile.mkdtemp(prefix="frontdesk-")
        if len(os.fsencode(short)) > LONGEST_SOCKET_FOLDER:
            shutil.rmtree(short)
            raise ConfigurationError(
                f"{short}: too long for the path of a unix socket; set TMPDIR or FRONTDESK_DATA_DIR to a shorter one"
            )
        if self._home.identity == "nobody":
            who = pwd.getpwnam("nobody")
            os.chown(short, who.pw_uid, who.pw_gid)
        return short, short

    def _wait_ready(self, deadline: float) -> bool:
        """Wait for the server that lives; False as soon as nothing of one lives."""
        while self._serving():
            pid, folder, ready = self._pid_file()
            if pid is not None and ready and _answers(Path(folder, ".s.PGSQL.5432")):
                self.address = Address(folder)
                return True
            _pause(deadline, f"the embedded PostgreSQL is not ready after {STARTING_S:.0f} s; see {self._home.log}")
        return False

    def _pid_file(self) -> tuple[int | None, str, bool]:
        """pid, folder of the socket, and whether it is ready; None where the file is not (wholly) there."""
        try:
            lines = (self._home.cluster / "postmaster.pid").read_text("utf-8").splitlines()
        except OSError:
            return None, "", False
        if len(lines) < 8:
            return (int(lines[0]) if lines and lines[0].isdigit() else None), "", False
        return int(lines[0]), lines[4], lines[7].strip() == "ready"

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait_gone(self) -> None:
        deadline = time.monotonic() + STOPPING_S
        while self._serving():
            if time.monotonic() > deadline:
                _log.error("the embedded PostgreSQL does not end", pid=self.pid())
                return
            time.sleep(PAUSE_S)


class _FileLock:
    """An exclusive lock on a file; ``handle`` is open and locked within ``with``."""

    def __init__(self, path: Path, patience_s: float) -> None:
        self._path = path
        self._patience_s = patience_s
        self.handle = -1

    def __enter__(self) -> Self:
        self.handle = _opened(self._path)
        deadline = time.monotonic() + self._patience_s
        try:
            while not _locked(self.handle, fcntl.LOCK_EX):
                _pause(deadline, f"another process holds {self._path}")
        except BaseException:
            os.close(self.handle)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.handle)  # a lock that a child inherited stays locked


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _locked(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answers(path: Path) -> bool:
    """Does it speak? A connection alone proves nothing: the kernel takes one in for a server that was just killed."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWERING_S)
        try:
            probe.connect(str(path))
            probe.sendall(SSL_REQUEST)
            return probe.recv(1) in {b"N", b"S"}
        except OSError:
            return False


def _pause(deadline: float, complaint: str) -> None:
    if time.monotonic() > deadline:
        raise StoreUnavailable(complaint)
    time.sleep(PAUSE_S)
