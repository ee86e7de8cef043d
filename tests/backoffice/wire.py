"""What stands between two of us, as a proxy does, to be cut from outside: a port that passes on all that comes."""

import socket
import ssl
import struct
from contextlib import suppress
from dataclasses import dataclass, field

import trio

GONE = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


@dataclass
class Wire:
    """``serve`` it in a nursery; ``port`` is where it is to be reached, ``to`` where it leads. ``tls``: ends there."""

    to: tuple[str, int] = ("127.0.0.1", 0)
    port: int = 0
    tls: ssl.SSLContext | None = None
    slow_s: float = 0.0  # before a new connection is passed on
    passed: list[trio.SocketStream] = field(default_factory=list)
    _listening: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        async with trio.open_nursery() as ways:
            with trio.CancelScope() as self._listening:
                task_status.started()
                await trio.serve_listeners(self._pass_on, [listener], handler_nursery=ways)

    def cut(self) -> None:
        """Everything that is open is reset, as by a machine that has lost its power."""
        for stream in self.passed:
            with suppress(OSError):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.socket.close()
        self.passed.clear()

    def down(self) -> None:
        """The same, and nothing answers there any more."""
        self._listening.cancel()
        self.cut()

    async def _pass_on(self, outside: trio.SocketStream) -> None:
        with suppress(*GONE):
            async with outside:
                await trio.sleep(self.slow_s)
                inside = await trio.open_tcp_stream(*self.to)
                self.passed += (outside, inside)
                plain = self.tls and trio.SSLStream(outside, self.tls, server_side=True, https_compatible=True)
                async with inside, trio.open_nursery() as ways:
                    ways.start_soon(_pump, plain or outside, inside, ways.cancel_scope)
                    ways.start_soon(_pump, inside, plain or outside, ways.cancel_scope)


async def _pump(source: trio.abc.ReceiveStream, sink: trio.abc.SendStream, both: trio.CancelScope) -> None:
    with suppress(*GONE):
        async for data in source:
            await sink.send_all(data)
    both.cancel()
