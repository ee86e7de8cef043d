"""What the service would not take, this one does not: each refusal with its code, its param, and who is to blame."""

import base64
from typing import Any

import orjson
import pytest
from trio.testing import MockClock
from trio_websocket import ConnectionRejected

from engine.sim.moods import QUOTA_AT_HANDSHAKE, QUOTA_AT_START, Refuse
from engine.sim.openai import PATH
from engine.sim.openai_rules import parse, read_event
from engine.sim.openai_schema import Refused

from .openai_client import KEY, SETUP, URL, Untyped, assert_typed, dial, grounded, of, session


def event(kind: str, **body: Any) -> dict[str, Any]:
    return {"type": kind, **body}


def update(**fields: Any) -> dict[str, Any]:
    return event("session.update", session={"type": "realtime", **fields})


def listening(**fields: Any) -> dict[str, Any]:
    return update(audio={"input": fields})


def speaking(**fields: Any) -> dict[str, Any]:
    return update(audio={"output": fields})


def item(**fields: Any) -> dict[str, Any]:
    return event("conversation.item.create", item=fields)


def message(role: str, *content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return item(type="message", role=role, content=list(content), **more)


TOOL = {"type": "function", "name": "book"}
WORDS = {"type": "input_text", "text": "Hello."}
SOUND = base64.b64encode(bytes(160)).decode()

REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({}, "missing_required_parameter", "type"),
    (event("session.close"), "invalid_value", "type"),
    (event("output_audio_buffer.clear"), "invalid_value", "type"),
    (event("input_audio_buffer.clear", event_id=7), "invalid_type", "event_id"),
    (event("session.update"), "missing_required_parameter", "session"),
    (event("session.update", session={"instructions": "Hi."}), "missing_required_parameter", "session.type"),
    (event("session.update", session={"type": "transcription"}), "invalid_value", "session.type"),
    (update(voice="alloy"), "unknown_parameter", "session.voice"),
    (update(modalities=["audio"]), "unknown_parameter", "session.modalities"),
    (update(input_audio_format="g711_ulaw"), "unknown_parameter", "session.input_audio_format"),
    (update(temperature=0.8), "unknown_parameter", "session.temperature"),
    (update(instructions=7), "invalid_type", "session.instructions"),
    (update(output_modalities=["text", "audio"]), "invalid_value", "session.output_modalities"),
    (update(output_modalities=[]), "invalid_value", "session.output_modalities"),
    (update(max_output_tokens=4097), "integer_above_max_value", "session.max_output_tokens"),
    (update(max_output_tokens=0), "integer_below_min_value", "session.max_output_tokens"),
    (update(tools=[{"type": "function", "function": TOOL}]), "unknown_parameter", "session.tools[0].function"),
    (update(tools=[{"name": "book"}]), "missing_required_parameter", "session.tools[0].type"),
    (update(tools=[{"type": "function", "name": "no good"}]), "invalid_value", "session.tools[0].name"),
    (update(tool_choice="any"), "invalid_value", "session.tool_choice"),
    (listening(format="g711_ulaw"), "invalid_type", "session.audio.input.format"),
    (listening(format={"type": "audio/opus"}), "invalid_value", "session.audio.input.format.type"),
    (
        listening(format={"type": "audio/pcm", "rate": 16000}),
        "integer_below_min_value",
        "session.audio.input.format.rate",
    ),
    (
        listening(turn_detection={"type": "server_vad", "threshold": 1.5}),
        "decimal_above_max_value",
        "session.audio.input.turn_detection.threshold",
    ),
    (
        listening(turn_detection={"type": "semantic_vad", "silence_duration_ms": 300}),
        "unknown_parameter",
        "session.audio.input.turn_detection.silence_duration_ms",
    ),
    (
        listening(turn_detection={"threshold": 0.5}),
        "missing_required_parameter",
        "session.audio.input.turn_detection.type",
    ),
    (
        listening(transcription={"model": "whisper-9"}),
        "invalid_value",
        "session.audio.input.transcription.model",
    ),
    (
        listening(transcription={"model": "gpt-transcribe", "language": "en-US"}),
        "string_above_max_length",
        "session.audio.input.transcription.language",
    ),
    (speaking(voice="Kore"), "invalid_value", "session.audio.output.voice"),
    (speaking(speed=2.0), "decimal_above_max_value", "session.audio.output.speed"),
    (event("input_audio_buffer.append"), "missing_required_parameter", "audio"),
    (event("input_audio_buffer.append", audio="@@@"), "invalid_value", "audio"),
    (event("input_audio_buffer.append", audio=""), "invalid_value", "audio"),
    (event("input_audio_buffer.commit", item_id="x"), "unknown_parameter", "item_id"),
    (item(type="message", content=[WORDS]), "missing_required_parameter", "item.role"),
    (message("user", {"type": "text", "text": "Hi."}), "invalid_value", "item.content[0].type"),
    (message("assistant", {"type": "output_audio", "audio": SOUND}), "invalid_value", "item.content[0].type"),
    (message("assistant", WORDS), "invalid_value", "item.content[0].type"),
    (message("system", {"type": "input_text"}), "missing_required_parameter", "item.content[0].text"),
    (message("user", WORDS, id="x" * 33), "string_above_max_length", "item.id"),
    (message("user", WORDS, id="a/b"), "invalid_value", "item.id"),
    (item(type="function_call_output", call_id="c", output={"ok": True}), "invalid_type", "item.output"),
    (item(type="function_call_output", call_id="a/b", output="x"), "invalid_value", "item.call_id"),
    (event("conversation.item.truncate", item_id="x"), "missing_required_parameter", "content_index"),
    (
        event("conversation.item.truncate", item_id="x", content_index=0, audio_end_ms=-1),
        "integer_below_min_value",
        "audio_end_ms",
    ),
    (
        event("conversation.item.truncate", item_id="x", content_index=0, audio_end_ms=1.5),
        "invalid_type",
        "audio_end_ms",
    ),
    (event("conversation.item.delete"), "missing_required_parameter", "item_id"),
    (event("response.create", response={"modalities": ["audio"]}), "unknown_parameter", "response.modalities"),
    (event("response.create", response={"metadata": {"a": 1}}), "invalid_type", "response.metadata.a"),
    (
        event("response.create", response={"metadata": {"x" * 65: "1"}}),
        "string_above_max_length",
        f"response.metadata.{'x' * 65}",
    ),
    (
        event("response.create", response={"metadata": {str(at): "1" for at in range(17)}}),
        "object_above_max_properties",
        "response.metadata",
    ),
    (event("response.create", metadata={"turn": "1"}), "unknown_parameter", "metadata"),
]


@pytest.mark.parametrize(("sent", "code", "param"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_an_event_that_may_not_be_is_refused(sent: dict[str, Any], code: str, param: str | None) -> None:
    with pytest.raises(Refused) as refused:
        read_event(sent)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert refused.value.blame


TAKEN: list[dict[str, Any]] = [
    event("session.update", session=SETUP, event_id="mine"),
    update(instructions="", tools=[], tool_choice="none", max_output_tokens="inf", tracing=None),
    update(truncation={"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 8000}}),
    listening(turn_detection=None, transcription=None, noise_reduction={"type": "far_field"}),
    listening(turn_detection={"type": "semantic_vad", "eagerness": "high"}),
    speaking(voice={"id": "voice_1"}, speed=1.1, format={"type": "audio/pcm", "rate": 24000}),
    event("input_audio_buffer.append", audio=SOUND),
    message("user", WORDS, {"type": "input_audio", "audio": SOUND}, id="x" * 32),
    message("assistant", {"type": "output_text", "text": "Hello."}, status="completed"),
    event("conversation.item.create", item={"type": "function_call_output", "call_id": "c", "output": ""}),
    event("response.create"),
    event("response.create", response={"conversation": "none", "input": [{"type": "item_reference", "id": "x"}]}),
    event("response.cancel"),
]


@pytest.mark.parametrize("sent", TAKEN, ids=lambda sent: sent["type"])
def test_an_event_that_may_be_is_taken(sent: dict[str, Any]) -> None:
    assert read_event(parse(orjson.dumps(sent).decode())).type == sent["type"]


@pytest.mark.parametrize(("raw", "code"), [("{", "invalid_json"), ("[]", "invalid_event"), (b"{}", "invalid_event")])
def test_a_frame_that_is_no_event_is_refused(raw: str | bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(raw)
    assert refused.value.code == code


async def test_a_refusal_echoes_the_id_of_its_event_in_an_open_session(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.send("session.update", session={"type": "realtime", "voice": "alloy"}, event_id="mine")
        error = await client.error()
        await client.turn()
        assert (await client.done())["status"] == "completed"
    assert (error["code"], error["param"], error["event_id"]) == ("unknown_parameter", "session.voice", "mine")
    assert [fault.code for fault in sim.protocol_faults] == ["unknown_parameter"]


async def test_an_update_that_is_refused_changes_nothing(autojump_clock: MockClock) -> None:
    async with session(grounded()) as client:
        before = (await client.update(instructions="One."))["session"]
        await client.send("session.update", session={"type": "realtime", "instructions": "Two.", "tools": [TOOL, TOOL]})
        assert (await client.error())["param"] == "session.tools"
        assert (await client.update())["session"] == before


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "gpt-realtime-1.5"}, "session.model"),
        ({"tool_choice": {"type": "function", "name": "fly"}}, "session.tool_choice"),
        (
            {"audio": {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}},
            "session.audio.input.transcription",
        ),
        (
            {"audio": {"input": {"transcription": {"model": "gpt-live-transcribe", "delay": "low"}}}},
            "session.audio.input.transcription.delay",
        ),
        (
            {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe", "keywords": ["dentist"]}}}},
            "session.audio.input.transcription.keywords",
        ),
    ],
)
async def test_settings_that_do_not_go_together_are_refused(
    autojump_clock: MockClock, fields: dict[str, Any], param: str
) -> None:
    async with session(grounded()) as client:
        await client.send("session.update", session={"type": "realtime", **fields})
        error = await client.error()
    assert (error["code"], error["param"]) == ("invalid_value", param)


async def test_an_older_model_does_not_reason(autojump_clock: MockClock) -> None:
    async with dial(grounded(), path=f"{PATH}?model=gpt-realtime-1.5") as client:
        await client.send("session.update", session={"type": "realtime", "reasoning": {"effort": "low"}})
        assert (await client.error())["param"] == "session.reasoning"


async def test_an_update_is_partial(autojump_clock: MockClock) -> None:
    async with session(grounded()) as client:
        kept = (await client.update(instructions="Anew."))["session"]
        assert kept["audio"]["output"] == {"format": {"type": "audio/pcmu"}, "voice": "cedar", "speed": 1.0}
        assert kept["tools"] == SETUP["tools"]
        detection = {"type": "server_vad", "threshold": 0.7}
        changed = (await client.update(audio={"input": {"turn_detection": detection}}))["session"]["audio"]["input"]
    assert changed["transcription"] == {"model": "gpt-live-transcribe"}
    assert changed["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.7,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "create_response": True,
        "interrupt_response": True,
    }, "what is named anew begins with its defaults: it answers by itself again"


async def test_the_voice_is_fixed_once_it_was_heard(autojump_clock: MockClock) -> None:
    async with session(grounded()) as client:
        await client.update(audio={"output": {"voice": "marin"}})
        await client.turn()
        await client.done()
        await client.update(audio={"output": {"voice": "marin"}})
        await client.send("session.update", session={"type": "realtime", "audio": {"output": {"voice": "cedar"}}})
        error = await client.error()
    assert (error["code"], error["param"]) == ("cannot_update_voice", "session.audio.output.voice")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [(URL, [], 401), ("/v1/chat", KEY, 404), (URL, [(b"Authorization", b"Basic eDp5")], 401)],
)
async def test_a_handshake_without_a_key_or_a_place_is_refused(
    autojump_clock: MockClock, path: str, headers: Any, status: int
) -> None:
    with pytest.RaisesGroup(ConnectionRejected, flatten_subgroups=True) as refused:
        async with dial(grounded(), path=path, headers=headers):
            pass
    assert [getattr(one, "status_code", 0) for one in refused.value.exceptions] == [status]


@pytest.mark.parametrize(
    ("path", "headers", "code", "closed"),
    [
        (URL, [(b"Authorization", b"Bearer wrong")], "invalid_api_key", 3000),
        (PATH, KEY, "missing_model", 4000),
        (f"{PATH}?model=gpt-5", KEY, "model_not_found", 4004),
        (URL, [*KEY, (b"OpenAI-Beta", b"realtime=v1")], "beta_api_shape_disabled", 4000),
    ],
)
async def test_a_session_that_may_not_be_is_told_why_and_closed(
    autojump_clock: MockClock, path: str, headers: Any, code: str, closed: int
) -> None:
    sim = grounded(api_key="test")
    async with dial(sim, path=path, headers=headers) as client:
        assert (await client.error())["code"] == code
        assert await client.closed_with() == closed
    assert [fault.code for fault in sim.protocol_faults] == [code]
    assert sim.sessions[0].closed_code == closed


async def test_azures_key_header_and_path_are_taken_too(autojump_clock: MockClock) -> None:
    sim = grounded(api_key="test")
    async with dial(sim, path=f"/openai{URL}", headers=[(b"api-key", b"test")]) as client:
        assert (await client.get())["type"] == "session.created"


async def test_a_session_without_money_is_refused_in_every_way(autojump_clock: MockClock) -> None:
    async with dial(grounded(QUOTA_AT_START)) as client:
        assert (await client.error())["code"] == "insufficient_quota"
        assert await client.closed_with() == 1011
    with pytest.RaisesGroup(ConnectionRejected, flatten_subgroups=True) as refused:
        async with dial(grounded(QUOTA_AT_HANDSHAKE)):
            pass
    assert [getattr(one, "status_code", 0) for one in refused.value.exceptions] == [429]
    async with dial(grounded(Refuse(code=1013))) as client:
        assert await client.closed_with() == 1013
        assert client.got == []


async def test_a_session_lasts_as_long_as_it_may(autojump_clock: MockClock) -> None:
    sim = grounded(limit_s=120.0)
    async with session(sim) as client:
        error = await client.error()
        assert await client.closed_with() == 1001
    assert (error["code"], error["message"]) == (
        "session_expired",
        "Your session hit the maximum duration of 2 minutes.",
    )
    assert sim.sessions[0].closed_at == pytest.approx((sim.sessions[0].opened_at or 0) + 120)


async def test_the_first_event_is_the_session_with_its_defaults(autojump_clock: MockClock) -> None:
    async with dial(grounded()) as client:
        created = (await client.get())["session"]
    assert created["audio"]["input"]["turn_detection"]["create_response"]
    assert created["audio"]["input"]["transcription"] is None
    assert created["audio"]["output"]["voice"] == "marin"
    assert (created["model"], created["output_modalities"]) == ("gpt-realtime-2.1", ["audio"])


@pytest.mark.parametrize(
    "spoilt",
    [
        {"item_id": 7},
        {"surprise": True},
        {"audio_start_ms": None},
        {"audio_start_ms": "7"},
    ],
)
def test_the_judge_of_events_finds_what_is_wrong(spoilt: dict[str, Any]) -> None:
    right = {"type": "input_audio_buffer.speech_started", "event_id": "e", "item_id": "i", "audio_start_ms": 7}
    assert_typed(right)
    with pytest.raises((ValueError, Untyped)):
        assert_typed(right | spoilt)


async def test_an_error_keeps_its_place_among_other_events(autojump_clock: MockClock) -> None:
    async with session(grounded()) as client:
        await client.send("conversation.item.delete", item_id="nobody")
        await client.note()
        await client.until("conversation.item.done")
    assert len(of(client.got, "error")) == 1
    assert client.got[-3]["type"] == "error"
