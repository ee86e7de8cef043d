import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, RejectData, Request

from engine.errors import HandshakeFault, HandshakeRefused, MisuseError
from engine.wire.handshake import MAX_HEAD, MAX_REFUSAL_BODY, ClientHandshake, accept, parse_request, reject

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
RFC_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
UPGRADE = {
    "Host": "voice.example.com",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def head(start: str = "GET /twilio/media HTTP/1.1", **changes: str | None) -> bytes:
    headers = dict(UPGRADE)
    for name, value in changes.items():
        spelled = name.replace("_", "-")
        headers.pop(spelled, None)
        if value is not None:
            headers[spelled] = value
    return "\r\n".join([start, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode("latin-1")


def answer_of(status_line: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([status_line, *headers, "", ""]).encode() + body


def switching(accept_token: str = RFC_ACCEPT, *more: str) -> bytes:
    return answer_of(
        "HTTP/1.1 101 Switching Protocols", "Upgrade: WebSocket", "Connection: upgrade",
        f"Sec-WebSocket-Accept: {accept_token}", *more,
    )  # fmt: skip


def handshake(url: str = "ws://voice.example.com/x", *headers: tuple[str, str]) -> ClientHandshake:
    return ClientHandshake(url, headers, key_source=lambda count: b"the sample nonce"[:count])


# --- server side -----------------------------------------------------------------------------------------------------


def test_a_request_is_taken_apart_and_what_follows_its_head_is_kept() -> None:
    request = parse_request(head("GET /a%20b/c?x=1&y=? HTTP/1.1", X_Twilio_Signature="abc=") + b"\x81\x80abcd")
    assert request is not None
    assert (request.method, request.path, request.query) == ("GET", "/a%20b/c", "x=1&y=?")
    assert request.headers["x-twilio-signature"] == "abc="
    assert request.headers["host"] == "voice.example.com"
    assert (request.is_websocket, request.key, request.leftover) == (True, KEY, b"\x81\x80abcd")


def test_every_beginning_of_a_request_needs_more() -> None:
    whole = head()
    assert all(parse_request(whole[:end]) is None for end in range(len(whole)))
    assert parse_request(whole) is not None


def test_other_requests_are_read_too_but_are_no_websocket() -> None:
    request = parse_request(b"POST /twilio/voice HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b")
    assert request is not None
    assert (request.method, request.path, request.is_websocket, request.key) == ("POST", "/twilio/voice", False, "")
    assert request.leftover == b"a=b"


@pytest.mark.parametrize(
    "data",
    [
        head(Upgrade=None),
        head(Upgrade="h2c"),
        head(Connection="keep-alive"),
        head(Sec_WebSocket_Version="8"),
        head(Sec_WebSocket_Version=None),
        head(Sec_WebSocket_Key=None),
        head(Sec_WebSocket_Key="c2hvcnQ="),
        head(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ"),
        head("POST /twilio/media HTTP/1.1"),
        head("GET /twilio/media HTTP/1.0"),
    ],
)
def test_half_a_handshake_is_no_websocket_and_cannot_be_accepted(data: bytes) -> None:
    request = parse_request(data)
    assert request is not None
    assert not request.is_websocket
    with pytest.raises(MisuseError):
        accept(request)


def test_a_repeated_key_is_no_key() -> None:
    twice = head().replace(b"Upgrade: websocket", f"Upgrade: websocket\r\nSec-WebSocket-Key: {KEY}".encode())
    request = parse_request(twice)
    assert request is not None
    assert request.headers["sec-websocket-key"] == f"{KEY}, {KEY}"
    assert not request.is_websocket


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        (head(X_Long="x" * MAX_HEAD), 431),
        (head(X_Long="x" * MAX_HEAD)[:-20], 431),
    ],
)
def test_what_is_no_request_is_a_fault_with_its_status(data: bytes, status: int) -> None:
    with pytest.raises(HandshakeFault) as caught:
        parse_request(data)
    assert caught.value.status == status
    assert len(str(caught.value)) <= 300


def test_much_data_after_a_small_head_is_no_fault() -> None:
    request = parse_request(head() + bytes(3 * MAX_HEAD))
    assert request is not None
    assert len(request.leftover) == 3 * MAX_HEAD


@given(st.binary(max_size=300))
def test_noise_is_more_needed_or_a_handshake_fault(noise: bytes) -> None:
    for data in (noise, head()[:60] + noise, head()[:-2] + noise):
        try:
            request = parse_request(data)
        except HandshakeFault as fault:
            assert 400 <= fault.status < 500  # noqa: PT017  # most noise is, some is not
        else:
            assert request is None or request.headers["host"]


def test_accepting_answers_the_key_and_nothing_else() -> None:
    request = parse_request(head(Sec_WebSocket_Protocol="audio", Sec_WebSocket_Extensions="permessage-deflate"))
    assert request is not None
    said = accept(request)
    assert f"Sec-WebSocket-Accept: {RFC_ACCEPT}\r\n".encode() in said
    assert b"Protocol:" not in said
    assert b"Extensions" not in said


def test_wsproto_as_the_client_takes_our_acceptance() -> None:
    peer = WSConnection(ConnectionType.CLIENT)
    request = parse_request(peer.send(Request(host="voice.example.com", target="/twilio/media")))
    assert request is not None
    peer.receive_data(accept(request))
    assert [type(event) for event in peer.events()] == [AcceptConnection]


def test_wsproto_as_the_client_understands_our_refusal() -> None:
    peer = WSConnection(ConnectionType.CLIENT)
    peer.send(Request(host="voice.example.com", target="/twilio/media"))
    peer.receive_data(reject(403, "the signature is not the carrier's"))
    refusal, body, *_ = peer.events()
    assert isinstance(refusal, RejectConnection)
    assert refusal.status_code == 403
    assert isinstance(body, RejectData)
    assert body.data == b"the signature is not the carrier's"


def test_a_refusal_cannot_smuggle_headers() -> None:
    said = reject(400, "no\r\nSet-Cookie: a=b")
    assert b"Set-Cookie" not in said.partition(b"\r\n\r\n")[0]


def test_refusing_a_version_names_ours() -> None:
    assert b"Sec-WebSocket-Version: 13\r\n" in reject(426, "")
    assert b"Sec-WebSocket-Version" not in reject(400, "")


def test_a_handshake_is_not_rejected_with_a_success() -> None:
    with pytest.raises(MisuseError):
        reject(200, "fine")


# --- client side -----------------------------------------------------------------------------------------------------


def test_our_request_asks_for_a_websocket_at_the_url() -> None:
    request = parse_request(handshake("ws://voice.example.com:8080/a/b?key=s%20x&y", ("X-Api-Key", "k")).request())
    assert request is not None
    assert request.is_websocket
    assert (request.path, request.query) == ("/a/b", "key=s%20x&y")
    assert request.headers["host"] == "voice.example.com:8080"
    assert request.headers["x-api-key"] == "k"
    assert request.key == KEY


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("wss://a.example:443", "a.example"),
        ("ws://a.example:80/", "a.example"),
        ("wss://a.example:80/", "a.example:80"),
        ("ws://[::1]:9000/x", "[::1]:9000"),
        ("ws://[::1]/x", "[::1]"),
    ],
)
def test_the_host_header_names_a_port_only_where_it_is_not_the_default(url: str, host: str) -> None:
    request = parse_request(handshake(url).request())
    assert request is not None
    assert request.headers["host"] == host


def test_each_handshake_has_its_own_key() -> None:
    assert ClientHandshake("ws://a/", []).request() != ClientHandshake("ws://a/", []).request()


def test_a_valid_answer_opens_and_gives_what_follows() -> None:
    whole = switching() + b"\x81\x02hi"
    for split in range(len(switching())):
        client = handshake()
        assert client.receive(whole[:split] or b"HTTP") is None
        if split >= 4:
            assert client.receive(whole[split:]) == b"\x81\x02hi"


def test_wsproto_as_the_server_takes_our_request() -> None:
    peer, client = WSConnection(ConnectionType.SERVER), handshake("ws://a.example/live?key=k")
    peer.receive_data(client.request())
    (event,) = peer.events()
    assert isinstance(event, Request)
    assert (event.host, event.target, event.subprotocols, event.extensions) == ("a.example", "/live?key=k", [], [])
    assert client.receive(peer.send(AcceptConnection())) == b""


def test_an_early_hint_is_passed_over() -> None:
    assert handshake().receive(answer_of("HTTP/1.1 103 Early Hints", "Link: </x>") + switching()) == b""


@pytest.mark.parametrize(
    "answer",
    [
        switching("AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        switching().replace(b"Sec-WebSocket-Accept", b"X-Accept"),
        switching().replace(b"Upgrade: WebSocket", b"Upgrade: h2c"),
        switching().replace(b"Connection: upgrade", b"Connection: close"),
        switching(RFC_ACCEPT, "Sec-WebSocket-Extensions: permessage-deflate"),
        switching(RFC_ACCEPT, "Sec-WebSocket-Protocol: chat"),
    ],
)
def test_a_101_that_does_not_answer_our_handshake_is_refused(answer: bytes) -> None:
    with pytest.raises(HandshakeRefused) as caught:
        handshake().receive(answer)
    assert caught.value.status == 101


def test_another_answer_is_refused_with_its_status_and_body_once_that_is_whole() -> None:
    client = handshake()
    whole = answer_of("HTTP/1.1 403 Forbidden", "Content-Length: 12", body=b'{"error": 1}')
    assert client.receive(whole[:-5]) is None
    with pytest.raises(HandshakeRefused) as caught:
        client.receive(whole[-5:])
    assert (caught.value.status, caught.value.body) == (403, b'{"error": 1}')


def test_a_body_cut_by_the_end_of_the_connection_is_told_as_far_as_it_came() -> None:
    for framing in ("Content-Length: 12", "Connection: close"):
        client = handshake()
        assert client.receive(answer_of("HTTP/1.1 500 Oops", framing, body=b"half")) is None
        with pytest.raises(HandshakeRefused) as caught:
            client.receive(b"")
        assert (caught.value.status, caught.value.body) == (500, b"half")


def test_an_endless_body_is_cut() -> None:
    client = handshake()
    assert client.receive(answer_of("HTTP/1.1 400 Bad Request", "Connection: close", body=b"x" * 1000)) is None
    with pytest.raises(HandshakeRefused) as caught:
        client.receive(b"x" * 10_000)
    assert caught.value.body == b"x" * MAX_REFUSAL_BODY


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x16", b"x" * (MAX_HEAD + 1), b""])
def test_an_answer_that_is_not_http_is_refused_without_a_status(answer: bytes) -> None:
    with pytest.raises(HandshakeRefused) as caught:
        handshake().receive(answer)
    assert caught.value.status is None
    assert len(str(caught.value)) <= 300


@given(st.lists(st.binary(max_size=60), max_size=4), st.integers(0, 140))
def test_noise_in_an_answer_raises_nothing_but_a_refusal(noise: list[bytes], good: int) -> None:
    client = handshake()
    try:
        for piece in [switching()[:good], *noise]:
            if piece and client.receive(piece) is not None:
                return
    except HandshakeRefused:
        return


@pytest.mark.parametrize(
    "url", ["http://a/", "a.example/x", "wss://", "ws://user:secret@a/", "ws://a/#secret", "ws://a:99999/", "ws://[a/"]
)
def test_a_url_that_is_no_websocket_is_misuse_and_not_repeated(url: str) -> None:
    with pytest.raises(MisuseError) as caught:
        handshake(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("ws://a/", ("X-Key", "secret\r\nX-Other: 1")),
        ("ws://a/", ("X-Key", "secrét\u20ac")),
        ("ws://a/", ("Host", "secret")),
        ("ws://a/", ("Sec-WebSocket-Key", "secret")),
        ("ws://a/?key=sécret", ("X-Key", "1")),
        ("ws://a/?key= secret", ("X-Key", "1")),
    ],
)
def test_what_cannot_be_sent_is_misuse_and_its_secret_is_not_repeated(url: str, header: tuple[str, str]) -> None:
    with pytest.raises(MisuseError) as caught:
        handshake(url, header)
    assert "cret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
