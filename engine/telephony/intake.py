"""Bytes in from a non-blocking socket, and no more of them than a telephone could have said.

A line says 50 messages a second, some 17 kB. Whatever holds it up comes later in one burst, so that a line which has
been quiet may say a lot at once; a line that says more than that is no telephone. Its bytes wait in the kernel, which
makes their sender wait too, and the plane's time stays with the other lines.
"""

import socket

AT_ONCE = 4096  # bytes in one read, so in 5 ms: 0.25 s of a telephone, and less than 1 ms of ours, whatever is in it
BURST = 262_144  # bytes: 15 s of a telephone, longer than a line may be silent
PER_S = 65_536  # bytes: four times what a telephone says
LEAST = 512  # bytes; below it a read is not worth its cost


class Intake:
    """The reading half of one socket."""

    def __init__(self, sock: socket.socket, now: float) -> None:
        self._socket = sock
        self._allowed = float(BURST)
        self._at = now
        self.received_bytes = 0

    def read(self, now: float) -> bytes | None:
        """What has come, at most ``AT_ONCE``; nothing at the peer's end; None where it has to wait.

        Raises:
            OSError: the peer is gone.
        """
        self._allowed = min(float(BURST), self._allowed + (now - self._at) * PER_S)
        self._at = now
        if self._allowed < LEAST:
            return None
        try:
            data = self._socket.recv(min(AT_ONCE, int(self._allowed)))
        except (BlockingIOError, InterruptedError):
            return None
        self._allowed -= len(data)
        self.received_bytes += len(data)
        return data
