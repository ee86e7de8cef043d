"""What the Gemini Live codec reads: alone, fuzzed, and against the vendor's own types."""

import base64
import string
from contextlib import suppress
from typing import Any

import orjson
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelProtocolFault
from engine.wire import gemini_live as codec
from engine.wire.gemini_live_events import (
    CallsCancelled,
    ErrorFrame,
    Event,
    FunctionCall,
    GenerationComplete,
    GoAway,
    InputTranscript,
    InterimTranscript,
    Interrupted,
    ModelAudio,
    OutputTranscript,
    ResumptionUpdate,
    SetupComplete,
    TurnComplete,
    Usage,
    WaitingForInput,
)

PCM = bytes(range(250)) + b"\xfb\xff\xfe\xff\x00\x00"  # its base64 uses the characters in which the alphabets differ


def from_vendor(**fields: Any) -> bytes:
    return types.LiveServerMessage(**fields).model_dump_json(exclude_none=True, by_alias=True).encode()


def content(**fields: Any) -> bytes:
    return orjson.dumps({"serverContent": fields})


def audio(data: str, mime: str = "audio/pcm;rate=24000") -> bytes:
    return content(modelTurn={"parts": [{"inlineData": {"mimeType": mime, "data": data}}]})


# --- server messages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padded", [True, False])
def test_both_alphabets_are_read_with_and_without_padding(encode: Any, padded: bool) -> None:
    data = encode(PCM).decode()
    assert set("+/-_") & set(data)
    assert codec.decode(audio(data if padded else data.rstrip("="))) == [ModelAudio(PCM, 24_000)]


@given(st.binary(min_size=1, max_size=400).map(lambda data: data + data))
def test_vendor_audio_comes_through_unchanged(pcm: bytes) -> None:
    blob = types.Blob(data=pcm, mime_type="audio/pcm;rate=24000")
    message = from_vendor(
        server_content=types.LiveServerContent(model_turn=types.Content(parts=[types.Part(inline_data=blob)]))
    )
    assert codec.decode(message) == [ModelAudio(pcm, 24_000)]


def test_rate_is_read_and_a_missing_one_means_24_khz() -> None:
    data = base64.b64encode(PCM).decode()
    assert codec.decode(audio(data, "audio/pcm;rate=16000")) == [ModelAudio(PCM, 16_000)]
    assert codec.decode(audio(data, "audio/pcm")) == [ModelAudio(PCM, 24_000)]


@pytest.mark.parametrize("mime", ["audio/opus", "audio/pcm;rate=1000", "audio/pcm;rate=999999"])
def test_audio_that_cannot_be_played_is_a_fault_and_not_noise(mime: str) -> None:
    with pytest.raises(ModelProtocolFault):
        codec.decode(audio("AAAA", mime))


@pytest.mark.parametrize("data", ["AA", "A", "AAAA====", "AA!A", "ÄÖÜß", "AAAA\n"])
def test_broken_audio_is_a_fault(data: str) -> None:
    with pytest.raises(ModelProtocolFault):
        codec.decode(audio(data))


def test_thoughts_texts_pictures_and_duplicate_calls_are_no_sound() -> None:
    sound = {"inlineData": {"mimeType": "audio/pcm", "data": "AAAA"}}
    parts = [
        {"text": "thinking", "thought": True},
        {**sound, "thought": True},
        {"inlineData": {"mimeType": "image/png", "data": "AAA"}},
        {"functionCall": {"id": "c1", "name": "book", "args": {}}},
        {"inlineData": {"mimeType": "audio/pcm", "data": ""}},
    ]
    assert codec.decode(content(modelTurn={"parts": parts})) == []


def test_fields_of_one_message_give_their_events_in_order() -> None:
    message = from_vendor(
        server_content=types.LiveServerContent(
            model_turn=types.Content(
                parts=[types.Part(inline_data=types.Blob(data=b"\x01\x02", mime_type="audio/pcm;rate=24000"))]
            ),
            input_transcription=types.Transcription(text=" hello", finished=True),
            interim_input_transcription=types.Transcription(text="hel"),
            output_transcription=types.Transcription(text=" hi"),
            interrupted=True,
            generation_complete=True,
            turn_complete=True,
            turn_complete_reason=types.TurnCompleteReason.NEED_MORE_INPUT,
            waiting_for_input=True,
        ),
        usage_metadata=types.UsageMetadata(prompt_token_count=7, response_token_count=3, total_token_count=10),
    )
    assert codec.decode(message) == [
        InterimTranscript("hel"),
        InputTranscript(" hello", finished=True),
        Interrupted(),
        ModelAudio(b"\x01\x02", 24_000),
        OutputTranscript(" hi"),
        GenerationComplete(),
        WaitingForInput(),
        TurnComplete("NEED_MORE_INPUT"),
        Usage({"promptTokenCount": 7, "responseTokenCount": 3, "totalTokenCount": 10}),
    ]


def test_a_turn_of_an_interaction_in_progress_is_not_over() -> None:
    assert codec.decode(content(turnComplete=True, interactionStatus="IN_PROGRESS")) == []
    assert codec.decode(content(turnComplete=True, interactionStatus="IDLE")) == [TurnComplete("")]
    assert codec.decode(content(interactionStatus="IDLE")) == [TurnComplete("")]


@pytest.mark.parametrize(
    ("message", "events"),
    [
        (from_vendor(setup_complete=types.LiveServerSetupComplete(session_id="s")), [SetupComplete()]),
        (
            from_vendor(
                tool_call=types.LiveServerToolCall(
                    function_calls=[
                        types.FunctionCall(id="c1", name="book", args={"day": "Monday", "deep": {"a": [1]}})
                    ]
                )
            ),
            [FunctionCall("c1", "book", {"day": "Monday", "deep": {"a": [1]}})],
        ),
        (
            from_vendor(tool_call_cancellation=types.LiveServerToolCallCancellation(ids=["c1", "c2"])),
            [CallsCancelled(("c1", "c2"))],
        ),
        (from_vendor(go_away=types.LiveServerGoAway(time_left="50s")), [GoAway(50.0)]),
        (
            from_vendor(
                session_resumption_update=types.LiveServerSessionResumptionUpdate(new_handle="h", resumable=True)
            ),
            [ResumptionUpdate("h", resumable=True)],
        ),
        (b'{"goAway":{"timeLeft":"1.250s"}}', [GoAway(1.25)]),
        (b'{"goAway":{"timeLeft":"-3s"}}', [GoAway(0.0)]),
        (b'{"goAway":{}}', [GoAway(0.0)]),
        (b'{"error":{"code":429,"message":"quota","status":"X"}}', [ErrorFrame(429, "quota")]),
        (b'{"error":{}}', [ErrorFrame(0, "")]),
        (b'{"serverContent":{}}', []),
        (b'{"serverContent":null}', []),
        (b"{}", []),
        (b'{"serverContent":{"speechState":{"x":1},"groundingMetadata":{}},"voiceActivity":{"type":"A"}}', []),
        (b'{"sessionResumptionUpdate":{"resumable":false}}', [ResumptionUpdate("", resumable=False)]),
        (b'{"toolCall":{"functionCalls":null}}', []),
    ],
)
def test_control_messages(message: bytes, events: list[Event]) -> None:
    assert codec.decode(message) == events


def test_a_call_without_an_id_gets_one_of_its_own() -> None:
    message = b'{"toolCall":{"functionCalls":[{"name":"a"},{"name":"a","args":null}]}}'
    first, second = codec.decode(message)
    assert isinstance(first, FunctionCall)
    assert isinstance(second, FunctionCall)
    assert first.call_id
    assert first.call_id != second.call_id
    assert codec.decode(message, make_id=lambda: "mine")[0] == FunctionCall("mine", "a", {})


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"serverContent":[]}',
        b'{"serverContent":{"modelTurn":[]}}',
        b'{"serverContent":{"modelTurn":{"parts":{}}}}',
        b'{"serverContent":{"modelTurn":{"parts":[1]}}}',
        b'{"serverContent":{"modelTurn":{"parts":[{"inlineData":"x"}]}}}',
        b'{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":7}}]}}}',
        b'{"serverContent":{"turnComplete":"yes"}}',
        b'{"serverContent":{"outputTranscription":{"text":5}}}',
        b'{"toolCall":{"functionCalls":[{"id":"x"}]}}',
        b'{"toolCall":{"functionCalls":[{"name":"x","args":"y"}]}}',
        b'{"toolCallCancellation":{"ids":[1]}}',
        b'{"goAway":{"timeLeft":"soon"}}',
        b'{"goAway":{"timeLeft":"1e9s"}}',
        b'{"error":"x"}',
    ],
)
def test_malformed_messages_are_faults(message: bytes) -> None:
    with pytest.raises(ModelProtocolFault):
        codec.decode(message)


FIELDS = """
    serverContent modelTurn parts inlineData mimeType data thought inputTranscription interimInputTranscription
    outputTranscription text finished interrupted turnComplete turnCompleteReason generationComplete waitingForInput
    interactionStatus toolCall functionCalls id name args toolCallCancellation ids goAway timeLeft setupComplete
    sessionResumptionUpdate newHandle resumable usageMetadata totalTokenCount error code message
"""
KEYS = st.sampled_from(FIELDS.split())
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.sampled_from(["audio/pcm;rate=24000", "audio/pcm;rate=٣٤٥٦٧", "AAAA", "AAA=", "50s", "IDLE", ""])
    | st.text(alphabet=string.printable, max_size=8)
)
SHAPES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, SHAPES, max_size=4))
def test_any_shape_gives_events_or_a_fault_and_nothing_else(document: dict[str, Any]) -> None:
    try:
        events = codec.decode(orjson.dumps(document))
    except ModelProtocolFault:
        return
    for event in events:
        if isinstance(event, ModelAudio):
            assert event.pcm
            assert len(event.pcm) % 2 == 0


@given(st.binary(max_size=200))
def test_any_bytes_give_events_or_a_fault_and_nothing_else(message: bytes) -> None:
    with suppress(ModelProtocolFault):
        codec.decode(message)


@given(st.data())
def test_a_message_cut_or_bent_anywhere_is_events_or_a_fault(data: st.DataObject) -> None:
    message = bytearray(audio(base64.b64encode(PCM).decode()))
    at = data.draw(st.integers(0, len(message) - 1))
    bent = bytes(message[:at]) + data.draw(st.binary(max_size=3)) + bytes(message[at + 1 :])
    with suppress(ModelProtocolFault):
        codec.decode(bent)
