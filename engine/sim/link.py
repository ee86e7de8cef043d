"""A simulated model's end of one websocket: orderly sends, a close with a code, and the rude end of a TCP stream.

Only the writer task touches the socket for messages, so whoever is speaking can be cancelled between two messages and
never in the middle of one.
"""

import socket
import ssl
import struct
import sys
from contextlib import suppress
from pathlib import Path

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

CLOSE_DEADLINE_S = 1.0  # for the client's answer to our close frame; a deaf or dead client is not waited for
NO_CODE = 1006
_ESTABLISHED = 1  # the first byte of Linux' TCP_INFO
_PONG = b"\x8a"  # the first byte of a pong: final, opcode 10


class Link:
    """One open connection. ``run`` must be running in the nursery that ends with it."""

    def __init__(self, websocket: WebSocketConnection, stream: trio.abc.Stream) -> None:
        self._websocket = websocket
        self._stream = stream
        self._closed_with: int | None = None
        # A rendezvous: whoever speaks is at most one message ahead of the socket, so a barge-in takes effect at once.
        self._send, self._receive = trio.open_memory_channel[bytes | str | trio.Event](0)

    async def run(self, connection: trio.CancelScope) -> None:
        """Write what is sent, until the connection ends; then cancel all that belongs to it."""
        async with self._receive:
            try:
                async for message in self._receive:
                    if isinstance(message, trio.Event):
                        message.set()
                    else:
                        await self._websocket.send_message(message)
            except ConnectionClosed:
                connection.cancel()

    async def send(self, message: bytes | str) -> None:
        """Hand one message over, as a binary or a text frame; waits while the client does not take it."""
        await self._send.send(message)

    async def flush(self) -> None:
        """Return when all that was sent is in the socket."""
        written = trio.Event()
        await self._send.send(written)
        await written.wait()

    async def receive(self) -> str | bytes | None:
        """The next message; None when the connection has ended."""
        try:
            return await self._websocket.get_message()
        except ConnectionClosed:
            return None

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye and close; ``NO_CODE`` resets the connection instead, without a word."""
        if self._closed_with is None:
            self._closed_with = code
        if code == NO_CODE:
            await reset(self._stream)
            return
        with trio.move_on_after(CLOSE_DEADLINE_S):
            await self._websocket.aclose(code, reason[:120])  # a close frame holds 123 bytes of reason

    @property
    def closed_with(self) -> int | None:
        """The close code, ours or the client's; None while open."""
        if self._closed_with is not None:
            return self._closed_with
        return self._websocket.closed.code if self._websocket.closed else None

    @property
    def is_gone(self) -> bool:
        """Whether the connection has ended; known also to who does not read, where the kernel can be asked."""
        if self.closed_with is not None:
            return True
        below = self._stream.transport_stream if isinstance(self._stream, trio.SSLStream) else self._stream
        if not isinstance(below, trio.SocketStream) or not hasattr(socket, "TCP_INFO"):
            return False
        if below.socket.fileno() < 0:
            return True
        ended = below.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED
        return ended or _has_hung_up(below.socket)


class LatePongs(trio.abc.Stream):
    """The server's end of a connection on which pongs go out late, and nothing else does."""

    def __init__(self, stream: trio.abc.Stream, delay_s: float, nursery: trio.Nursery) -> None:
        self._stream = stream
        self._delay_s = delay_s
        self._nursery = nursery
        self._sending = trio.Lock()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send; a pong (each frame comes by itself) is kept back for its time."""
        if bytes(data[:1]) == _PONG:
            self._nursery.start_soon(self._send_late, bytes(data))
            await trio.lowlevel.checkpoint()
            return
        async with self._sending:
            await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """See ``trio.abc.SendStream``."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """See ``trio.abc.ReceiveStream``."""
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        """Close the connection below."""
        await self._stream.aclose()

    async def _send_late(self, pong: bytes) -> None:
        await trio.sleep(self._delay_s)
        async with self._sending:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # the client did not wait for it
                await self._stream.send_all(pong)


def _has_hung_up(ours: trio.socket.SocketType) -> bool:
    """Whether a client on this machine has closed its end, though we have not read so far as to be told.

    What we do not read stays with the client's kernel, and its goodbye behind it; but its socket can be looked at.
    """
    here, there = ours.getsockname(), ours.getpeername()
    if here[0] != there[0] or ours.family != socket.AF_INET:
        return False
    ends = f":{there[1]:04X} {_hexadecimal(here)} "
    lines = [line for line in Path("/proc/net/tcp").read_text().splitlines() if ends in line]
    return not any(line.split(ends)[1].startswith(f"{_ESTABLISHED:02X}") for line in lines)


def _hexadecimal(address: tuple[str, int]) -> str:
    """As the kernel prints it."""
    number = int.from_bytes(socket.inet_aton(address[0]), sys.byteorder)
    return f"{number:08X}:{address[1]:04X}"


async def reset(stream: trio.abc.Stream) -> None:
    """End a connection as a crashed peer would: a TCP reset, or an abrupt end where there is no TCP below."""
    below = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if isinstance(below, trio.SocketStream):
        # Linger for no time at all: close() then drops what is unsent and resets.
        below.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        below.socket.close()
    await trio.aclose_forcefully(stream)


async def listen(host: str, port: int, context: ssl.SSLContext | None) -> list[trio.abc.Listener[trio.abc.Stream]]:
    """Listeners for one address, with TLS where there is a context."""
    if context is None:
        return list(await trio.open_tcp_listeners(port, host=host))
    return list(await trio.open_ssl_over_tcp_listeners(port, context, host=host, https_compatible=True))
