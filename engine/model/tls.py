"""TLS over a TCP connection, for one task that receives and one at a time that sends: all that has come at once.

``trio.SSLStream`` does the work. But it gives one record at a time, which is one message of a model's, each with a step
of the loop and whatever is done per read; and it cannot say what has come without waiting. So the two buffers between
it and the TLS machine, which it makes by ``SSLContext.wrap_bio``, are kept at hand: what is there is read at once.
"""

import ssl
from typing import Any, cast

import trio

from engine.model.tcp import TcpStream


class _Wrapping:
    """In place of an ``SSLContext``, for the one method that ``trio.SSLStream`` calls; remembers what passed."""

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    machine: ssl.SSLObject

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **options: Any) -> ssl.SSLObject:
        """See ``ssl.SSLContext``."""
        self.incoming, self.outgoing = incoming, outgoing
        self.machine = self._context.wrap_bio(incoming, outgoing, **options)
        return self.machine


class TlsStream(trio.abc.Stream):
    """One connection, which it owns; the handshake is done by whatever is sent or received first.

    Does not wait for the peer's last record when closing, and takes its plain hang-up for an end, as HTTPS does.
    """

    def __init__(self, tcp: TcpStream, context: ssl.SSLContext, host: str) -> None:
        self._tcp = tcp
        self._kept = _Wrapping(context)
        self._tls = trio.SSLStream(tcp, cast("ssl.SSLContext", self._kept), server_hostname=host, https_compatible=True)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See ``trio.abc.ReceiveStream``; every record that is there, not only the first."""
        most = max_bytes or 65536
        first = bytes(await self._tls.receive_some(most))
        return first + self._decrypted(most - len(first)) if 0 < len(first) < most else first

    def receive_now(self, max_bytes: int) -> bytes | None:
        """What is there; None where nothing is, or only the end, which ``receive_some`` tells. A plain call.

        After the handshake, while nobody waits in ``receive_some``.

        Raises:
            trio.ClosedResourceError: closed by us.
            trio.BrokenResourceError: by the peer, or the network.
        """
        if not (data := self._decrypted(max_bytes)):
            sealed = self._tcp.receive_now(max_bytes)
            if not sealed:
                return None
            self._kept.incoming.write(sealed)
            data = self._decrypted(max_bytes)
        return data or None

    def _decrypted(self, most: int) -> bytes:
        records = []
        try:
            while record := self._kept.machine.read(most):
                records.append(record)
                most -= len(record)
        except (ssl.SSLWantReadError, ssl.SSLEOFError):
            pass  # nothing whole is left; that it is over, who receives next is told
        except ssl.SSLError as error:
            if not records:
                raise trio.BrokenResourceError("what came is no TLS") from error
        return b"".join(records)

    @property
    def can_send_now(self) -> bool:
        """Whether all that was sealed is out."""
        return self._tcp.can_send_now and not self._kept.outgoing.pending

    def send_now(self, data: bytes | bytearray | memoryview) -> int:
        """Seal it, and hand over what the system takes at once; returns how many bytes that settles: all. A plain call.

        After the handshake, where ``can_send_now`` and nobody sends. What the system does not take goes out with what
        is sent next.

        Raises:
            trio.ClosedResourceError: closed by us.
            trio.BrokenResourceError: by the peer, or the network.
        """
        try:
            self._kept.machine.write(data)
        except ssl.SSLError as error:
            raise trio.BrokenResourceError("this connection can seal nothing") from error
        sealed = self._kept.outgoing.read()
        if rest := sealed[self._tcp.send_now(sealed) :]:
            self._kept.outgoing.write(rest)
        return len(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See ``trio.abc.SendStream``."""
        await self._tls.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """See ``trio.abc.SendStream``."""
        await self._tls.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """See ``trio.abc.AsyncResource``."""
        await self._tls.aclose()
