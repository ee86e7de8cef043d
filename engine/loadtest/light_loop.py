"""The loop of the light peers: sockets and timers of one process, as plain calls.

Why not trio, as everywhere else?  Here thousands of messages a second are answered with bytes that lie ready, so waking
up is most of the work: a wake-up of trio with a deadline costs 120 us on a busy core, this one 15, and what the
simulated model uses of the core is taken from the callers.  Nothing of the product runs on it.

Members are functions without arguments.  What one of them raises ends the process, and so the test: a load test with a
broken peer has nothing to say.
"""

import selectors
import socket
import time
from collections.abc import Callable
from heapq import heappop, heappush

Call = Callable[[], None]


class Loop:
    """``run`` until ``stop``; everything else is called from within, or before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Call]] = []
        self._made = 0
        self._running = True

    def watch(self, source: socket.socket | int, readable: Call) -> None:
        """Call this whenever something can be read there."""
        self._selector.register(source, selectors.EVENT_READ, readable)

    def forget(self, source: socket.socket | int) -> None:
        """Before it is closed."""
        self._selector.unregister(source)

    def close(self) -> None:
        """Let go of all sockets that are watched."""
        for key in self._selector.get_map().values():
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def at(self, due: float, call: Call) -> None:
        """Call this then. It cannot be taken back: who no longer wants it sees so when it comes."""
        self._made += 1
        heappush(self._timers, (due, self._made, call))

    def listen(self, accepted: Callable[[socket.socket], None]) -> int:
        """Accept connections on loopback, non-blocking and without Nagle's delay; the port."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        listener.setblocking(False)

        def accept() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except BlockingIOError:
                    return
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                accepted(sock)

        self.watch(listener, accept)
        port: int = listener.getsockname()[1]
        return port

    def run(self) -> None:
        """Turn until ``stop``."""
        while self._running:
            self.turn(None if not self._timers else max(0.0, self._timers[0][0] - self.clock()))

    def stop(self) -> None:
        """This turn is the last."""
        self._running = False

    def turn(self, wait_s: float | None) -> None:
        """Once: what can be read by then, and what is due."""
        for key, _ in self._selector.select(wait_s):
            key.data()
        now = self.clock()
        while self._timers and self._timers[0][0] <= now:
            heappop(self._timers)[2]()
