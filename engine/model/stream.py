"""The websocket that a model session runs on: a lean client over any trio stream.

One task reads, any task may send; sends are serialised. Over plain TCP nearly all of them are one system call, made at
once; what the system does not take then goes the guarded way, with a lock and a deadline, and so does all over TLS.
Pings are answered by the reader, unless a sender is at work, in which case that sender answers after its frame: the
reader never queues behind a sender, so it always drains.

We send no pings and expect no pongs: services are known to answer them many seconds late. That the peer is alive is
judged by what it says (``liveness``) and by whether it takes what we send (``SEND_DEADLINE_S``).
"""

import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio

from engine.errors import (
    HandshakeRefused,
    ModelClosed,
    ModelGarbled,
    ModelLost,
    ModelRefused,
    ModelStalled,
    RemoteError,
    WebSocketFault,
)
from engine.model.tcp import TcpStream
from engine.model.tls import TlsStream
from engine.wire.handshake import ClientHandshake
from engine.wire.websocket import CLOSE, PING, PONG, Role, WebSocketCodec, parse_close

MAX_MESSAGE = 4 * 1024 * 1024  # several seconds of sound in one message; official clients stop at 1 MiB
SEND_DEADLINE_S = 2.0  # a peer that has taken nothing for so long is lost; socket buffers alone hold many seconds
CLOSE_DEADLINE_S = 0.5  # for our last words; nobody waits for the peer's
READ_SIZE = 65536
READS_AT_ONCE = 4  # in one step of the loop: seconds of sound
ABNORMAL = 1006  # RFC 6455: the connection ended without a close frame


class ModelSocket:
    """One open websocket. Made by ``open_websocket`` or, over a stream of the caller's, by ``upgrade``."""

    def __init__(self, stream: trio.abc.Stream, early: bytes = b"") -> None:
        self._stream = stream
        self._tcp = stream if isinstance(stream, TcpStream) else None
        self._lean = stream if isinstance(stream, TcpStream | TlsStream) else None
        self._codec = WebSocketCodec(Role.CLIENT, max_message=MAX_MESSAGE)
        self._early = early  # what came in the same read as the handshake's answer
        self._inbox: deque[bytes] = deque()
        self._sending = trio.Lock()
        self._ping: bytes | None = None
        self._end: ModelLost | None = None
        self._whole = True  # False: a frame may be half out, so nothing may follow it but its rest
        self._unsent = b""  # that rest, where nobody waits for it to be taken
        self._closing = False
        self._goodbye = 1000

    async def send(self, payload: bytes) -> None:
        """Send one text message; returns when the connection has taken it. Not always a checkpoint.

        Raises:
            ModelStalled: the peer took nothing for ``SEND_DEADLINE_S``; the connection is closed.
            ModelClosed: the connection has ended.
        """
        frame = rest = self._codec.text(payload)
        if self._tcp is not None and self._whole and not self._sending.locked():
            rest = self._write_now(self._tcp, frame)
            if not rest and self._ping is None:
                return
        async with self._sending:
            if rest:
                await self._write(rest, begun=len(rest) < len(frame))
            await self._answer_ping()

    @property
    def can_send_now(self) -> bool:
        """Whether ``send_now`` may be called: nothing else is being sent, or owed."""
        lean = self._lean
        is_clear = lean is not None and lean.can_send_now
        return is_clear and self._whole and self._ping is None and not self._sending.locked()

    def send_now(self, *payloads: bytes) -> None:
        """Where ``can_send_now``: send these as text messages. A plain call.

        What the system does not take goes out before whatever is sent next; that the connection has ended, whoever
        sends or receives next is told.
        """
        assert self._lean is not None, "asked before"
        frames = b"".join([self._codec.text(payload) for payload in payloads])
        try:
            self._unsent = frames[self._lean.send_now(frames) :]
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._whole = False
        else:
            self._whole = not self._unsent

    async def receive(self) -> bytes:
        """The next message, text and binary alike.

        Raises:
            ModelClosed: the peer closed (its code and reason) or just went away (1006).
            ModelGarbled: the peer broke the websocket protocol, or sent more than ``MAX_MESSAGE`` at once.
            ModelStalled: it takes nothing from us.
        """
        while True:
            if self._ping is not None and not self._sending.locked():
                async with self._sending:
                    await self._answer_ping()
            if self._inbox:
                return self._inbox.popleft()
            if self._end is not None:
                raise self._end
            self._sort(await self._read())

    @property
    def can_take_in(self) -> bool:
        """Whether this connection can say what has come without being waited for, and may have more to say."""
        return self._lean is not None and self._end is None

    def take_in(self) -> None:
        """Where ``can_take_in``: read what has come by now, for ``receive`` to find. A plain call, for who receives."""
        for _ in range(READS_AT_ONCE):
            if self._lean is None or self._early or self._end is not None:
                return
            try:
                data = self._lean.receive_now(READ_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if data is not None:
                self._sort(data)
            if data is None or len(data) < READ_SIZE // 2:  # of a full one, TLS leaves more than that
                return

    def waiting(self) -> list[bytes]:
        """The messages that came along with the last one received. A plain call."""
        messages = list(self._inbox)
        self._inbox.clear()
        return messages

    async def aclose(self) -> None:
        """Say goodbye, if that is quickly done, and close the connection whatever happens."""
        with trio.CancelScope(shield=True):
            with trio.move_on_after(CLOSE_DEADLINE_S):
                if self._whole and not self._closing:
                    self._closing = True
                    try:
                        async with self._sending:
                            await self._write(self._codec.close(self._goodbye))
                    except RemoteError:
                        pass  # it is gone already
                await self._stream.aclose()
                return
            await trio.aclose_forcefully(self._stream)

    async def _read(self) -> bytes:
        if self._early:
            early, self._early = self._early, b""
            return early
        try:
            return bytes(await self._stream.receive_some(READ_SIZE))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""  # reset, or closed by a sender that found it stalled

    def _sort(self, data: bytes) -> None:
        """Sort what came into messages, the last ping, and the end."""
        if not data:
            self._end = self._end or ModelClosed("the connection ended without a goodbye", code=ABNORMAL)
            return
        try:
            frames = self._codec.receive_data(data)
        except WebSocketFault as fault:
            frames = list(fault.decoded)
            self._goodbye = fault.close_code
            self._end = ModelGarbled(f"websocket broken: {fault}", code=fault.close_code)
        for opcode, payload in frames:
            if opcode == PING:
                self._ping = payload
            elif opcode == CLOSE:
                code, reason = parse_close(payload)
                self._end = ModelClosed(f"closed by the peer: {code} {reason}".rstrip(), code=code)
            elif opcode != PONG:
                self._inbox.append(payload)

    async def _answer_ping(self) -> None:
        """With the lock held: answer the newest ping, as the RFC allows, leaving out older ones."""
        while self._ping is not None:
            payload, self._ping = self._ping, None
            await self._write(self._codec.pong(payload))

    def _write_now(self, tcp: TcpStream, frame: bytes) -> bytes:
        """With the lock free: hand over what is taken at once; returns the rest, which must be the next to follow."""
        try:
            sent = tcp.send_now(frame)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ModelClosed("the connection broke while sending", code=ABNORMAL) from error
        self._whole = sent in {0, len(frame)}
        return frame[sent:]

    async def _write(self, frame: bytes, *, begun: bool = False) -> None:
        """With the lock held: hand over one frame, or the rest of one, whole or never anything again."""
        if self._unsent:
            frame, self._unsent, begun = self._unsent + frame, b"", True
        if not (self._whole or begun):
            raise ModelClosed("the connection broke while sending", code=ABNORMAL)
        self._whole = False
        with trio.move_on_after(SEND_DEADLINE_S) as patience:
            try:
                await self._stream.send_all(frame)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ModelClosed("the connection broke while sending", code=ABNORMAL) from error
            self._whole = True
        if patience.cancelled_caught:
            why = f"the peer took nothing for {SEND_DEADLINE_S} s"
            self._end = self._end or ModelStalled(why)  # closing wakes the reader, who is to say the same
            await trio.aclose_forcefully(self._stream)
            raise ModelStalled(why)


async def upgrade(stream: trio.abc.Stream, url: str, headers: Sequence[tuple[str, str]]) -> ModelSocket:
    """Do the websocket handshake over ``stream``; closes nothing when it fails.

    Raises:
        HandshakeRefused: the answer is not a websocket (``status`` says more), or there was none.
        trio.BrokenResourceError: the connection broke.
    """
    handshake = ClientHandshake(url, headers)
    await stream.send_all(handshake.request())
    while True:
        data = bytes(await stream.receive_some(READ_SIZE))
        if (early := handshake.receive(data)) is not None:
            return ModelSocket(stream, early)


@asynccontextmanager
async def open_websocket(
    url: str, headers: Sequence[tuple[str, str]], *, ssl_context: ssl.SSLContext | None = None, deadline_s: float
) -> AsyncIterator[ModelSocket]:
    """Connect to ``ws://`` or ``wss://``, upgrade, and close on the way out.

    Args:
        url: the whole address; its query is sent as it is.
        headers: sent beside those that the handshake needs (the key, for example).
        ssl_context: for ``wss``; without one, the system's authorities are trusted.
        deadline_s: for everything up to the upgraded connection.

    Raises:
        ModelRefused: no websocket within the deadline.
    """
    stream: trio.abc.Stream | None = None
    socket: ModelSocket | None = None
    try:
        with trio.move_on_after(deadline_s):
            try:
                stream = await _connect(url, ssl_context)
                socket = await upgrade(stream, url, headers)
            except HandshakeRefused as refused:
                raise ModelRefused(f"handshake refused: {refused}") from refused
            except (OSError, trio.BrokenResourceError) as error:
                raise ModelRefused(f"could not connect: {error!r}") from error
        if socket is None:
            raise ModelRefused(f"no websocket within {deadline_s:.1f} s")
        yield socket
    finally:
        if socket is not None:
            await socket.aclose()
        elif stream is not None:
            await trio.aclose_forcefully(stream)


async def _connect(url: str, ssl_context: ssl.SSLContext | None) -> trio.abc.Stream:
    parts = urlsplit(url)
    secure = parts.scheme == "wss"
    host = parts.hostname or ""
    connected = await trio.open_tcp_stream(host, parts.port or (443 if secure else 80))
    tcp = TcpStream(connected) if isinstance(connected, trio.SocketStream) else connected
    if not secure:
        return tcp
    return _secured(tcp, ssl_context or ssl.create_default_context(), host)


def _secured(tcp: trio.abc.Stream, context: ssl.SSLContext, host: str) -> trio.abc.Stream:
    if isinstance(tcp, TcpStream):
        return TlsStream(tcp, context, host)
    return trio.SSLStream(tcp, context, server_hostname=host, https_compatible=True)
