"""Bytes out of a non-blocking socket, in order, with a bounded backlog: never waits, never grows without end."""

import socket

BACKLOG_BYTES = 262_144  # 24 s of audio as base64: a carrier that is this far behind reads nothing any more


class OutboxBroken(Exception):
    """The peer is gone, or reads nothing any more; the text says which."""


class Outbox:
    """The writing half of one socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._backlog = bytearray()
        self.sent_bytes = 0

    @property
    def backlog_bytes(self) -> int:
        """What the kernel has not taken yet."""
        return len(self._backlog)

    def write(self, data: bytes = b"") -> None:
        """Send as much as the kernel takes now; keep the rest for the next call.

        Raises:
            OutboxBroken: nothing written so far is known to arrive.
        """
        if self._backlog:
            self._backlog += data
            data = bytes(self._backlog)
            self._backlog.clear()
        if not data:
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            raise OutboxBroken(error.strerror or "reset") from None
        self.sent_bytes += sent
        if sent < len(data):
            self._backlog += data[sent:]
            if len(self._backlog) > BACKLOG_BYTES:
                raise OutboxBroken("the peer reads nothing any more")
