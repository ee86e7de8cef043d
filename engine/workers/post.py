"""The child's end of the link: beats upwards, orders downwards, and what to do when there is nobody above any more.

Signals that end a service are for its parent: a Ctrl-C, or a service manager that signals everybody, must not end the
workers in another way than the parent then asks for.
"""

import faulthandler
import os
import select
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import trio

from engine.log import get_logger
from engine.workers.link import BEAT_S, LINE_BYTES, Beat, Order, encode, send

ORPHANED_S = 20.0  # for live calls after the parent has died: whoever starts the service again is up by then
ORPHANED_STUCK_S = 30.0  # and then it is over, whatever the loop is doing
ORPHANED = 70  # exit status; nobody is left to read it but the log

log = get_logger("workers.post")


@dataclass(frozen=True, slots=True)
class Station:
    """The descriptors that a child is born with. On the command line: three numbers with commas."""

    link: int
    stacks: int
    listener: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ``ValueError`` where it is not one."""
        link, stacks, listener = map(int, text.split(","))
        return cls(link, stacks, listener)

    def __str__(self) -> str:
        return f"{self.link},{self.stacks},{self.listener}"


@dataclass(slots=True)
class Post:
    """What a child tells and is told. ``leave`` and ``end`` are set by orders; ``calls`` is asked for every beat."""

    link: socket.socket
    ready: bool = False
    calls: Callable[[], int] = lambda: 0
    leave: trio.Event = field(default_factory=trio.Event)
    end: trio.Event = field(default_factory=trio.Event)

    def serving(self) -> None:
        """From now on it accepts."""
        self.ready = True
        self.beat()

    def beat(self) -> None:
        """One, now."""
        send(self.link, encode(Beat(self.ready, self.calls())))


@asynccontextmanager
async def manned(station: Station) -> AsyncIterator[Post]:
    """Beat and obey inside, which is cancelled by ``NOW``, and by any order before it serves."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _not_for_us)  # a handler, unlike SIG_IGN, is not inherited by what we start
    for handle in (station.link, station.stacks, station.listener):
        os.set_inheritable(handle, False)
    faulthandler.register(signal.SIGUSR2, file=station.stacks, all_threads=True)
    with socket.socket(fileno=station.link) as link:
        threading.Thread(target=_outlive_nobody, args=(link.fileno(),), daemon=True, name="orphan watch").start()
        post = Post(link)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_beat, post)
            nursery.start_soon(_obey, post, nursery.cancel_scope)
            yield post
            nursery.cancel_scope.cancel()


def take_listener(station: Station) -> socket.socket:
    """The shared listening socket."""
    return socket.socket(fileno=station.listener)


async def _beat(post: Post) -> None:
    while True:
        post.beat()
        await trio.sleep(BEAT_S)


async def _obey(post: Post, everything: trio.CancelScope) -> None:
    # Read without a stream, whose end would close the link under the beats.
    link = trio.socket.from_stdlib_socket(post.link)
    while orders := await _receive(link):
        for byte in orders:
            order = Order(bytes((byte,)))
            log.info("told", order=order.name)
            if order is Order.NOW or not post.ready:
                everything.cancel()
            (post.leave if order is Order.LEAVE else post.end).set()
    log.error("the supervisor has died: making room for another", calls=post.calls(), patience_s=ORPHANED_S)
    if post.ready:
        post.leave.set()  # the port is closed at once, or nobody could start the service again
        await trio.sleep(ORPHANED_S)
    everything.cancel()


async def _receive(link: trio.socket.SocketType) -> bytes:
    try:
        return await link.recv(LINE_BYTES)
    except OSError:
        return b""


def _outlive_nobody(link: int) -> None:
    """In a thread: a loop that stands still would never notice that its parent is gone, and hold the port for ever."""
    poller = select.poll()
    poller.register(link, 0)  # nothing but the end
    poller.poll()
    time.sleep(ORPHANED_STUCK_S)
    os._exit(ORPHANED)


def _not_for_us(number: int, frame: object) -> None:
    """See the module."""
