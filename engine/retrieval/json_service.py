"""Requests in JSON to one service, over HTTP/1.1 connections that are kept: for what is asked several times per turn.

A general client spends more on such a request than everything else about a question costs together. This one does what
is needed here: POST, one answer with a body, no redirect, no cookie, no encoding, no proxy. It has no deadlines: those
are the caller's cancel scopes.

Whoever is cancelled leaves a connection on which an answer is still to come. It is kept aside, and used again once that
answer is there: a new one would cost a handshake under way to a caller who is waiting.
"""

import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import h11
import trio

KEPT: Final = 64  # connections that nobody uses; more are closed
OWING: Final = 16  # of those on which an answer is still to come that nobody waits for
READ_SIZE: Final = 65536
LARGEST_ANSWER: Final = 64 * 2**20

UNREACHABLE: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError)
"""What ``JsonService.post`` raises where the service cannot be reached, breaks off, or speaks no HTTP."""


class _Connection:
    """One connection; between ``ask`` and the end of ``answer`` it owes an answer."""

    def __init__(self, stream: trio.abc.Stream, socket: trio.socket.SocketType) -> None:
        self.stream = stream
        self._socket = socket
        self._http = h11.Connection(h11.CLIENT)
        self._status = 0
        self._body = bytearray()
        self._asked = False  # all of a request is out

    async def ask(self, target: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Send one request."""
        self._status, self._body, self._asked = 0, bytearray(), False
        request = h11.Request(method=b"POST", target=target, headers=[*headers, (b"content-length", b"%d" % len(body))])
        parts = self._http.send(request), self._http.send(h11.Data(data=body)), self._http.send(h11.EndOfMessage())
        await self.stream.send_all(b"".join(part or b"" for part in parts))
        self._asked = True

    async def answer(self) -> tuple[int, bytes]:
        """Status and body. Where it is cancelled, it may be called again."""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(bytes(await self.stream.receive_some(READ_SIZE)))
            elif isinstance(event, h11.Response):
                self._status = event.status_code
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > LARGEST_ANSWER:
                    raise h11.RemoteProtocolError("an answer without end")
            elif isinstance(event, h11.EndOfMessage):
                return self._status, bytes(self._body)

    def begin_anew(self) -> bool:
        """Make ready for the next request; False where the service wants this connection closed."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def owes_answer(self) -> bool:
        """Whether an answer to a whole request is still to come."""
        return self._asked and self._http.their_state in {h11.SEND_RESPONSE, h11.SEND_BODY}

    def has_something(self) -> bool:
        """Whether there is something to read: of an answer, or the end."""
        return self._socket.is_readable()


class JsonService:
    """Made by ``open_json_service``."""

    def __init__(self, url: str, headers: Sequence[tuple[str, str]]) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if self._secure else None
        fixed = [("host", parts.netloc.rpartition("@")[2]), ("content-type", "application/json"), *headers]
        self._headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in fixed]
        self._idle: list[_Connection] = []
        self._owing: deque[_Connection] = deque()

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Ask for ``path``, below the service's own; returns status and body.

        A kept connection may have been closed by the service as it was written to: then it is asked once more, on a
        fresh one. So only what may be asked twice belongs here.

        Raises:
            One of ``UNREACHABLE``.
        """
        target = (self._path + path).encode("ascii")
        if (kept := await self._kept()) is not None:
            try:
                return await self._exchange(kept, target, body)
            except UNREACHABLE:
                await self.aclose()  # whatever ended this one has ended the others too
        return await self._exchange(await self._connect(), target, body)

    async def aclose(self) -> None:
        """Close what is kept."""
        kept = [*self._idle, *self._owing]
        self._idle.clear()
        self._owing.clear()
        for connection in kept:
            await trio.aclose_forcefully(connection.stream)

    async def _exchange(self, connection: _Connection, target: bytes, body: bytes) -> tuple[int, bytes]:
        try:
            await connection.ask(target, self._headers, body)
            answer = await connection.answer()
        except BaseException:
            await self._put_aside(connection)
            raise
        await self._put_back(connection)
        return answer

    async def _put_back(self, connection: _Connection) -> None:
        if connection.begin_anew() and len(self._idle) < KEPT:
            self._idle.append(connection)
        else:
            await trio.aclose_forcefully(connection.stream)

    async def _put_aside(self, connection: _Connection) -> None:
        """It was left in the middle of something: worth keeping where only the answer is missing."""
        if connection.owes_answer():
            self._owing.append(connection)
            if len(self._owing) <= OWING:
                return
            connection = self._owing.popleft()
        await trio.aclose_forcefully(connection.stream)

    async def _kept(self) -> _Connection | None:
        """One that can be used at once, or as soon as what has come on it is read."""
        if self._idle:
            return self._idle.pop()
        connection = next((one for one in self._owing if one.has_something()), None)
        if connection is None:
            return None
        self._owing.remove(connection)
        try:
            await connection.answer()
            if connection.begin_anew():
                return connection
        except UNREACHABLE:
            pass
        except BaseException:
            await self._put_aside(connection)
            raise
        await trio.aclose_forcefully(connection.stream)
        return None

    async def _connect(self) -> _Connection:
        tcp = await trio.open_tcp_stream(self._host, self._port)
        if self._tls is None:
            return _Connection(tcp, tcp.socket)
        stream = trio.SSLStream(tcp, self._tls, server_hostname=self._host, https_compatible=True)
        try:
            await stream.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return _Connection(stream, tcp.socket)


@asynccontextmanager
async def open_json_service(url: str, headers: Sequence[tuple[str, str]]) -> AsyncIterator[JsonService]:
    """A service at ``url``, ``http://`` or ``https://``, whose path goes before that of each request.

    Args:
        headers: sent with every request.
    """
    service = JsonService(url, headers)
    try:
        yield service
    finally:
        with trio.CancelScope(shield=True):
            await service.aclose()
