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
_COUNTED_S = 0.25  # what may be said grows in steps of so long: counting it in every read would cost as much as that


class Intake:
    """The reading half of one socket."""

    def __init__(self, sock: socket.socket, now: float) -> None:
        self._socket = sock
        self._allowed = float(BURST)
        self._at = now
        self.received_bytes = 0
        self.has_more = False
        """Whether the last read left something behind, as far as can be known."""

    def read(self, now: float) -> bytes | None:
        """What has come, at most ``AT_ONCE``; nothing at the peer's end; None where it has to wait.

        Raises:
            OSError: the peer is gone.
        """
        if self._allowed < AT_ONCE or now - self._at > _COUNTED_S:
            self._allowed = min(float(BURST), self._allowed + (now - self._at) * PER_S)
            self._at = now
        self.has_more = True
        if self._allowed < LEAST:
            return None
        most = AT_ONCE if self._allowed >= AT_ONCE else int(self._allowed)
        try:
            data = self._socket.recv(most)
        except (BlockingIOError, InterruptedError):
            self.has_more = False
            return None
        size = len(data)
        self.has_more = size == most
        self._allowed -= size
        self.received_bytes += size
        return data
