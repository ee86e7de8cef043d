"""One port for two servers: hypercorn keeps HTTP, the media sockets are taken away from it.

A phone frame through the ASGI stack costs twenty times what it costs on the media plane, so the carrier's websocket
must never enter that stack; yet it has to arrive on the same public port. hypercorn makes one ``TCPServer`` per
connection and finds that class under one name, ``hypercorn.trio.run.TCPServer``. While a gateway serves
(``installed()``), the name stands for ``FrontDoorServer``: it reads until the request line is known, and then either
takes the descriptor out of trio's and hypercorn's hands for good, or lets hypercorn go on as if nothing had happened,
giving it the bytes read so far as its first read.

A proxy in front reuses connections: an upgrade may well be the fifth request on one. So the door stands between all
requests of a connection, not only before the first. ``idle`` says that none is being answered.

TLS ends at the proxy in front (a TLS connection is passed to hypercorn untouched). hypercorn's name is not public
interface: the version is pinned, and a test holds on to the name and its use.
"""

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

import hypercorn.trio.run as hypercorn_run
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, Updated
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer

REQUEST_LINE_S = 5.0  # for a connection to say what it wants; a peer that dribbles is dropped
LAST_REQUESTS_S = 0.5  # for requests on their way to a server that has been told to end
_MEDIA = b"GET /twilio/media"
_MEDIA_LINES = tuple(_MEDIA + ending for ending in (b" ", b"?", b"/ ", b"/?"))


class Wish(Enum):
    """What a connection wants, judged by its first bytes."""

    MEDIA = auto()
    OTHER = auto()
    UNDECIDED = auto()


def read_wish(head: bytes) -> Wish:
    """Judge the beginning of a request; 20 bytes always suffice."""
    if head.startswith(_MEDIA_LINES):
        return Wish.MEDIA
    if any(line.startswith(head) for line in _MEDIA_LINES):
        return Wish.UNDECIDED
    return Wish.OTHER


TakeSocket = Callable[[socket.socket, bytes], None]
"""Takes a non-blocking connected socket, which it now owns, and what has been read from it. Never blocks."""


class DoorConfig(Config):
    """hypercorn's configuration plus the one thing the front door must know: who takes media sockets."""

    take_socket: TakeSocket


class Doorway:
    """What hypercorn sees as its stream: the real one, until the socket is taken away between two requests."""

    def __init__(self, stream: trio.SocketStream, take: TakeSocket, *, on_end: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._take = take
        self._on_end = on_end
        self._held = b""
        self._idle = trio.Event()
        self._idle.set()
        self.taken = False
        # hypercorn asks the socket for its addresses; a plain attribute because it must outlive the stream's.
        self.socket = stream.socket

    def set_idle(self, *, idle: bool) -> None:
        """Told whenever a request begins (False) and when its answer is complete (True)."""
        if idle:
            self._idle.set()
        elif self._idle.is_set():
            self._idle = trio.Event()

    async def wait_wish(self) -> bool:
        """Wait for the first request line; True where hypercorn has nothing to do on this connection.

        Raises:
            trio.BrokenResourceError: the peer reset the connection.
        """
        with trio.move_on_after(REQUEST_LINE_S) as patience:
            self._held = await self.receive_some()
        return self.taken or patience.cancelled_caught or not self._held

    async def receive_some(self, max_bytes: int = MAX_RECV) -> bytes:
        """As a stream's; ``b""`` also where the socket has been taken."""
        if self._held:
            data, self._held = self._held, b""
            return data
        data = bytes(await self._stream.receive_some(max_bytes))
        if data and read_wish(data) is not Wish.OTHER:
            data = await self._settle(data)
        if not data:
            # Else hypercorn keeps the descriptor until the keep-alive time of an idle connection is over.
            await self._on_end()
        return data

    async def send_all(self, data: bytes) -> None:
        """As a stream's."""
        await self._stream.send_all(data)

    async def send_eof(self) -> None:
        """As a stream's; nothing where the socket has been taken."""
        if not self.taken:
            await self._stream.send_eof()

    async def aclose(self) -> None:
        """As a stream's; harmless to a socket that has been taken (its descriptor is no longer here)."""
        await self._stream.aclose()

    async def _settle(self, data: bytes) -> bytes:
        with trio.move_on_after(REQUEST_LINE_S):
            while read_wish(data) is Wish.UNDECIDED:
                more = bytes(await self._stream.receive_some(MAX_RECV))
                if not more:
                    return data
                data += more
            if read_wish(data) is Wish.MEDIA:
                # A fast proxy may ask again before hypercorn has quite finished the answer before.
                await self._idle.wait()
                self._hand_over(data)
                return b""
        return data  # not for us, or it never became its turn: hypercorn's to judge

    def _hand_over(self, data: bytes) -> None:
        sock = socket.socket(fileno=self._stream.socket.detach())
        self.taken = True
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._take(sock, data)
        except BaseException:
            sock.close()
            raise


class FrontDoorServer(TCPServer):
    """hypercorn's server of one connection, with the door before and between its requests."""

    _doorway: Doorway | None = None

    async def run(self) -> None:
        """Serve the connection, or give it away."""
        stream: object = self.stream
        if not isinstance(self.config, DoorConfig) or not isinstance(stream, trio.SocketStream):
            await super().run()
            return
        self._doorway = Doorway(stream, self.config.take_socket, on_end=self.idle_task.stop)
        done = True
        try:
            done = await self._doorway.wait_wish()
        except trio.BrokenResourceError:
            pass
        finally:
            if done:  # also where we are cancelled
                await self._doorway.aclose()
        if not done:
            self.stream = self._doorway  # type: ignore[assignment]  # all of a stream that hypercorn uses
            try:
                await super().run()
            finally:
                # It knows us, and we know it: without this every connection would be left to the collector.
                self.__dict__.pop("protocol", None)

    async def _idle_timeout(self) -> None:
        # hypercorn closes idle connections the moment it is told to end, with requests on their way to us: one that
        # was just accepted has said nothing yet, and to a proxy a connection that is kept alive is still a good one.
        with trio.move_on_after(self.config.keep_alive_timeout):
            await self.context.terminated.wait()
            await trio.sleep(LAST_REQUESTS_S)
        with trio.CancelScope(shield=True):
            await self._initiate_server_close()

    async def protocol_send(self, event: Event) -> None:
        """As hypercorn's; also notes when no request is being answered."""
        if self._doorway is None or not isinstance(event, Updated | Closed):
            await super().protocol_send(event)
            return
        if isinstance(event, Updated):
            self._doorway.set_idle(idle=event.idle)
        # By now the application knows that its answer is out, and quart-trio cancels the very task we are called in:
        # without the shield hypercorn's timer of an idle connection would then never be started, or the last
        # connections of a server that ends never be closed.
        with trio.CancelScope(shield=True):
            await super().protocol_send(event)


_NAME = "TCPServer"
_installations = 0


@contextmanager
def installed() -> Iterator[None]:
    """hypercorn makes ``FrontDoorServer`` its connections' server in here.

    Counted, because two gateways in one process (tests) may end in any order. A hypercorn that is not ours is not
    affected: without a ``DoorConfig`` the class is hypercorn's own.
    """
    global _installations  # noqa: PLW0603  the replaced name is just as global; nothing else would tell the truth
    _installations += 1
    setattr(hypercorn_run, _NAME, FrontDoorServer)
    try:
        yield
    finally:
        _installations -= 1
        if not _installations:
            setattr(hypercorn_run, _NAME, TCPServer)
