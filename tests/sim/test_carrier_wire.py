"""The carrier's messages, and its strictness."""

import json
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sim.carrier_twiml import Twiml, Unreadable, read_twiml
from engine.sim.carrier_wire import CarrierWire, ClearSent, MarkSent, MediaSent, WireFault, audio_fault


def wire() -> CarrierWire:
    return CarrierWire(account_sid="AC1", call_sid="CA1", stream_sid="MZ1")


def test_messages_are_numbered_from_the_start() -> None:
    one = wire()
    one.connected()
    messages = [json.loads(text) for text in (one.start({}), one.media(None, 155), one.mark("u1:1"), one.stop())]
    assert [message["sequenceNumber"] for message in messages] == ["1", "2", "3", "4"]
    assert messages[1]["media"]["chunk"] == "1"
    assert b64decode(messages[1]["media"]["payload"]) == b"\xff" * 160
    assert messages[3]["stop"] == {"accountSid": "AC1", "callSid": "CA1"}


@given(st.binary(min_size=1, max_size=500), st.integers(0, 10**9))
def test_media_carries_any_chunk(mulaw: bytes, timestamp: int) -> None:
    message = json.loads(wire().media(mulaw, timestamp))
    assert message["event"] == "media"
    assert b64decode(message["media"]["payload"], validate=True) == mulaw
    assert message["media"]["timestamp"] == str(timestamp)


def test_a_lost_chunk_leaves_a_hole_in_the_numbers() -> None:
    one = wire()
    one.media(None, 155)
    one.skip_chunk()
    message = json.loads(one.media(None, 195))
    assert message["media"]["chunk"] == "3"
    assert message["sequenceNumber"] == "2"


@given(st.binary(max_size=500), st.text(max_size=30))
def test_what_the_server_may_send_is_understood(mulaw: bytes, name: str) -> None:
    one = wire()
    media = {"event": "media", "streamSid": "MZ1", "media": {"payload": b64encode(mulaw).decode()}}
    decoded = one.decode(json.dumps(media).encode())
    assert isinstance(decoded, MediaSent)
    assert decoded.media.payload == mulaw
    marked = one.decode(json.dumps({"event": "mark", "streamSid": "MZ1", "mark": {"name": name}}).encode())
    assert isinstance(marked, MarkSent)
    assert marked.mark.name == name
    assert isinstance(one.decode(b'{"streamSid":"MZ1","event":"clear"}'), ClearSent)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(text: bytes) -> None:
    assert isinstance(wire().decode(text), WireFault)


@pytest.mark.parametrize(
    "message",
    [
        [],
        "clear",
        {"event": "clear"},
        {"event": "clear", "streamSid": 1},
        {"event": "clear", "streamSid": "MZ2"},
        {"event": "clear", "stream_sid": "MZ1"},
        {"event": "clear", "streamSid": "MZ1", "sequenceNumber": "1"},
        {"event": "stop", "streamSid": "MZ1"},
        {"streamSid": "MZ1", "media": {"payload": ""}},
        {"event": "media", "streamSid": "MZ1", "media": {}},
        {"event": "media", "streamSid": "MZ1", "media": {"payload": "", "chunk": "1"}},
        {"event": "media", "streamSid": "MZ1", "media": {"payload": "/w"}},
        {"event": "mark", "streamSid": "MZ1", "mark": {"name": 7}},
        {"event": "mark", "streamSid": "MZ1", "mark": "u1:1"},
    ],
)
def test_anything_else_is_31951(message: object) -> None:
    decoded = wire().decode(json.dumps(message).encode())
    assert isinstance(decoded, WireFault)
    assert decoded.code == 31951


def test_sound_that_hurts_is_told() -> None:
    assert audio_fault(b"\xff" * 160) is None
    assert audio_fault(b"\xff" * 80 + b"\x00" * 79) is None
    assert audio_fault(b"\xff" * 3 + b"\x00" * 80) is not None
    assert audio_fault(b"RIFF....WAVE") is not None


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"<Response>", "text/xml", 12100),
        (b"<response/>", "text/xml", 12100),
        (b"<Response/>", "application/json", 12300),
        (b"<Response>" + b" " * 65536 + b"</Response>", "text/xml", 11750),
    ],
)
def test_unreadable_twiml_has_the_carriers_code(body: bytes, content_type: str, code: int) -> None:
    read = read_twiml(body, content_type)
    assert isinstance(read, Unreadable)
    assert read.code == code


def test_twiml_names_are_case_sensitive() -> None:
    read = read_twiml(b'<Response><say>a</say><Say Loop="2">b</Say></Response>', "text/xml; charset=utf-8")
    assert isinstance(read, Twiml)
    assert [verb.text for verb in read.verbs] == ["b"]
    assert [code for code, _ in read.warnings] == [12200, 12200]
