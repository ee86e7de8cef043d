"""The HTTP beginning of a websocket, for either side, as bytes in and bytes out.

h11 reads and writes the heads; wsproto knows the arithmetic of ``Sec-WebSocket-Accept``.  No subprotocol and no
extension is ever offered, accepted or answered.

The server side judges a head only so far as to say what it is (``UpgradeRequest.is_websocket``): paths, signatures and
admission belong to the server room.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

import h11
from wsproto.utilities import generate_accept_token

from engine.errors import HandshakeFault, HandshakeRefused, MisuseError

MAX_HEAD = 16 * 1024
MAX_REFUSAL_BODY = 4 * 1024  # enough for a provider's JSON error; the rest says nothing more
MAX_QUOTED = 200  # characters of a peer's nonsense in an error

_OURS = frozenset({"host", "upgrade", "connection", "content-length", "transfer-encoding"})
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_DEFAULT_PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """The head of an HTTP request.

    Attributes:
        path: as sent (still percent-encoded), without the query.
        query: what follows the first ``?``, without it.
        headers: by lower-case name; values of a repeated header are joined by a comma and a space.
        key: the ``Sec-WebSocket-Key``; empty unless ``is_websocket``.
        leftover: bytes that came after the head: already frames, or a body.
        is_websocket: a well-formed RFC 6455 handshake, version 13.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    key: str
    leftover: bytes
    is_websocket: bool


# --- server side -----------------------------------------------------------------------------------------------------


def parse_request(data: bytes) -> UpgradeRequest | None:
    """Read a request head from the first bytes of a connection; None where it is not complete yet.

    Give it all bytes so far each time; it keeps nothing.

    Raises:
        HandshakeFault: not HTTP/1.x (status 400), or a head of more than 16 KiB (431).
    """
    if not data:  # to h11 this is the end of the connection
        return None
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    try:
        connection.receive_data(data)
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise HandshakeFault(str(error)[:MAX_QUOTED], error.error_status_hint) from None
    if event is h11.NEED_DATA:
        return None
    if not isinstance(event, h11.Request):
        raise HandshakeFault("no request came")
    leftover = connection.trailing_data[0]
    if len(data) - len(leftover) > MAX_HEAD:
        raise HandshakeFault(f"a request head of more than {MAX_HEAD} bytes", 431)
    headers = _joined(event.headers)
    is_websocket = event.method == b"GET" and event.http_version != b"1.0" and _asks_for_websocket(headers)
    path, _, query = event.target.decode("latin-1").partition("?")
    key = headers["sec-websocket-key"] if is_websocket else ""
    return UpgradeRequest(event.method.decode("ascii"), path, query, headers, key, leftover, is_websocket)


def accept(request: UpgradeRequest) -> bytes:
    """The 101 answer.

    Raises:
        MisuseError: the request is no websocket handshake.
    """
    if not request.is_websocket:
        raise MisuseError("only a websocket handshake can be accepted")
    token = generate_accept_token(request.key.encode("ascii"))
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n"
    )


def reject(status: int, reason: str) -> bytes:
    """Any other answer, after which the connection is to be closed; ``reason`` becomes its plain text body.

    Raises:
        MisuseError: a status that is not 300 to 599.
    """
    if not 300 <= status <= 599:
        raise MisuseError(f"a handshake cannot be rejected with {status}")
    body = reason.encode("utf-8", "replace")
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    if status == HTTPStatus.UPGRADE_REQUIRED:
        headers += [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    headers.append(("Connection", "close"))
    head = f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers
    )
    return head.encode("ascii") + b"\r\n" + body


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _asks_for_websocket(headers: dict[str, str]) -> bool:
    return (
        "websocket" in _tokens(headers, "upgrade")
        and "upgrade" in _tokens(headers, "connection")
        and headers.get("sec-websocket-version") == "13"
        and _is_key(headers.get("sec-websocket-key", ""))
    )


def _tokens(headers: dict[str, str], name: str) -> set[str]:
    return {token.strip().lower() for token in headers.get(name, "").split(",")}


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


# --- client side -----------------------------------------------------------------------------------------------------


class ClientHandshake:
    """Asks a server for a websocket.

    Nothing of the URL or of the headers is repeated in an error: they carry keys.

    Args:
        url: ``ws://`` or ``wss://``, without user or fragment.
        headers: beside those of the handshake itself.

    Raises:
        MisuseError: a URL or a header that cannot be sent.
    """

    def __init__(
        self, url: str, headers: Sequence[tuple[str, str]] = (), key_source: Callable[[int], bytes] = os.urandom
    ) -> None:
        parts = _split(url)
        key = base64.b64encode(key_source(16))
        self._accept_token = generate_accept_token(key)
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._refusal: h11.Response | None = None
        self._body = b""
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        own = [
            ("Host", _host_header(parts)),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key.decode("ascii")),
            ("Sec-WebSocket-Version", "13"),
        ]
        if any(name.lower() in _OURS or name.lower().startswith("sec-websocket-") for name, _ in headers):
            raise MisuseError("a header of the handshake itself was given")
        try:
            sent = self._connection.send(h11.Request(method="GET", target=target, headers=[*own, *headers]))
        except (h11.LocalProtocolError, UnicodeEncodeError):
            raise MisuseError("the URL or a header of a handshake cannot be sent") from None
        assert sent is not None
        self._request = sent

    def request(self) -> bytes:
        """The bytes to send."""
        return self._request

    def receive(self, data: bytes) -> bytes | None:
        """Take bytes off the connection, b"" at its end; what follows the 101 once that came, None until then.

        Raises:
            HandshakeRefused: any other answer (once its body is complete, cut or at its bound), or none that is HTTP.
        """
        try:
            self._connection.receive_data(data)
            return self._read()
        except h11.RemoteProtocolError as error:
            if self._refusal is not None:
                raise self._refused() from None
            raise HandshakeRefused(f"no HTTP answer: {error}"[:MAX_QUOTED]) from None

    def _read(self) -> bytes | None:
        while True:
            event = self._connection.next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.InformationalResponse) and event.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
                self._check_switch(_joined(event.headers))
                return self._connection.trailing_data[0]
            if isinstance(event, h11.Response):
                self._refusal = event
            elif isinstance(event, h11.Data):
                self._body = (self._body + bytes(event.data))[:MAX_REFUSAL_BODY]
                if len(self._body) == MAX_REFUSAL_BODY:
                    raise self._refused()
            elif isinstance(event, h11.EndOfMessage):
                raise self._refused()
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                raise HandshakeRefused("the connection ended without an answer")

    def _check_switch(self, headers: dict[str, str]) -> None:
        token = headers.get("sec-websocket-accept", "").encode("latin-1")
        if "websocket" not in _tokens(headers, "upgrade") or "upgrade" not in _tokens(headers, "connection"):
            raise HandshakeRefused("the server switched to something else", status=101)
        if not hmac.compare_digest(token, self._accept_token):
            raise HandshakeRefused("the server's accept token is not the answer to our key", status=101)
        if "sec-websocket-extensions" in headers or "sec-websocket-protocol" in headers:
            raise HandshakeRefused("the server chose what was not offered", status=101)

    def _refused(self) -> HandshakeRefused:
        assert self._refusal is not None
        status = self._refusal.status_code
        return HandshakeRefused(f"the server answered {status}", status=status, body=self._body)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        whole = parts.scheme in _DEFAULT_PORTS and parts.hostname and parts.port != 0
        if whole and "@" not in parts.netloc and not parts.fragment:
            return parts
    except ValueError:
        pass
    raise MisuseError("a websocket URL is ws://host or wss://host, with neither user nor fragment")


def _host_header(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    if parts.port is None or parts.port == _DEFAULT_PORTS[parts.scheme]:
        return host
    return f"{host}:{parts.port}"
