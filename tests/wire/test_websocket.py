from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import MisuseError, WebSocketFault
from engine.wire.websocket import BINARY, CLOSE, PING, PONG, TEXT, Role, WebSocketCodec, parse_close
from tests.wire.frames import raw_frame

MASK = b"\x01\x82\xf3\x44"


def client(*, max_message: int = 65536) -> WebSocketCodec:
    return WebSocketCodec(Role.CLIENT, max_message=max_message)


def server(*, max_message: int = 65536) -> WebSocketCodec:
    return WebSocketCodec(Role.SERVER, max_message=max_message)


def from_client(head: int, payload: bytes = b"", **wrong: int) -> bytes:
    return raw_frame(head, payload, mask=MASK, **wrong)


def fault_of(codec: WebSocketCodec, data: bytes) -> WebSocketFault:
    with pytest.raises(WebSocketFault) as caught:
        codec.receive_data(data)
    return caught.value


messages = st.one_of(
    st.tuples(st.just(TEXT), st.text(max_size=400).map(str.encode)),
    st.tuples(st.just(BINARY), st.binary(max_size=1200)),
    st.tuples(st.just(PING), st.binary(max_size=125)),
    st.tuples(st.just(PONG), st.binary(max_size=125)),
)


def encode(codec: WebSocketCodec, message: tuple[int, bytes]) -> bytes:
    opcode, payload = message
    return {TEXT: codec.text, BINARY: codec.binary, PING: codec.ping, PONG: codec.pong}[opcode](payload)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


# --- what may be said ------------------------------------------------------------------------------------------------


@given(st.lists(messages, max_size=6), st.lists(st.integers(0, 10_000), max_size=8), st.booleans())
def test_messages_come_through_whole_however_the_bytes_are_split(
    said: list[tuple[int, bytes]], places: list[int], client_speaks: bool
) -> None:
    speaker, listener = (client(), server()) if client_speaks else (server(), client())
    data = b"".join(encode(speaker, message) for message in said) + speaker.close(1001, "bye")
    heard = [message for piece in cut(data, places) for message in listener.receive_data(piece)]
    assert heard == [*said, (CLOSE, b"\x03\xe9bye")]


def test_messages_come_through_byte_by_byte() -> None:
    data = client().text("grüße".encode() * 60) + client().ping(b"x") + client().binary(bytes(70_000))
    listener = server(max_message=70_000)
    heard = [message for i in range(len(data)) for message in listener.receive_data(data[i : i + 1])]
    assert heard == [(TEXT, "grüße".encode() * 60), (PING, b"x"), (BINARY, bytes(70_000))]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 767, 768, 769, 65535, 65536, 65537, 200_001])
def test_every_width_of_size_comes_through_in_both_directions(size: int) -> None:
    payload = bytes(i * 7 % 128 for i in range(size))
    assert server(max_message=size).receive_data(client().text(payload)) == [(TEXT, payload)]
    assert client(max_message=size).receive_data(server().text(payload)) == [(TEXT, payload)]


def test_a_reused_buffer_may_be_given_as_a_memoryview() -> None:
    buffer = bytearray(client().text(b"one") + client().text(b"two"))
    codec = server()
    heard = codec.receive_data(memoryview(buffer)[:-2])
    rest = bytes(buffer[-2:])
    buffer[:] = bytes(len(buffer))
    assert heard + codec.receive_data(rest) == [(TEXT, b"one"), (TEXT, b"two")]


def test_the_rfc_example_of_a_masked_hello_is_read() -> None:
    assert server().receive_data(bytes.fromhex("818537fa213d7f9f4d5158")) == [(TEXT, b"Hello")]
    assert WebSocketCodec(Role.CLIENT, mask_source=lambda _: bytes.fromhex("37fa213d")).text(b"Hello") == bytes.fromhex(
        "818537fa213d7f9f4d5158"
    )


def test_control_frames_between_fragments_come_first_and_leave_the_message_whole() -> None:
    grin = "😀".encode()
    data = (
        from_client(0x01, grin[:1])
        + from_client(0x89, b"alive?")
        + from_client(0x00, grin[1:3])
        + from_client(0x00)
        + from_client(0x8A)
        + from_client(0x80, grin[3:])
        + from_client(0x82, b"next")
    )
    assert server().receive_data(data) == [(PING, b"alive?"), (PONG, b""), (TEXT, grin), (BINARY, b"next")]


def test_a_fragmented_binary_message_need_not_be_text() -> None:
    assert server().receive_data(from_client(0x02, b"\xff") + from_client(0x80, b"\xfe")) == [(BINARY, b"\xff\xfe")]


def test_nothing_is_heard_after_a_close() -> None:
    codec = server()
    assert codec.receive_data(client().close(1000) + client().text(b"late") + b"\xff\xff") == [(CLOSE, b"\x03\xe8")]
    assert codec.receive_data(client().text(b"later")) == []


# --- what may not ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(raw_frame(0x81, b"hi"), 1002, id="unmasked"),
        pytest.param(from_client(0xC1, b"hi"), 1002, id="rsv1"),
        pytest.param(from_client(0xA1, b"hi"), 1002, id="rsv2"),
        pytest.param(from_client(0x91, b"hi"), 1002, id="rsv3"),
        pytest.param(from_client(0x83), 1002, id="reserved data opcode"),
        pytest.param(from_client(0x8B), 1002, id="reserved control opcode"),
        pytest.param(from_client(0x09), 1002, id="fragmented ping"),
        pytest.param(from_client(0x08), 1002, id="fragmented close"),
        pytest.param(from_client(0x89, bytes(126)), 1002, id="long ping"),
        pytest.param(from_client(0x81, b"hi", field_bytes=2), 1002, id="two bytes where none is needed"),
        pytest.param(from_client(0x81, bytes(300), field_bytes=8), 1002, id="eight bytes where two do"),
        pytest.param(from_client(0x82, field_bytes=8, size=1 << 63), 1002, id="highest bit of the size"),
        pytest.param(from_client(0x80, b"hi"), 1002, id="continuation of nothing"),
        pytest.param(from_client(0x01, b"a") + from_client(0x81, b"b"), 1002, id="text within a message"),
        pytest.param(from_client(0x01, b"a") + from_client(0x02, b"b"), 1002, id="binary within a message"),
        pytest.param(from_client(0x81, b"\xff"), 1007, id="not UTF-8"),
        pytest.param(from_client(0x81, "é".encode()[:1]), 1007, id="half a character"),
        pytest.param(from_client(0x81, b"\xed\xa0\x80"), 1007, id="surrogate"),
        pytest.param(from_client(0x01, "é".encode()[:1]) + from_client(0x80), 1007, id="half a character in fragments"),
        pytest.param(from_client(0x01, b"ok \xff"), 1007, id="not UTF-8 in a first fragment"),
        pytest.param(from_client(0x81, bytes(1001)), 1009, id="too large"),
        pytest.param(from_client(0x02, bytes(600)) + from_client(0x80, bytes(401)), 1009, id="too large in fragments"),
        pytest.param(from_client(0x88, b"\x03"), 1002, id="half a close code"),
        pytest.param(from_client(0x88, b"\x03\xed"), 1002, id="1005 sent"),
        pytest.param(from_client(0x88, b"\x03\xe8\xff"), 1007, id="close reason not UTF-8"),
    ],
)
def test_what_the_rfc_forbids_is_a_fault_with_its_close_code(data: bytes, code: int) -> None:
    codec = server(max_message=1000)
    assert codec.receive_data(client().ping(b"fine")) == [(PING, b"fine")]
    assert fault_of(codec, data).close_code == code


def test_a_client_refuses_masked_frames() -> None:
    assert fault_of(client(), from_client(0x81, b"hi")).close_code == 1002


def test_a_fault_is_found_before_the_payload_has_come() -> None:
    assert fault_of(server(), b"\xc1\x80").close_code == 1002
    assert fault_of(server(), b"\x81\xff" + (1 << 40).to_bytes(8, "big")).close_code == 1009
    assert fault_of(server(), b"\x89\xfe\x01\x00").close_code == 1002


def test_control_frames_do_not_count_towards_the_size_of_a_message() -> None:
    data = from_client(0x02, bytes(990)) + from_client(0x89, bytes(125)) + from_client(0x80, bytes(10))
    assert server(max_message=1000).receive_data(data) == [(PING, bytes(125)), (BINARY, bytes(1000))]


def test_what_came_before_a_fault_is_kept_with_it() -> None:
    codec = server()
    fault = fault_of(codec, from_client(0x81, b"one") + from_client(0x89, b"two") + from_client(0xF0))
    assert fault.decoded == ((TEXT, b"one"), (PING, b"two"))


def test_after_a_fault_every_call_raises_it_again_without_the_messages() -> None:
    codec = server()
    first = fault_of(codec, from_client(0x81, b"one") + from_client(0x81, b"\xff"))
    again = fault_of(codec, from_client(0x81, b"fine"))
    assert (str(again), again.close_code, again.decoded) == (str(first), 1007, ())


@given(st.lists(st.binary(max_size=40), max_size=6), st.sampled_from(Role))
def test_noise_raises_nothing_but_a_websocket_fault(pieces: list[bytes], role: Role) -> None:
    codec = WebSocketCodec(role, max_message=100)
    close_codes = set[int]()
    for piece in pieces:
        try:
            heard = codec.receive_data(piece)
        except WebSocketFault as fault:
            heard = list(fault.decoded)
            close_codes.add(fault.close_code)
        for opcode, payload in heard:
            assert opcode in {TEXT, BINARY, PING, PONG, CLOSE}
            assert len(payload) <= (100 if opcode in {TEXT, BINARY} else 125)
    assert close_codes <= {1002, 1007, 1009}


@given(st.data())
def test_a_damaged_stream_of_frames_raises_nothing_but_a_websocket_fault(data: st.DataObject) -> None:
    said = data.draw(st.lists(messages, min_size=1, max_size=4))
    damaged = bytearray(b"".join(encode(client(), message) for message in said))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    codec, heard = server(), list[tuple[int, bytes]]()
    try:
        heard = codec.receive_data(bytes(damaged))
    except WebSocketFault as fault:
        heard = list(fault.decoded)
    assert len(heard) <= len(damaged) // 6


# --- what we say -----------------------------------------------------------------------------------------------------


def test_a_server_sends_unmasked_and_a_client_masks_with_fresh_bytes() -> None:
    keys = iter([b"aaaa", b"bbbb"])
    masking = WebSocketCodec(Role.CLIENT, mask_source=lambda count: next(keys)[:count])
    assert server().text(b"hi") == b"\x81\x02hi"
    assert masking.text(b"hi") == b"\x81\x82aaaa" + bytes((ord("h") ^ ord("a"), ord("i") ^ ord("a")))
    assert masking.ping()[2:6] == b"bbbb"


def test_a_long_close_reason_is_cut_between_characters() -> None:
    ((opcode, payload),) = client().receive_data(server().close(1011, "é" * 100))
    assert opcode == CLOSE
    assert parse_close(payload) == (1011, "é" * 61)


def test_a_close_without_a_code_has_no_payload() -> None:
    assert server().close() == b"\x88\x00"
    assert parse_close(b"") == (None, "")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_a_code_that_may_not_be_sent_is_neither_sent_nor_taken(code: int) -> None:
    with pytest.raises(MisuseError):
        server().close(code)
    with pytest.raises(WebSocketFault):
        parse_close(code.to_bytes(2, "big"))


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4003, 4999])
def test_a_code_that_may_be_sent_is_sent_and_taken(code: int) -> None:
    assert parse_close(server().close(code, "so")[2:]) == (code, "so")


def test_oversized_control_frames_and_reasons_without_a_code_are_misuse() -> None:
    with pytest.raises(MisuseError):
        server().ping(bytes(126))
    with pytest.raises(MisuseError):
        server().pong(bytes(126))
    with pytest.raises(MisuseError):
        server().close(None, "why")
