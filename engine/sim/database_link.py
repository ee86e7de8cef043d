"""A cable to a PostgreSQL server that can be made worse, pulled, and put back: for tests and for the table of faults.

    gateway ══ TCP ══ DatabaseLink ══ unix socket or TCP ══ PostgreSQL

Knows next to nothing of the protocol: bytes are carried both ways, in order, and what is said about them is

    ``slow(2.0)``     each answer of the server comes so much later (what belongs to one answer stays together)
    ``silence()``     nothing comes through either way and nothing ends: a server that hangs, a network that drops
    ``refuse()``      whoever connects is turned away as a full server does it ("too many clients"); the others go on
    ``away()``        nobody listens any more, and every connection is reset: a server that was stopped
    ``cut()``         every connection is reset; new ones go through as before
    ``mend()``        all is well again

In real time: the database's side of a gateway is a thread, which a virtual clock does not know.
"""

import math
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

import trio

CHUNK = 65536
CHUNKS_WAITING = 256
SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSS_REQUEST = struct.pack("!II", 8, 80877104)
LONGEST_GREETING = 10_000
_FIELDS = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0"
TOO_MANY = b"E" + struct.pack("!I", len(_FIELDS) + 4) + _FIELDS


class Way(Enum):
    """What becomes of what is sent."""

    OPEN = "open"
    SILENT = "silent"
    FULL = "full"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """``connections`` is now; the others count since start."""

    connections: int
    accepted: int
    turned_away: int


class DatabaseLink:
    """One cable. ``serve`` carries; everything else is a plain call from the same thread."""

    def __init__(self, upstream: str) -> None:
        """``upstream``: the folder of the server's unix socket, or ``host:port``."""
        self._upstream = upstream
        self._way = Way.OPEN
        self._delay_s = 0.0
        self._changed = trio.Event()
        self._connections: set[trio.CancelScope] = set()
        self._listening: trio.CancelScope | None = None
        self._accepted = self._turned_away = 0
        self.port = 0

    def url(self, database: str, user: str = "postgres") -> str:
        """What a client is told; without encryption, which would hide nothing here and cost a round trip."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    # --- what becomes of it --------------------------------------------------------------------------------------

    def slow(self, seconds: float) -> None:
        """Each answer so much later, of this instant on."""
        self._delay_s = seconds

    def silence(self) -> None:
        """Nothing comes through, nothing ends."""
        self._turn(Way.SILENT)

    def refuse(self) -> None:
        """Full for whoever comes now."""
        self._turn(Way.FULL)

    def away(self) -> None:
        """Nobody there."""
        self._turn(Way.AWAY)
        self.cut()
        if self._listening is not None:
            self._listening.cancel()

    def cut(self) -> None:
        """Reset all connections."""
        for scope in list(self._connections):
            scope.cancel()

    def mend(self) -> None:
        """As at first; what was held back by a silence comes through."""
        self._delay_s = 0.0
        self._turn(Way.OPEN)

    def statistics(self) -> LinkStatistics:
        """A snapshot."""
        return LinkStatistics(len(self._connections), self._accepted, self._turned_away)

    def _turn(self, way: Way) -> None:
        self._way = way
        self._changed.set()
        self._changed = trio.Event()

    # --- carrying ------------------------------------------------------------------------------------------------

    async def serve(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry until cancelled; starts with its port."""
        async with trio.open_nursery() as nursery:
            first = True
            while True:
                while self._way is Way.AWAY:
                    await self._changed.wait()
                listener = await _listen(self.port)
                self.port = listener.socket.getsockname()[1]
                if first:
                    task_status.started(self.port)
                    first = False
                with trio.CancelScope() as self._listening:
                    async with listener:
                        while True:
                            client = await listener.accept()
                            nursery.start_soon(self._carry, client)

    async def _carry(self, client: trio.SocketStream) -> None:
        self._accepted += 1
        scope = trio.CancelScope()
        self._connections.add(scope)
        try:
            with scope, suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                if self._way is Way.FULL:
                    await self._turn_away(client)
                else:
                    await self._join(client)
        finally:
            self._connections.discard(scope)
            if scope.cancelled_caught:
                _reset(client)
            client.socket.close()

    async def _turn_away(self, client: trio.SocketStream) -> None:
        self._turned_away += 1
        while await client.receive_some(LONGEST_GREETING) in {SSL_REQUEST, GSS_REQUEST}:
            await client.send_all(b"N")
        await client.send_all(TOO_MANY)

    async def _join(self, client: trio.SocketStream) -> None:
        server = await self._dial()
        async with server, trio.open_nursery() as both:
            answers_send, answers = trio.open_memory_channel[tuple[float, bytes]](CHUNKS_WAITING)

            async def ask() -> None:
                while data := await client.receive_some(CHUNK):
                    await self._pass()
                    await server.send_all(data)
                both.cancel_scope.cancel()

            async def listen() -> None:
                while data := await server.receive_some(CHUNK):
                    await answers_send.send((trio.current_time() + self._delay_s, data))
                await answers_send.send((-math.inf, b""))

            async def answer() -> None:
                async for due, data in answers:
                    if not data:
                        break
                    await trio.sleep_until(due)
                    await self._pass()
                    await client.send_all(data)
                both.cancel_scope.cancel()

            for way in (ask, listen, answer):
                both.start_soon(_ending_both, way, both.cancel_scope)

    async def _pass(self) -> None:
        while self._way is Way.SILENT:
            await self._changed.wait()

    async def _dial(self) -> trio.SocketStream:
        await self._pass()
        if self._upstream.startswith("/"):
            return await trio.open_unix_socket(f"{self._upstream}/.s.PGSQL.5432")
        host, _, port = self._upstream.rpartition(":")
        return await trio.open_tcp_stream(host, int(port))


async def _ending_both(way: Callable[[], Awaitable[None]], both: trio.CancelScope) -> None:
    """One side that ends, in whatever way, ends the other."""
    with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        await way()
        return
    both.cancel()


async def _listen(port: int) -> trio.SocketListener:
    (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
    return listener


def _reset(client: trio.SocketStream) -> None:
    """No polite end: what a pulled cable looks like once it is noticed."""
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
