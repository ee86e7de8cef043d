"""The simulated model's end of one websocket: orderly sends, a close with a code, and the rude end of a TCP stream.

Only the writer task touches the socket for messages, so whoever is speaking can be cancelled between two messages and
never in the middle of one.
"""

import socket
import ssl
import struct

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

CLOSE_DEADLINE_S = 1.0  # for the client's answer to our close frame; a deaf or dead client is not waited for
NO_CODE = 1006


class Link:
    """One open connection. ``run`` must be running in the nursery that ends with it."""

    def __init__(self, websocket: WebSocketConnection, stream: trio.abc.Stream) -> None:
        self._websocket = websocket
        self._stream = stream
        self._closed_with: int | None = None
        # A rendezvous: whoever speaks is at most one message ahead of the socket, so a barge-in takes effect at once.
        self._send, self._receive = trio.open_memory_channel[bytes | trio.Event](0)

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

    async def send(self, message: bytes) -> None:
        """Hand one message over, as a binary frame like the service's own; waits while the client does not take it."""
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
