"""A TCP connection for what is said many times a second: a ``trio.abc.Stream`` without a step of the loop per send.

``trio.SocketStream`` makes every send and receive a checkpoint, and tries to receive before it waits. Here nearly every
send is one system call, made at once (``send_now``), and a receive waits first, since what a peer says live is hardly
ever there already. Who sends lets others run elsewhere: an actor that sends what it took from a channel waited there.
"""

import socket

import trio

_GONE = "the connection broke"


class TcpStream(trio.abc.Stream):
    """One connected socket, which it owns. For one task that receives and one at a time that sends."""

    def __init__(self, connected: trio.SocketStream) -> None:
        """Takes the socket out of ``connected``, which is of no use any more."""
        self._socket = socket.socket(fileno=connected.socket.detach())
        self._socket.setblocking(False)
        self._is_sending = False

    @property
    def can_send_now(self) -> bool:
        """Whether nothing is half sent, which ``send_now`` would come into the middle of."""
        return not self._is_sending

    def send_now(self, data: bytes | bytearray | memoryview) -> int:
        """Hand over what the system takes at once; returns how many bytes that is. A plain call.

        Raises:
            trio.ClosedResourceError: closed by us.
            trio.BrokenResourceError: by the peer, or the network.
        """
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            if self._socket.fileno() < 0:
                raise trio.ClosedResourceError("this connection was closed") from None
            raise trio.BrokenResourceError(_GONE) from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See ``trio.abc.SendStream``; no checkpoint where all of it is taken at once."""
        sent = self.send_now(data)
        if sent == len(data):
            return
        self._is_sending = True
        try:
            while sent < len(data):
                await self.wait_send_all_might_not_block()
                sent += self.send_now(memoryview(data)[sent:])
        finally:
            self._is_sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """See ``trio.abc.SendStream``."""
        if self._socket.fileno() < 0:
            raise trio.ClosedResourceError("this connection was closed")
        await trio.lowlevel.wait_writable(self._socket)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See ``trio.abc.ReceiveStream``; always a checkpoint."""
        while True:
            if self._socket.fileno() < 0:
                raise trio.ClosedResourceError("this connection was closed")
            await trio.lowlevel.wait_readable(self._socket)
            if (data := self.receive_now(max_bytes or 65536)) is not None:
                return data

    def receive_now(self, max_bytes: int) -> bytes | None:
        """What is there; empty at the end, None where nothing is there yet. A plain call.

        Raises:
            trio.BrokenResourceError: by the peer, or the network.
        """
        try:
            return self._socket.recv(max_bytes)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            if self._socket.fileno() < 0:
                raise trio.ClosedResourceError("this connection was closed") from None
            raise trio.BrokenResourceError(_GONE) from error

    async def aclose(self) -> None:
        """See ``trio.abc.AsyncResource``; whoever waits for it is told ``ClosedResourceError``."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()
