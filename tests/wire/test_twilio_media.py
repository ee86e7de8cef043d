import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.errors import MediaStreamFault, MisuseError
from engine.wire.twilio_media import (
    Connected,
    Dtmf,
    Ignored,
    Mark,
    Media,
    MediaStreamDecoder,
    MediaStreamEncoder,
    Start,
    Stop,
)

SID = "MZ0000000000000000000000000000000a"
CALL = "CA00000000000000000000000000000001"
ACCOUNT = "AC00000000000000000000000000000001"
KINDS = {
    "malformed", "oversized", "out_of_order", "wrong_stream", "second_start", "after_stop", "bad_format",
    "bad_payload", "bad_digit",
}  # fmt: skip

CONNECTED: dict[str, Any] = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
STOP: dict[str, Any] = {"event": "stop", "sequenceNumber": "9", "streamSid": SID, "stop": {"callSid": CALL}}


def start(sid: str | None = SID, **changes: Any) -> dict[str, Any]:
    inner = {
        "accountSid": ACCOUNT,
        "streamSid": sid,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": "9f2c"},
    } | changes
    return {"event": "start", "sequenceNumber": "1", "streamSid": sid, "start": inner}


def sound(payload: bytes | str = b"\xff\x7f\x00", sid: str | None = SID, **changes: Any) -> dict[str, Any]:
    text = payload if isinstance(payload, str) else base64.b64encode(payload).decode()
    inner = {"track": "inbound", "chunk": "1", "timestamp": "155", "payload": text} | changes
    return {"event": "media", "sequenceNumber": "2", "streamSid": sid, "media": inner}


def key(digit: str, sid: str | None = SID) -> dict[str, Any]:
    return {"event": "dtmf", "streamSid": sid, "dtmf": {"track": "inbound_track", "digit": digit}}


def echo(name: str, sid: str | None = SID) -> dict[str, Any]:
    return {"event": "mark", "streamSid": sid, "mark": {"name": name}}


def wire(message: Any) -> bytes:
    return json.dumps(message).encode()


def started() -> MediaStreamDecoder:
    decoder = MediaStreamDecoder()
    decoder.receive(wire(CONNECTED))
    decoder.receive(wire(start()))
    return decoder


def kind_of(decoder: MediaStreamDecoder, text: bytes) -> str:
    with pytest.raises(MediaStreamFault) as caught:
        decoder.receive(text)
    return caught.value.kind


# --- what the carrier says -------------------------------------------------------------------------------------------


def test_a_whole_stream_is_understood() -> None:
    decoder = MediaStreamDecoder()
    said = [CONNECTED, start(), sound(b"\xff" * 160), key("5"), echo("u7:3"), STOP]
    assert [decoder.receive(wire(message)) for message in said] == [
        Connected("Call", "1.0.0"),
        Start(SID, CALL, ACCOUNT, {"token": "9f2c"}, ("inbound",), "audio/x-mulaw", 8000, 1),
        Media(SID, 155, 1, b"\xff" * 160),
        Dtmf(SID, "5"),
        Mark(SID, "u7:3"),
        Stop(SID),
    ]


@pytest.mark.parametrize("timestamp", ["20", 20, 20.0])
@pytest.mark.parametrize("chunk", ["3", 3])
def test_numbers_come_as_strings_or_as_numbers(timestamp: str | float, chunk: str | int) -> None:
    assert started().receive(wire(sound(timestamp=timestamp, chunk=chunk))) == Media(SID, 20, 3, b"\xff\x7f\x00")
    text_format = {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"}
    decoder = MediaStreamDecoder()
    decoder.receive(wire(CONNECTED))
    event = decoder.receive(wire(start(mediaFormat=text_format)))
    assert isinstance(event, Start)
    assert (event.sample_rate, event.channels) == (8000, 1)


def test_unknown_fields_and_missing_extras_are_no_fault() -> None:
    decoder = MediaStreamDecoder()
    decoder.receive(b'{"event":"connected"}')
    bare = start(None, streamSid=SID, later={"x": [1]})
    for name in ("tracks", "customParameters"):
        del bare["start"][name]
    event = decoder.receive(wire({**bare, "news": None}))
    assert isinstance(event, Start)
    assert (event.stream_sid, event.tracks, event.custom_parameters) == (SID, (), {})
    loud = sound(b"\x01", volume=11)
    del loud["media"]["track"], loud["sequenceNumber"]
    assert decoder.receive(wire(loud)) == Media(SID, 155, 1, b"\x01")


@pytest.mark.parametrize(
    "message",
    [{"event": "closed"}, {"event": "sing", "streamSid": 5, "media": "no object", "start": []}, {"event": ""}],
)
def test_an_unknown_event_of_any_shape_is_ignored_at_any_time(message: dict[str, Any]) -> None:
    stopped = started()
    stopped.receive(wire(STOP))
    for decoder in (MediaStreamDecoder(), started(), stopped):
        assert decoder.receive(wire(message)) == Ignored(message["event"])


def test_sound_of_the_other_track_is_not_the_callers() -> None:
    assert started().receive(wire(sound(track="outbound"))) == Ignored("media")


@given(st.binary(min_size=1, max_size=2000))
def test_any_length_of_sound_comes_through(payload: bytes) -> None:
    assert started().receive(wire(sound(payload))) == Media(SID, 155, 1, payload)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (b"", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[]", "malformed"),
        (b"null", "malformed"),
        (b'{"event":5}', "malformed"),
        (b'{"Event":"media"}', "malformed"),
        (wire(sound()) + b"x", "malformed"),
        (wire(sound())[:-1], "malformed"),
        (b'{"event":"media","x":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "malformed"),
        (b" " * 65537, "oversized"),
        (wire(sound(timestamp="-1")), "malformed"),
        (wire(sound(timestamp="now")), "malformed"),
        (wire(sound(timestamp=None)), "malformed"),
        (wire(sound(timestamp=True)), "malformed"),
        (wire(sound(timestamp="9" * 40)), "malformed"),
        (wire(sound(chunk=1.5)), "malformed"),
        (wire(sound("")), "bad_payload"),
        (wire(sound("a")), "bad_payload"),
        (wire(sound("????")), "bad_payload"),
        (wire(sound("/w== ")), "bad_payload"),
        (
            wire({"event": "media", "streamSid": SID, "media": {"chunk": 1, "timestamp": 1, "payload": 5}}),
            "bad_payload",
        ),
        (wire({"event": "media", "streamSid": SID}), "malformed"),
        (wire({"event": "media", "streamSid": SID, "media": []}), "malformed"),
        (wire({"event": "mark", "streamSid": SID, "mark": None}), "malformed"),
        (wire({"event": "mark", "streamSid": SID, "mark": {"name": 5}}), "malformed"),
        (wire({"event": "dtmf", "streamSid": SID}), "malformed"),
        (wire(key("a")), "bad_digit"),
        (wire(key("12")), "bad_digit"),
        (wire(key("")), "bad_digit"),
        (wire(sound(sid="MZ1")), "wrong_stream"),
        (wire(sound(sid=None)), "wrong_stream"),
        (wire(key("1", "MZ1")), "wrong_stream"),
        (wire(echo("m", "MZ1")), "wrong_stream"),
        (wire({**STOP, "streamSid": "MZ1"}), "wrong_stream"),
        (wire(start()), "second_start"),
        (wire(start("MZ1")), "second_start"),
        (wire(CONNECTED), "out_of_order"),
    ],
)
def test_what_is_wrong_inside_a_stream_has_its_kind_and_harms_nothing(message: bytes, kind: str) -> None:
    decoder = started()
    assert kind_of(decoder, message) == kind
    assert decoder.receive(wire(sound(b"\x01"))) == Media(SID, 155, 1, b"\x01")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"mediaFormat": {"encoding": "audio/x-alaw", "sampleRate": 8000, "channels": 1}}, "bad_format"),
        ({"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1}}, "bad_format"),
        ({"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2}}, "bad_format"),
        ({"mediaFormat": None}, "bad_format"),
        ({"streamSid": "MZ1"}, "wrong_stream"),
        ({"callSid": ""}, "malformed"),
        ({"accountSid": None}, "malformed"),
        ({"customParameters": {"token": 5}}, "malformed"),
        ({"customParameters": ["token"]}, "malformed"),
    ],
)
def test_a_start_that_cannot_be_served_is_a_fault_and_the_stream_has_not_begun(
    changes: dict[str, Any], kind: str
) -> None:
    decoder = MediaStreamDecoder()
    decoder.receive(wire(CONNECTED))
    assert kind_of(decoder, wire(start(**changes))) == kind
    assert kind_of(decoder, wire(sound())) == "out_of_order"
    assert isinstance(decoder.receive(wire(start())), Start)


def test_a_start_without_a_stream_or_without_its_object_is_malformed() -> None:
    decoder = MediaStreamDecoder()
    decoder.receive(wire(CONNECTED))
    assert kind_of(decoder, wire(start(None))) == "malformed"
    assert kind_of(decoder, wire({"event": "start", "streamSid": SID})) == "malformed"


def test_a_fault_does_not_repeat_what_was_said() -> None:
    secret = start(customParameters={"token": {"value": "s3cret"}})
    decoder = MediaStreamDecoder()
    decoder.receive(wire(CONNECTED))
    with pytest.raises(MediaStreamFault) as caught:
        decoder.receive(wire(secret))
    assert "s3cret" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
wild = st.fixed_dictionaries(
    {"event": st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop", "x"])},
    optional=dict.fromkeys(("streamSid", "start", "media", "dtmf", "mark", "stop", "protocol"), json_values),
)


@given(st.one_of(st.binary(max_size=80), json_values.map(wire), wild.map(wire)))
def test_noise_is_an_event_or_a_media_stream_fault(text: bytes) -> None:
    for decoder in (MediaStreamDecoder(), started()):
        try:
            decoder.receive(text)
        except MediaStreamFault as fault:
            kind = fault.kind
            assert kind in KINDS  # some noise is a fault, some is not


class LegalStreamWithInjections(RuleBasedStateMachine):
    """A carrier that speaks by the book, with foreign messages between: each is refused by name, and none does harm."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = MediaStreamDecoder()
        self.phase = "new"
        self.sid = ""
        self.chunk = 0

    @initialize(number=st.integers(0, 2**128 - 1))
    def name_the_stream(self, number: int) -> None:
        self.sid = f"MZ{number:032x}"

    def hear(self, message: dict[str, Any]) -> object:
        return self.decoder.receive(wire(message))

    def refused(self, message: dict[str, Any] | bytes, kind: str) -> None:
        assert kind_of(self.decoder, message if isinstance(message, bytes) else wire(message)) == kind

    def wrong_now(self, event: str) -> str:
        """How a well-formed message is refused at a time when it may not come."""
        if self.phase == "stopped":
            return "after_stop"
        return "second_start" if (self.phase, event) == ("started", "start") else "out_of_order"

    @precondition(lambda self: self.phase == "new")
    @rule()
    def connect(self) -> None:
        assert self.hear(CONNECTED) == Connected("Call", "1.0.0")
        self.phase = "connected"

    @precondition(lambda self: self.phase == "connected")
    @rule(parameters=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2))
    def begin(self, parameters: dict[str, str]) -> None:
        event = self.hear(start(self.sid, customParameters=parameters))
        assert isinstance(event, Start)
        assert (event.stream_sid, event.custom_parameters) == (self.sid, parameters)
        self.phase = "started"

    @precondition(lambda self: self.phase == "started")
    @rule(payload=st.binary(min_size=1, max_size=200), as_text=st.booleans())
    def carry_sound(self, payload: bytes, *, as_text: bool) -> None:
        self.chunk += 1
        chunk, at = self.chunk, 150 + 20 * self.chunk
        numbers = {"chunk": str(chunk), "timestamp": str(at)} if as_text else {"chunk": chunk, "timestamp": at}
        assert self.hear(sound(payload, self.sid, **numbers)) == Media(self.sid, at, chunk, payload)

    @precondition(lambda self: self.phase == "started")
    @rule(digit=st.sampled_from("0123456789*#ABCD"), name=st.text(min_size=1, max_size=20))
    def press_a_key_and_echo_a_mark(self, digit: str, name: str) -> None:
        assert self.hear(key(digit, self.sid)) == Dtmf(self.sid, digit)
        assert self.hear(echo(name, self.sid)) == Mark(self.sid, name)

    @precondition(lambda self: self.phase == "started")
    @rule()
    def stop(self) -> None:
        assert self.hear({**STOP, "streamSid": self.sid}) == Stop(self.sid)
        self.phase = "stopped"

    @precondition(lambda self: self.phase != "new")
    @rule()
    def inject_a_second_connected(self) -> None:
        self.refused(CONNECTED, self.wrong_now("connected"))

    @precondition(lambda self: self.phase != "connected")
    @rule(own=st.booleans())
    def inject_a_start(self, *, own: bool) -> None:
        self.refused(start(self.sid if own else "MZ" + "f" * 32), self.wrong_now("start"))

    @precondition(lambda self: self.phase != "started")
    @rule(event=st.sampled_from(["media", "dtmf", "mark", "stop"]))
    def inject_what_belongs_inside(self, event: str) -> None:
        inside = {
            "media": sound(sid=self.sid),
            "dtmf": key("1", self.sid),
            "mark": echo("m", self.sid),
            "stop": {**STOP, "streamSid": self.sid},
        }
        self.refused(inside[event], self.wrong_now(event))

    @precondition(lambda self: self.phase == "started")
    @rule(message=st.sampled_from([sound(sid="MZ9"), key("1", "MZ9"), echo("m", "MZ9"), {**STOP, "streamSid": "MZ9"}]))
    def inject_another_stream(self, message: dict[str, Any]) -> None:
        self.refused(message, "wrong_stream")

    @precondition(lambda self: self.phase == "started")
    @rule(payload=st.sampled_from(["", "a", "a===", "\u00e9"]))
    def inject_a_bad_payload(self, payload: str) -> None:
        self.refused(sound(payload, self.sid), "bad_payload")

    @rule(text=st.sampled_from([b"", b"{", b"[1]", b'{"event":null}', b"\x00"]))
    def inject_nonsense(self, text: bytes) -> None:
        self.refused(text, "malformed")

    @rule()
    def inject_an_oversized_message(self) -> None:
        self.refused(b'{"event":"' + b"x" * 65536 + b'"}', "oversized")

    @invariant()
    def an_unknown_event_is_ignored(self) -> None:
        assert self.decoder.receive(b'{"event":"news","media":7}') == Ignored("news")


TestLegalStreamWithInjections = LegalStreamWithInjections.TestCase
TestLegalStreamWithInjections.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


# --- what we say -----------------------------------------------------------------------------------------------------


@given(mulaw=st.binary(min_size=1, max_size=900), name=st.text(min_size=1, max_size=30), sid=st.text(max_size=40))
def test_our_messages_have_exactly_the_fields_that_the_carrier_takes(mulaw: bytes, name: str, sid: str) -> None:
    encoder = MediaStreamEncoder(sid)
    media = json.loads(encoder.media(mulaw))
    assert base64.b64decode(media["media"].pop("payload"), validate=True) == mulaw
    assert media == {"event": "media", "streamSid": sid, "media": {}}
    assert json.loads(encoder.mark(name)) == {"event": "mark", "streamSid": sid, "mark": {"name": name}}
    assert json.loads(encoder.clear()) == {"event": "clear", "streamSid": sid}


def test_a_media_message_without_sound_is_misuse() -> None:
    with pytest.raises(MisuseError):
        MediaStreamEncoder(SID).media(b"")
