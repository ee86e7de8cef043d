"""Opens the websocket of a media stream, as the carrier does, and hands over its bare socket.

No subprotocol, no extension, no ``Origin``; a query string in the URL is dropped and said. What goes wrong is a
``DialFailed`` with the carrier's code: 31901 too slow, 31902 refused, 31904 unreachable, 31920 not answered with 101.
"""

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import trio

from engine.errors import HandshakeRefused, MisuseError
from engine.sim.carrier_web import CarrierAccount, Signing, reachable, signature
from engine.wire.handshake import ClientHandshake

DIAL_S = 5.0
USER_AGENT = "Twilio.TmeWs/1.0"
RECEIVE_BYTES = 16384


@dataclass(frozen=True, slots=True)
class DialFailed:
    """No stream came about."""

    code: int
    detail: str


@dataclass(frozen=True, slots=True)
class Dialled:
    """A socket (non-blocking, ours to close) after its handshake, and what the server sent behind it."""

    sock: socket.socket
    leftover: bytes


def stream_address(account: CarrierAccount, url: str) -> tuple[str, str | None] | DialFailed:
    """The URL to sign and dial, and a word about what was dropped from it.

    Plain ``ws`` is taken only where the gateway's own origin is plain http: a carrier would refuse it with 31922.
    """
    parts = urlsplit(url)
    plain = urlsplit(account.origin).scheme == "http"
    if parts.scheme != "wss" and not (plain and parts.scheme == "ws"):
        return DialFailed(31922, f"{parts.scheme!r} is not wss")
    if not parts.hostname:
        return DialFailed(31923, f"{url!r} names no host")
    dropped = "the query string of the stream's URL is dropped" if parts.query else None
    return urlunsplit(parts._replace(query="", fragment="")), dropped


async def dial_stream(account: CarrierAccount, url: str, signing: Signing) -> Dialled | DialFailed:
    """Connect and shake hands within ``DIAL_S``; ``url`` as ``stream_address`` gave it."""
    target = urlsplit(reachable(account, url))
    if target.scheme == "wss":
        return DialFailed(31910, "the simulated carrier speaks to its gateway without TLS")
    headers = {"User-Agent": USER_AGENT, **signature(account, url, {}, signing)}
    stream: trio.SocketStream | None = None
    try:
        with trio.fail_after(DIAL_S):
            stream = await trio.open_tcp_stream(target.hostname or "", target.port or 80)
            leftover = await _shake_hands(stream, ClientHandshake(url, list(headers.items())))
        sock = socket.socket(fileno=stream.socket.detach())
        sock.setblocking(False)
        return Dialled(sock, leftover)
    except trio.TooSlowError:
        return DialFailed(31901, f"no answer within {DIAL_S:g} s")
    except HandshakeRefused as refused:
        return DialFailed(31920, f"not 101 but {refused.status}: {refused}")
    except trio.BrokenResourceError:
        return DialFailed(31920, "the connection was reset during the handshake")
    except (OSError, MisuseError) as error:
        return DialFailed(31902 if _was_refused(error) else 31904, str(error))
    finally:
        if stream is not None:
            stream.socket.close()  # nothing where it was detached


def _was_refused(error: Exception) -> bool:
    tried = error.__cause__.exceptions if isinstance(error.__cause__, ExceptionGroup) else (error,)
    return all(isinstance(attempt, ConnectionRefusedError) for attempt in tried)


async def _shake_hands(stream: trio.SocketStream, handshake: ClientHandshake) -> bytes:
    await stream.send_all(handshake.request())
    while True:
        leftover = handshake.receive(await stream.receive_some(RECEIVE_BYTES))
        if leftover is not None:
            return leftover
