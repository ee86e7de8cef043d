"""The keeper of an embedded server: a process of its own, so that a server ends when its last user has, however.

    python -I pgwatch.py as   IDENTITY -- COMMAND...            become IDENTITY, then be that command
    python -I pgwatch.py can  IDENTITY PATH                     exit 0 if IDENTITY may enter that folder
    python -I pgwatch.py keep IDENTITY USERS SERVING REMOVE -- POSTGRES...   stay behind, as nobody's child

``keep`` runs the server and waits for the exclusive lock on the file USERS, which every user of the server holds
shared. The kernel lets go of a lock when its process dies, by ``kill -9`` too: then nobody uses the server any more,
and it is shut down. SERVING is a descriptor, locked by whoever started us and inherited by every process of the server:
while it is locked, some process of that server lives. REMOVE is a folder to remove afterwards, or ``-``.

Standard library only, and nothing of the engine: it runs as a plain file, with one thread until the server is started
(``become`` between fork and exec is only safe so).

Identities: ``same``; ``namespace``, a user namespace where we are somebody PostgreSQL accepts (it refuses root, and a
uid without a name), while files stay ours; ``nobody``.
"""

import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from typing import NoReturn

CLONE_NEWUSER = 0x10000000
REFUSED = 77  # the identity cannot be had here


def become(identity: str) -> None:
    """Turn this process into that identity.

    Raises:
        OSError: not permitted here.
        KeyError: there is nobody to become.
    """
    if identity == "namespace":
        _enter_namespace()
    elif identity == "nobody":
        who = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(who.pw_gid)
        os.setuid(who.pw_uid)


def _enter_namespace() -> None:
    inside = next(known.pw_uid for known in _nobody_first() if known.pw_uid != 0)
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare"):
        raise OSError("this system has no user namespaces")
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    for file, text in (("setgroups", "deny"), ("uid_map", f"{inside} {uid} 1"), ("gid_map", f"{inside} {gid} 1")):
        with open(f"/proc/self/{file}", "w", encoding="ascii") as out:
            out.write(text)


def _nobody_first() -> list[pwd.struct_passwd]:
    return sorted(pwd.getpwall(), key=lambda known: known.pw_name != "nobody")


def run_as(identity: str, command: list[str]) -> NoReturn:
    """Be that command, as that identity."""
    _become_or_exit(identity)
    os.execv(command[0], command)  # noqa: S606 - this is what it is for


def may_enter(identity: str, path: str) -> NoReturn:
    """Exit 0 if that identity may enter that folder."""
    _become_or_exit(identity)
    sys.exit(0 if os.access(path, os.R_OK | os.X_OK) else 1)


def keep(identity: str, users: str, serving: int, remove: str, command: list[str]) -> NoReturn:
    """Run the server until it ends, or until nobody uses it. Our starter waits only until we have let go of it."""
    if os.fork():
        os._exit(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends our starter must not end us before the server
    server = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(serving,),
        preexec_fn=_in_server(identity),  # noqa: PLW1509 - one thread only, see the top
    )
    threading.Thread(target=_stop_unused, args=(users, server), daemon=True).start()
    code = server.wait()
    if remove != "-":
        shutil.rmtree(remove, ignore_errors=True)
    os._exit(code if code >= 0 else 128 - code)  # the other thread may still wait for its lock


class _in_server:  # noqa: N801 - reads as the function that it is
    """What happens in the server's process before it is one: signals as they were, then the identity."""

    def __init__(self, identity: str) -> None:
        self._identity = identity

    def __call__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        become(self._identity)


def _stop_unused(users: str, server: "subprocess.Popen[bytes]") -> None:
    handle = os.open(users, os.O_RDWR | os.O_CLOEXEC)
    fcntl.flock(handle, fcntl.LOCK_EX)  # granted when nobody uses the server; held until we are gone, so none comes now
    server.send_signal(signal.SIGINT)  # fast shutdown


def _become_or_exit(identity: str) -> None:
    try:
        become(identity)
    except (OSError, KeyError, StopIteration) as error:
        print(f"cannot become {identity}: {error}", file=sys.stderr)  # noqa: T201 - a program of its own
        sys.exit(REFUSED)


def main(arguments: list[str]) -> NoReturn:
    """What the command line says."""
    match arguments:
        case ["as", identity, "--", *command]:
            run_as(identity, command)
        case ["can", identity, path]:
            may_enter(identity, path)
        case ["keep", identity, users, serving, remove, "--", *command]:
            keep(identity, users, int(serving), remove, command)
        case _:
            sys.exit(f"pgwatch: cannot be asked {arguments!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
