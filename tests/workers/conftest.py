"""A child's post, with this process in the child's place."""

import faulthandler
import signal
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from engine.server.app import listen
from engine.workers import post as post_module
from engine.workers import stand_in as stand_in_module
from engine.workers.post import Station


@dataclass(frozen=True)
class Place:
    """What a child is born with, and what its parent holds."""

    station: Station
    parent: socket.socket
    port: int


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """This process stays as it was: signals, and no watch over it. The port is the child's alone."""
    monkeypatch.setattr(post_module, "_outlive_nobody", lambda link: None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, listen("127.0.0.1:0") as listener, tempfile.TemporaryFile() as stacks:
        monkeypatch.setattr(stand_in_module, "take_listener", lambda station: listener.dup())
        port = listener.getsockname()[1]
        yield Place(Station(theirs.detach(), stacks.fileno(), listener.fileno()), ours, port)
        faulthandler.unregister(signal.SIGUSR2)
    for number, handler in before.items():
        signal.signal(number, handler)
