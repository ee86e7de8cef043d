"""Both lean connections over a socket pair: plain, and under TLS with its handshake done."""

import socket
import ssl
from functools import cache

import trio
import trustme

from engine.model.tcp import TcpStream
from engine.model.tls import TlsStream


@cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server called ``model.test``, and of a client that trusts it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("model.test").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


def plain() -> tuple[TcpStream, trio.SocketStream]:
    """Ours and theirs."""
    ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in socket.socketpair())
    return TcpStream(ours), theirs


async def secured() -> tuple[TlsStream, trio.abc.Stream]:
    """Ours and theirs, after one byte each way."""
    tcp, their_end = plain()
    server, client = contexts()
    ours = TlsStream(tcp, client, "model.test")
    theirs = trio.SSLStream(their_end, server, server_side=True, https_compatible=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, b"?")
        assert await theirs.receive_some(1) == b"?"
    await theirs.send_all(b"!")
    assert await ours.receive_some(1) == b"!"
    return ours, theirs
