"""What a worker and its parent say to each other over a pair of sockets. Neither ever waits for the other.

The worker sends beats, a JSON line each; the parent sends orders, a byte each. The kernel closes the pair when either
dies, however: end of file is how each learns of the other's death.
"""

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum

import orjson

BEAT_S = 0.25
LINE_BYTES = 4096


class Order(Enum):
    """What a parent may ask of its worker."""

    LEAVE = b"L"  # others carry on: accept nothing more, finish, then move what is left to them
    END = b"E"  # the service ends: new calls get the static script, finish, then move what is left to that
    NOW = b"N"  # the operator does not want to wait


@dataclass(frozen=True, slots=True)
class Beat:
    """A worker is alive. ``ready``: it accepts connections, as a whole gateway. ``calls``: on its lines now."""

    ready: bool
    calls: int


class BeatReader:
    """Bytes of the link -> beats. PURE."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Beat]:
        """Every whole beat in it; what is not one is passed over: the sender may die in the middle of a line."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-LINE_BYTES:]
        for line in lines:
            try:
                said = orjson.loads(line)
                yield Beat(ready=bool(said["ready"]), calls=int(said["calls"]))
            except (ValueError, KeyError, TypeError):
                continue


def encode(beat: Beat) -> bytes:
    """As ``BeatReader`` reads it."""
    return orjson.dumps(asdict(beat), option=orjson.OPT_APPEND_NEWLINE)


def send(link: socket.socket, data: bytes) -> None:
    """Send it now or not at all: what is lost is a beat, or meant for somebody who has gone."""
    with suppress(OSError):  # full: the other side is stuck, and its silence says so; broken: the link's end says so
        link.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
