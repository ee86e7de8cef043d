"""The HTTP upgrade on a plain non-blocking socket: read the head, write the answer. The deadline is the caller's."""

import socket

import trio

from engine.errors import HandshakeFault
from engine.wire.handshake import MAX_HEAD, UpgradeRequest, parse_request, reject

HEAD_S = 5.0  # from the first byte to our answer; the carrier gives up at about the same time
REFUSAL_S = 0.5  # for a refused peer to read why and close


async def read_request(sock: socket.socket, head: bytes) -> UpgradeRequest:
    """Read on from ``head`` until the whole request has come.

    Raises:
        HandshakeFault: not a request, or too long.
        OSError: the peer is gone.
    """
    while (request := parse_request(head)) is None:
        if len(head) >= MAX_HEAD:
            raise HandshakeFault("the request head is too long", 431)
        await trio.lowlevel.wait_readable(sock)
        try:
            more = sock.recv(MAX_HEAD - len(head))
        except BlockingIOError:
            continue
        if not more:
            raise ConnectionResetError("closed in the middle of its request")
        head += more
    return request


async def send_all(sock: socket.socket, data: bytes) -> None:
    """Write everything, waiting where the socket is full.

    Raises:
        OSError: the peer is gone.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[sock.send(view) :]
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)


async def refuse(sock: socket.socket, status: int, reason: str) -> None:
    """Say no, and let the peer read it: closing with unread bytes would reset the connection under our answer."""
    with trio.move_on_after(REFUSAL_S):
        try:
            await send_all(sock, reject(status, reason))
            sock.shutdown(socket.SHUT_WR)
            while True:
                await trio.lowlevel.wait_readable(sock)
                if not sock.recv(MAX_HEAD):
                    return
        except OSError:
            return  # gone already, which is what we wanted
