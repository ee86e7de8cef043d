"""What the Gemini Live codec writes, read by the vendor's own types."""

import json

import orjson
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import MisuseError
from engine.wire import gemini_live as codec

PCM = bytes(range(250)) + b"\xfb\xff\xfe\xff\x00\x00"  # its base64 uses the characters in which the alphabets differ


def by_vendor(message: bytes) -> types.LiveClientMessage:
    return types.LiveClientMessage.model_validate_json(message)


# --- client messages -----------------------------------------------------------------------------------------------


def test_audio_message_is_what_the_vendor_reads() -> None:
    sent = by_vendor(codec.audio_message(PCM)).realtime_input
    assert sent is not None
    assert sent.audio == types.Blob(data=PCM, mime_type="audio/pcm;rate=16000")


def test_activity_markers_are_what_the_vendor_reads() -> None:
    start, end = by_vendor(codec.activity_start()).realtime_input, by_vendor(codec.activity_end()).realtime_input
    assert start == types.LiveClientRealtimeInput(activity_start=types.ActivityStart())
    assert end == types.LiveClientRealtimeInput(activity_end=types.ActivityEnd())


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_any_text_survives_the_way_up(text: str) -> None:
    assert orjson.loads(codec.text_message(text)) == {"realtimeInput": {"text": text}}


def test_history_is_what_the_vendor_reads() -> None:
    sent = by_vendor(codec.client_content([("user", "hello"), ("model", "hi")], turn_complete=True)).client_content
    assert sent is not None
    assert sent.turn_complete is True
    assert [(turn.role, turn.parts[0].text) for turn in sent.turns or [] if turn.parts] == [
        ("user", "hello"),
        ("model", "hi"),
    ]


def test_tool_response_is_what_the_vendor_reads() -> None:
    sent = by_vendor(codec.tool_response("c1", "book", {"status": "ok"}, "SILENT")).tool_response
    assert sent is not None
    assert sent.function_responses == [
        types.FunctionResponse(
            id="c1",
            name="book",
            response={"status": "ok"},
            scheduling=types.FunctionResponseScheduling.SILENT,
        )
    ]
    assert b"scheduling" not in codec.tool_response("c1", "book", {"status": "ok"})


def test_each_client_message_has_one_top_level_field() -> None:
    for message in (
        codec.audio_message(PCM),
        codec.activity_start(),
        codec.activity_end(),
        codec.text_message("x"),
        codec.client_content([], turn_complete=False),
        codec.tool_response("c", "n", {}),
        codec.setup({"model": "m"}),
    ):
        assert len(json.loads(message)) == 1


def test_json_that_only_python_knows_is_cleaned_or_refused() -> None:
    sent = json.loads(codec.tool_response("c", "n", {"bad": "a\ud800b", "big": 2**70}))
    assert sent["toolResponse"]["functionResponses"][0]["response"] == {"bad": "a?b", "big": 2**70}
    with pytest.raises(MisuseError):
        codec.tool_response("c", "n", {"what": object()})
