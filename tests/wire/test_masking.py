"""What a whole read of masked messages says, against the same frames one by one and byte by byte."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import WebSocketFault
from engine.wire.masking import masked, whole_texts
from engine.wire.websocket import PING, TEXT, Role, WebSocketCodec
from tests.wire.frames import raw_frame

MOST = 2000
keys = st.binary(min_size=4, max_size=4)
sizes = st.sampled_from([126, 127, 128, 129, 330, 331, 767, 768, MOST])
texts = st.builds(
    lambda key, size, code: raw_frame(0x81, bytes([code]) * size, mask=key), keys, sizes, st.integers(0, 127)
)
others = st.sampled_from(
    [
        raw_frame(0x81, b"a" * 125, mask=b"\1\2\3\4"),
        raw_frame(0x81, b"a" * 65536, mask=b"\1\2\3\4"),
        raw_frame(0x81, b"a" * (MOST + 1), mask=b"\1\2\3\4"),
        raw_frame(0x81, b"a" * 10, mask=b"\1\2\3\4", field_bytes=2),
        raw_frame(0x81, b"a" * 330),
        raw_frame(0x01, b"a" * 330, mask=b"\1\2\3\4"),
        raw_frame(0x80, b"a" * 330, mask=b"\1\2\3\4"),
        raw_frame(0x82, b"a" * 330, mask=b"\1\2\3\4"),
        raw_frame(0xC1, b"a" * 330, mask=b"\1\2\3\4"),
        raw_frame(0x89, b"ping", mask=b"\1\2\3\4"),
        raw_frame(0x88, b"\x03\xe8", mask=b"\1\2\3\4"),
        raw_frame(0x81, b"\xff" * 330, mask=b"\1\2\3\4"),
        raw_frame(0x81, "\u00e9".encode() * 200, mask=b"\1\2\3\4"),
    ]
)


def heard(codec: WebSocketCodec, pieces: list[bytes]) -> tuple[list[tuple[int, bytes]], int | None]:
    """The messages, and the code of the fault that ended them, if one did."""
    messages: list[tuple[int, bytes]] = []
    for piece in pieces:
        try:
            messages += codec.receive_data(piece)
        except WebSocketFault as fault:
            return messages + list(fault.decoded), fault.close_code
    return messages, None


@given(frames=st.lists(st.one_of(texts, texts, others), max_size=6), cut=st.integers(0, 400))
@example(
    frames=[raw_frame(0x81, b"a" * 330, mask=b"\1\2\3\4"), raw_frame(0x81, b"\xff" * 330, mask=b"\5\6\7\x08")], cut=0
)
@example(frames=[raw_frame(0x01, b"a" * 330, mask=b"\1\2\3\4"), raw_frame(0x81, b"a" * 330, mask=b"\1\2\3\4")], cut=0)
def test_a_read_of_many_frames_says_what_its_frames_say(frames: list[bytes], cut: int) -> None:
    """A frame whose head comes on its own is understood step by step; together they are unmasked at once."""
    whole = b"".join(frames)
    whole = whole[: len(whole) - min(cut, len(whole))]
    in_steps = [whole[at : at + 1] for at in range(len(whole))] if len(whole) < 3000 else []
    together = heard(WebSocketCodec(Role.SERVER, max_message=MOST), [whole])
    general = WebSocketCodec(Role.SERVER, max_message=MOST)
    general._read_texts = lambda data, messages: 0  # type: ignore[method-assign]  # the other path alone
    assert together == heard(general, [whole])
    if in_steps:
        assert together == heard(WebSocketCodec(Role.SERVER, max_message=MOST), in_steps)


@given(st.lists(st.tuples(keys, st.binary(min_size=126, max_size=800)), min_size=1, max_size=6))
def test_each_payload_is_unmasked_with_its_own_key(frames: list[tuple[bytes, bytes]]) -> None:
    data = b"".join(raw_frame(0x81, payload, mask=key) for key, payload in frames)
    rest = raw_frame(0x89, b"ping", mask=b"\1\2\3\4")
    assert whole_texts(data + rest, MOST) == ([payload for _, payload in frames], len(data))


@pytest.mark.parametrize("left", range(1, 8))
def test_a_head_that_is_not_there_yet_is_waited_for(left: int) -> None:
    data = raw_frame(0x81, b"a" * 330, mask=b"\1\2\3\4")
    assert whole_texts(data + data[:left], MOST) == ([b"a" * 330], len(data))
    assert whole_texts(data[:left], MOST) == ([], 0)


def test_a_message_inside_a_fragmented_one_is_still_a_fault() -> None:
    codec = WebSocketCodec(Role.SERVER)
    codec.receive_data(raw_frame(0x01, b"a" * 330, mask=b"\1\2\3\4"))
    assert codec.receive_data(raw_frame(0x89, b"", mask=b"\1\2\3\4")) == [(PING, b"")]
    with pytest.raises(WebSocketFault, match="fragmented"):
        codec.receive_data(raw_frame(0x81, b"a" * 330, mask=b"\1\2\3\4"))


def test_a_server_that_masks_is_refused() -> None:
    with pytest.raises(WebSocketFault, match="masked frame of a server"):
        WebSocketCodec(Role.CLIENT).receive_data(raw_frame(0x81, b"a" * 330, mask=b"\1\2\3\4"))


def test_what_came_before_a_text_that_is_none_is_handed_over_with_the_fault() -> None:
    good, bad = raw_frame(0x81, b"a" * 330, mask=b"\1\2\3\4"), raw_frame(0x81, b"\xff" * 330, mask=b"\1\2\3\4")
    messages, code = heard(WebSocketCodec(Role.SERVER), [good + bad + good])
    assert (messages, code) == ([(TEXT, b"a" * 330)], 1007)


@given(key=keys, payload=st.binary(max_size=1000))
def test_masking_twice_is_not_masking(key: bytes, payload: bytes) -> None:
    once = masked(key, payload)
    assert once == bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    assert masked(key, once) == payload
