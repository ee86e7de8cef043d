"""What the OpenAI Realtime codec writes and reads: fuzzed, and against the vendor's own types."""

import base64
import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelProtocolFault
from engine.wire import openai_realtime as codec
from engine.wire import openai_realtime_events as events
from tests.wire.openai_types import by_vendor, from_vendor

TEXT = st.text(alphabet=st.characters(codec="utf-8"))
IN_RESPONSE = {"response_id": "r1", "item_id": "i1", "output_index": 0, "content_index": 0}


# --- client messages -----------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=2000))
def test_sound_goes_up_untouched(mulaw: bytes) -> None:
    assert base64.b64decode(by_vendor(codec.append(mulaw)).audio) == mulaw


@given(TEXT, st.sampled_from(["user", "assistant", "system"]), st.none() | st.just("i0"))
def test_any_text_survives_as_an_item(text: str, role: Any, after: str | None) -> None:
    message = codec.message_item(role, text, item_id="told_1", after=after)
    read = by_vendor(message)
    assert (read.item.id, read.item.role, read.previous_item_id) == ("told_1", role, after)
    assert [(part.type, part.text) for part in read.item.content] == [
        ("output_text" if role == "assistant" else "input_text", text)
    ]
    assert ("previous_item_id" in orjson.loads(message)) is (after is not None)


@given(TEXT)
def test_any_answer_of_a_tool_survives(output: str) -> None:
    read = by_vendor(codec.tool_output("call_1", output, event_id="output_1"))
    assert (read.item.type, read.item.call_id, read.item.output) == ("function_call_output", "call_1", output)


def test_every_other_message_is_what_the_vendor_reads() -> None:
    assert by_vendor(codec.commit(event_id="c1")).event_id == "c1"
    assert by_vendor(codec.delete("i1", event_id="d1")).item_id == "i1"
    truncated = by_vendor(codec.truncate("i1", 1234, event_id="t1"))
    assert (truncated.item_id, truncated.content_index, truncated.audio_end_ms) == ("i1", 0, 1234)
    created = by_vendor(codec.create_response({"turn": "3"}, event_id="ask_1"))
    assert (created.response.metadata, created.event_id) == ({"turn": "3"}, "ask_1")
    assert by_vendor(codec.cancel_response("r1", event_id="s1")).response_id == "r1"
    assert "response_id" not in orjson.loads(codec.cancel_response(None, event_id="s1"))
    updated = by_vendor(codec.session_update({"output_modalities": ["text"]}))
    assert (updated.session.type, updated.session.output_modalities) == ("realtime", ["text"])


def test_half_a_character_becomes_a_question_mark() -> None:
    assert orjson.loads(codec.message_item("user", "a\ud800b", item_id="i"))["item"]["content"][0]["text"] == "a?b"


# --- server messages -----------------------------------------------------------------------------------------------


@given(st.binary(max_size=2000))
def test_the_models_sound_comes_through_unchanged(mulaw: bytes) -> None:
    message = from_vendor(type="response.output_audio.delta", delta=base64.b64encode(mulaw).decode(), **IN_RESPONSE)
    assert codec.decode(message) == events.AudioDelta("r1", "i1", mulaw)


CALL = {"type": "function_call", "id": "i2", "call_id": "c1", "name": "book", "arguments": "{}", "status": "completed"}
USAGE = {
    "total_tokens": 5,
    "input_tokens": 3,
    "output_tokens": 2,
    "input_token_details": {"text_tokens": 1, "audio_tokens": 2, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 2, "audio_tokens": 0},
}


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        (
            {"type": "response.output_audio_transcript.delta", "delta": " hi", **IN_RESPONSE},
            events.TranscriptDelta("r1", "i1", " hi"),
        ),
        (
            {"type": "response.output_text.delta", "delta": " hi", **IN_RESPONSE},
            events.TextDelta("r1", "i1", " hi"),
        ),
        (
            {"type": "response.created", "response": {"id": "r1", "metadata": {"ask": "ask_1"}}},
            events.ResponseCreated(events.Response(id="r1", metadata={"ask": "ask_1"})),
        ),
        (
            {"type": "response.output_item.done", "response_id": "r1", "output_index": 0, "item": CALL},
            events.ItemDone("r1", events.Item("function_call", "i2", "completed", "c1", "book", "{}")),
        ),
        (
            {
                "type": "response.done",
                "response": {
                    "id": "r1",
                    "status": "failed",
                    "status_details": {"type": "failed", "error": {"type": "server_error", "code": "oops"}},
                    "output": [CALL],
                    "usage": USAGE,
                },
            },
            events.ResponseDone(
                events.Response(
                    id="r1",
                    status="failed",
                    status_details=events.StatusDetails(error=events.ErrorDetail("server_error", "oops")),
                    output=(events.Item("function_call", "i2", "completed", "c1", "book", "{}"),),
                    usage=events.Usage(5, 3, 2, events.InputDetails(1, 2, 0), events.OutputDetails(2, 0)),
                )
            ),
        ),
        (
            {"type": "input_audio_buffer.speech_started", "item_id": "i1", "audio_start_ms": 5},
            events.SpeechStarted("i1"),
        ),
        ({"type": "input_audio_buffer.committed", "item_id": "i1"}, events.Committed("i1")),
        (
            {"type": "conversation.item.input_audio_transcription.delta", "item_id": "i1", "delta": "a"},
            events.HeardDelta("i1", "a"),
        ),
        (
            {
                "type": "conversation.item.input_audio_transcription.completed",
                "item_id": "i1",
                "content_index": 0,
                "transcript": "ab",
                "usage": {"type": "duration", "seconds": 1.0},
            },
            events.HeardWhole("i1", "ab"),
        ),
        (
            {
                "type": "conversation.item.input_audio_transcription.failed",
                "item_id": "i1",
                "content_index": 0,
                "error": {"code": "x"},
            },
            events.NotUnderstood("i1"),
        ),
        (
            {"type": "error", "error": {"type": "invalid_request_error", "code": "x", "message": "y", "event_id": "z"}},
            events.ErrorSaid(events.ErrorDetail("invalid_request_error", "x", "y", "z")),
        ),
        ({"type": "session.created", "session": {"type": "realtime"}}, events.SessionCreated()),
        (
            {
                "type": "session.updated",
                "session": {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcmu"}}}},
            },
            events.SessionUpdated(
                events.Session(events.AudioSettings(output=events.AudioSide(events.AudioFormat("audio/pcmu"))))
            ),
        ),
    ],
)
def test_what_the_vendor_writes_is_read(fields: dict[str, Any], event: events.ServerEvent) -> None:
    assert codec.decode(from_vendor(**fields)) == event


def test_what_is_not_used_or_not_known_is_passed_over() -> None:
    assert codec.decode(from_vendor(type="input_audio_buffer.cleared")) is None
    assert codec.decode(b'{"type":"response.of_next_year","delta":[{}]}') is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"type":null}',
        b'{"type":7}',
        b'{"type":"\xff"}',
        b'{"type":"x","a":' + b"[" * 100_000,
        b'{"type":"error"}',
        b'{"type":"error","error":"x"}',
        b'{"type":"response.done","response":{"output":[7]}}',
        b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"AA!A"}',
        b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"A"}',
        b'{"type":"response.output_audio.delta","item_id":"i","delta":"AAAA"}',
        b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":null}',
    ],
)
def test_what_cannot_be_understood_is_a_fault(message: bytes) -> None:
    with pytest.raises(ModelProtocolFault):
        codec.decode(message)


_PLAIN = st.none() | st.booleans() | st.integers() | TEXT
_JSON = _PLAIN | st.lists(_PLAIN, max_size=2)
_FIELDS = st.sampled_from(
    ["response_id", "item_id", "delta", "response", "item", "error", "transcript", "session", "type", "id", "output"]
)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_anything_else(message: bytes) -> None:
    with suppress(ModelProtocolFault):
        codec.decode(message)


@given(
    st.sampled_from(sorted(codec.KINDS)),
    st.dictionaries(_FIELDS, _JSON | st.dictionaries(_FIELDS, _JSON, max_size=3), max_size=4),
)
def test_no_shape_makes_it_raise_anything_else(kind: str, fields: dict[str, Any]) -> None:
    with suppress(ModelProtocolFault):
        assert isinstance(codec.decode(json.dumps({**fields, "type": kind}).encode()), events.Event)
