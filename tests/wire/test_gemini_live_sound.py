"""The short way through a message of sound alone, held against the long way."""

import base64
import sys
from unittest import mock

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import ModelProtocolFault
from engine.sim import gemini_frames
from engine.wire import gemini_live as codec
from engine.wire.gemini_live_events import Event, ModelAudio
from engine.wire.gemini_live_sound import sound_alone

PCM = bytes(range(256)) * 2
MIME = "audio/pcm;rate=24000"
DATA = base64.b64encode(PCM).decode()
BLOB = {"inlineData": {"mimeType": MIME, "data": DATA}}
MESSAGE = orjson.dumps({"serverContent": {"modelTurn": {"role": "model", "parts": [BLOB, BLOB]}}})


def read(message: bytes, *, long_way: bool = False) -> list[Event] | str:
    with mock.patch.object(codec, "_SOUND_FROM", sys.maxsize if long_way else 0):
        try:
            return codec.decode(message)
        except ModelProtocolFault:
            return "a fault"


def test_sound_alone_takes_the_short_way() -> None:
    assert sound_alone(MESSAGE) == [(MIME, PCM)] * 2
    (simulated,) = gemini_frames.audio_frames(PCM, 40)
    assert sound_alone(simulated) == [(MIME, PCM)]
    assert len(simulated) >= codec._SOUND_FROM
    with mock.patch("orjson.loads", side_effect=AssertionError):
        assert codec.decode(MESSAGE) == [ModelAudio(PCM, 24_000)] * 2


@pytest.mark.parametrize(
    "document",
    [
        {"serverContent": {"modelTurn": {"parts": [BLOB]}, "generationComplete": True}},
        {"serverContent": {"modelTurn": {"parts": [BLOB]}}, "usageMetadata": {"totalTokenCount": 3}},
        {"serverContent": {"modelTurn": {"parts": [{**BLOB, "thought": True}]}}},
        {"serverContent": {"modelTurn": {"parts": [{"text": "well"}, BLOB]}}},
        {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "image/png", "data": DATA}}]}}},
        {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": MIME, "data": "AAA"}}]}}},
        {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": MIME, "data": "AAAA"}}]}}},
        {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": MIME, "data": "-_-_-_-_"}}]}}},
    ],
)
def test_anything_else_is_left_to_the_long_way(document: dict[str, object]) -> None:
    assert sound_alone(orjson.dumps(document)) is None


@pytest.mark.parametrize("mime", ["audio/pcm", "audio/l16;rate=16000", "audio/pcm;rate=1", "audio/ogg", "AUDIO/PCM"])
def test_what_a_kind_of_sound_means_is_the_same_both_ways(mime: str) -> None:
    message = MESSAGE.replace(MIME.encode(), mime.encode())
    assert read(message) == read(message, long_way=True)


def test_a_part_without_sound_says_nothing_either_way() -> None:
    empty = {"inlineData": {"mimeType": MIME, "data": ""}}
    message = orjson.dumps({"serverContent": {"modelTurn": {"parts": [empty, BLOB]}}})
    assert sound_alone(message) == [(MIME, PCM)]
    assert read(message) == read(message, long_way=True) == [ModelAudio(PCM, 24_000)]


BENT = st.binary(max_size=2) | st.sampled_from(
    [b"=", b"==", b'"', b"\\", b"{", b"}", b"]", b",", b"-", b" ", b"\\u0041"]
)


@given(at=st.integers(0, len(MESSAGE)) | st.integers(0, 120), cut=st.integers(0, 3), put=BENT)
@example(at=len(MESSAGE) - 8, cut=1, put=b"=")
@settings(max_examples=200)
def test_a_message_bent_anywhere_means_the_same_both_ways(at: int, cut: int, put: bytes) -> None:
    bent = MESSAGE[:at] + put + MESSAGE[at + cut :]
    assert read(bent) == read(bent, long_way=True)
