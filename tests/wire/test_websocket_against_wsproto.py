"""Our codec and wsproto's, joined by a fake link: what one says the other hears, and both refuse the same."""

from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, ParseFailed

from engine.errors import WebSocketFault
from engine.wire.websocket import BINARY, CLOSE, PING, PONG, TEXT, Role, WebSocketCodec, parse_close
from tests.wire.frames import raw_frame

Heard: TypeAlias = list[tuple[int, bytes | tuple[int | None, str]]]

SIDES = pytest.mark.parametrize(
    ("role", "other"), [(Role.SERVER, ConnectionType.CLIENT), (Role.CLIENT, ConnectionType.SERVER)]
)


class Theirs:
    """wsproto's frame protocol, telling what it hears in our words."""

    def __init__(self, side: ConnectionType) -> None:
        self._protocol = FrameProtocol(side is ConnectionType.CLIENT, [])
        self._parts: list[bytes] = []

    def hear(self, data: bytes) -> tuple[Heard, int | None]:
        """What was heard, and the close code of the fault that ended it, if one did."""
        heard: Heard = []
        try:
            self._protocol.receive_bytes(data)
            for frame in self._protocol.received_frames():
                heard += self._told(frame)
        except ParseFailed as error:
            return heard, int(error.code)
        return heard, None

    def _told(self, frame: Frame) -> Heard:
        payload = frame.payload
        if isinstance(payload, tuple):
            code, reason = payload
            return [(CLOSE, (None if code == CloseReason.NO_STATUS_RCVD else int(code), reason))]
        body = payload.encode() if isinstance(payload, str) else bytes(payload)
        if frame.opcode.iscontrol():
            return [(int(frame.opcode), body)]
        self._parts.append(body)
        if not frame.message_finished:
            return []
        whole = b"".join(self._parts)
        self._parts.clear()
        return [(int(frame.opcode), whole)]


def ours(codec: WebSocketCodec, data: bytes) -> tuple[Heard, int | None]:
    fault: int | None = None
    try:
        messages = codec.receive_data(data)
    except WebSocketFault as error:
        messages, fault = list(error.decoded), error.close_code
    heard: Heard = []
    for opcode, body in messages:
        heard.append((opcode, parse_close(body) if opcode == CLOSE else body))
    return heard, fault


BAD_GATEWAY = (1014).to_bytes(2, "big")  # registered after wsproto's list was made: we take it, wsproto does not

texts = st.text(max_size=300)
payloads = st.one_of(
    st.binary(max_size=300), st.integers(0, 70_000).map(lambda size: bytes(range(256)) * (size // 256))
)
controls = st.binary(max_size=125)
events = st.one_of(
    st.builds(TextMessage, data=texts, message_finished=st.booleans()),
    st.builds(BytesMessage, data=payloads, message_finished=st.booleans()),
    st.builds(Ping, payload=controls),
    st.builds(Pong, payload=controls),
)


def legal(said: list[Event]) -> list[Event]:
    """The same without what would change a message's kind under way."""
    kept: list[Event] = []
    under_way: type | None = None
    for event in said:
        if isinstance(event, TextMessage | BytesMessage):
            if under_way not in {None, type(event)}:
                continue
            under_way = None if event.message_finished else type(event)
        kept.append(event)
    return kept


@SIDES
@given(
    said=st.lists(events, max_size=6),
    splits=st.lists(st.integers(1, 200), max_size=20),
    code=st.sampled_from([None, 1000, 4003]),
)
def test_what_wsproto_says_we_hear(
    role: Role, other: ConnectionType, said: list[Event], splits: list[int], code: int | None
) -> None:
    speaker, codec = Connection(other), WebSocketCodec(role, max_message=1 << 20)
    witness = Theirs(ConnectionType.SERVER if role is Role.SERVER else ConnectionType.CLIENT)
    close = (
        CloseConnection(code=CloseReason.NO_STATUS_RCVD)
        if code is None
        else CloseConnection(code=code, reason="bis später")
    )
    data = b"".join(speaker.send(event) for event in [*legal(said), close])
    expected, fault = witness.hear(data)
    assert fault is None
    heard: Heard = []
    for split in splits:
        heard += ours(codec, data[:split])[0]
        data = data[split:]
    heard += ours(codec, data)[0]
    assert heard == expected
    assert heard[-1] == (CLOSE, (code, "" if code is None else "bis später"))


@SIDES
@given(text=texts, payload=payloads, control=controls)
def test_what_we_say_wsproto_hears(
    role: Role, other: ConnectionType, text: str, payload: bytes, control: bytes
) -> None:
    codec, listener = WebSocketCodec(role), Theirs(other)
    data = (
        codec.text(text.encode())
        + codec.binary(payload)
        + codec.ping(control)
        + codec.pong(control)
        + codec.close(1011, "wir hören auf")
    )
    expected: Heard = [(TEXT, text.encode()), (BINARY, payload), (PING, control), (PONG, control)]
    assert listener.hear(data) == ([*expected, (CLOSE, (1011, "wir hören auf"))], None)


heads = st.sampled_from(
    [0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0x08, 0x09, 0x03, 0x83, 0x8B, 0xC1, 0x92]
)
bodies = st.one_of(
    texts.map(str.encode),
    st.binary(max_size=140),
    st.sampled_from([b"\xff", b"\xc3", b"\xa9", b"\xed\xa0\x80", bytes(125), bytes(126), bytes(200), b"\x03"]),
    st.integers(0, 5001).map(lambda code: code.to_bytes(2, "big")),
    st.sampled_from([1000, 1005, 1015, 3000]).map(lambda code: code.to_bytes(2, "big") + b"\xc3\xa9"),
).filter(lambda body: not body.startswith(BAD_GATEWAY))
wild_frames = st.builds(
    raw_frame,
    heads,
    bodies,
    mask=st.sampled_from([b"abcd", b"abcd", b"abcd", None]),
    field_bytes=st.sampled_from([None, None, None, 2, 8]),
)


@given(frames=st.lists(wild_frames, min_size=1, max_size=6))
def test_we_refuse_what_wsproto_refuses_with_the_same_code_and_after_the_same_messages(frames: list[bytes]) -> None:
    codec, witness = WebSocketCodec(Role.SERVER), Theirs(ConnectionType.SERVER)
    heard: Heard = []
    expected: Heard = []
    fault = their_fault = None
    for frame in frames:
        told, fault = ours(codec, frame)
        heard += told
        told, their_fault = witness.hear(frame)
        expected += told
        assert (heard, fault) == (expected, their_fault)
        if fault is not None or (heard and heard[-1][0] == CLOSE):
            break
