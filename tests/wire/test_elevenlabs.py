"""The codec of ElevenLabs' multi-context websocket."""

import base64
import json
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelProtocolFault
from engine.sim.elevenlabs_rules import Text, read_address, read_message
from engine.wire import elevenlabs as codec
from engine.wire.elevenlabs import Alignment, Final, Refusal, Sound, decode

MULAW = bytes(range(256))
TIMES = {"chars": ["H", "i"], "charStartTimesMs": [0, 40], "charDurationsMs": [40, 60]}


def sound(**changes: Any) -> bytes:
    fields = {"audio": base64.b64encode(MULAW).decode(), "alignment": TIMES, "contextId": "one"}
    return json.dumps(fields | changes).encode()


# --- up -------------------------------------------------------------------------------------------------------------


def test_the_address_asks_for_mulaw_with_times() -> None:
    target = urlsplit(codec.address("voice1234", "eleven_flash_v2_5", "de-DE"))
    assert target.path == "/v1/text-to-speech/voice1234/multi-stream-input"
    assert parse_qs(target.query) == {
        "model_id": ["eleven_flash_v2_5"],
        "output_format": ["ulaw_8000"],
        "auto_mode": ["true"],
        "inactivity_timeout": ["180"],
        "sync_alignment": ["true"],
        "language_code": ["de"],
    }


def test_a_model_that_takes_no_language_is_told_none() -> None:
    assert "language_code" not in codec.address("voice1234", "eleven_multilingual_v2", "de-DE")


def test_a_strict_service_takes_the_address() -> None:
    wanted = read_address(codec.address("voice1234", "eleven_flash_v2_5", "en-US"))
    assert (wanted.voice_id, wanted.whole_sentences, wanted.inactivity_s) == ("voice1234", True, 180.0)


def test_a_context_is_opened_by_a_space_that_carries_the_settings() -> None:
    opened = json.loads(codec.open_context("one", {"stability": 0.5, "speed": 1.1}))
    assert opened == {"text": " ", "context_id": "one", "voice_settings": {"stability": 0.5, "speed": 1.1}}


def test_settings_that_are_not_set_are_not_sent() -> None:
    assert json.loads(codec.open_context("one", {})) == {"text": " ", "context_id": "one"}


@given(st.text(min_size=1).filter(str.strip))
def test_any_sentence_goes_up_whole_and_ends_in_one_space(sentence: str) -> None:
    message = read_message(codec.say("one", sentence).decode())
    assert isinstance(message, Text)
    assert message.text == sentence.encode("utf-8", "replace").decode().strip() + " "
    assert message.flush


def test_a_lone_surrogate_does_not_stop_the_voice() -> None:
    assert json.loads(codec.say("one", "Hi \ud800 there."))["text"] == "Hi ? there. "


def test_the_small_messages_are_what_the_service_takes() -> None:
    assert json.loads(codec.keep_alive("one")) == {"text": "", "context_id": "one"}
    assert json.loads(codec.close_context("one")) == {"context_id": "one", "close_context": True}
    for message in (codec.keep_alive("one"), codec.close_context("one"), codec.open_context("one", {"speed": 0.9})):
        read_message(message.decode())


# --- down -----------------------------------------------------------------------------------------------------------


def test_sound_comes_with_the_times_of_its_characters() -> None:
    assert decode(sound()) == [Sound("one", MULAW, Alignment(("H", "i"), (0, 40), (40, 60)))]


@pytest.mark.parametrize("alignment", [None, {}, {"chars": None, "charStartTimesMs": None, "charDurationsMs": None}])
def test_sound_without_times_is_sound(alignment: Any) -> None:
    assert decode(sound(alignment=alignment)) == [Sound("one", MULAW)]


def test_the_last_word_of_a_context_is_told() -> None:
    assert decode(b'{"isFinal":true,"audio":null,"contextId":"one"}') == [Final("one")]


def test_sound_and_the_last_word_may_come_together() -> None:
    assert [type(event) for event in decode(sound(isFinal=True))] == [Sound, Final]


def test_a_refusal_is_told_with_the_services_own_word() -> None:
    message = b'{"message":"Maximum exceeded (5).","error":"max_active_conversations","code":1008}'
    assert decode(message) == [Refusal(1008, "max_active_conversations", "Maximum exceeded (5).")]


@pytest.mark.parametrize("message", [b"{}", b'{"audio":null}', b'{"news":1,"audio":""}', b'{"isFinal":false}'])
def test_what_says_nothing_is_nothing(message: bytes) -> None:
    assert decode(message) == []


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"[]",
        b'{"audio":"',
        sound(audio=["sound"]),
        sound(audio="@@@"),
        sound(audio="AAA"),
        sound(contextId=7),
        sound(isFinal="yes"),
        sound(alignment=[]),
        sound(alignment={"chars": ["a"]}),
        sound(alignment=TIMES | {"chars": ["H"]}),
        sound(alignment=TIMES | {"chars": [1, 2]}),
        sound(alignment=TIMES | {"charStartTimesMs": [0, True]}),
        sound(alignment=TIMES | {"charDurationsMs": [0, "1"]}),
    ],
)
def test_what_cannot_be_understood_is_a_fault(message: bytes) -> None:
    with pytest.raises(ModelProtocolFault):
        decode(message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KNOWN = st.sampled_from(["audio", "alignment", "contextId", "isFinal", "error", "message", "code"])


@given(st.dictionaries(KNOWN | st.text(), JSON, max_size=6))
def test_any_json_is_events_or_a_fault(document: dict[str, Any]) -> None:
    try:
        message = orjson.dumps(document)
    except TypeError:
        return  # surrogates: no such message can come
    with suppress(ModelProtocolFault):
        decode(message)


@given(st.binary())
def test_any_bytes_are_events_or_a_fault(message: bytes) -> None:
    with suppress(ModelProtocolFault):
        decode(message)
