"""PURE: what a Realtime client may send, event by event. Whatever the service would refuse is ``Refused``.

Where its behaviour is not published the stricter reading is taken: a client that satisfies this one is on the safe
side. Left out on purpose, and so refused: MCP servers, prompt templates by reference, G.711 A-law, idle timeouts, and
what belongs to WebRTC and SIP.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from engine.sim.openai_schema import (
    Reader,
    Refused,
    anything,
    choice,
    either,
    fields,
    flag,
    many,
    number,
    or_null,
    pairs,
    tagged,
    text,
    whole,
)

MODELS = frozenset(
    {"gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-2", "gpt-realtime-1.5", "gpt-realtime"}
    | {"gpt-realtime-mini"}
)
VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
LIVE_WHISPER = "gpt-realtime-whisper"
_TRANSCRIBERS = (
    *("gpt-transcribe", "gpt-live-transcribe", LIVE_WHISPER, "gpt-4o-transcribe", "gpt-4o-mini-transcribe"),
    *("gpt-4o-transcribe-diarize", "whisper-1"),
)
_MOST_AUDIO = 15 * 1024 * 1024  # bytes in one event
_LONGEST_ID = 32
_IDS = re.compile(r"[a-zA-Z0-9_-]+")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def _matching(pattern: re.Pattern[str], most: int) -> Reader:
    def read(value: Any, where: str) -> str:
        if not pattern.fullmatch(text(most)(value, where)):
            raise Refused(
                f"Invalid '{where}': string does not match pattern. Expected a string that matches the pattern "
                f"'^{pattern.pattern}$'.",
                "invalid_value",
                where,
            )
        return str(value)

    return read


def _audio(value: Any, where: str) -> bytes:
    encoded = text(_MOST_AUDIO * 4 // 3)(value, where)
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):  # ValueError: letters beyond ASCII
        decoded = b""
    if not decoded:
        raise Refused(
            f"Invalid '{where}'. Expected base64-encoded audio bytes, but got an invalid value.", "invalid_value", where
        )
    return decoded


def _limit(value: Any, where: str) -> Any:
    return value if value == "inf" else whole(1, 4096)(value, where)


def _modalities(value: Any, where: str) -> list[str]:
    found: list[str] = many(choice("text", "audio"))(value, where)
    if found not in (["audio"], ["text"]):
        raise Refused(
            f"Invalid modalities: {found}. Supported combinations are: ['text'] and ['audio'].", "invalid_value", where
        )
    return found


_ID = _matching(_IDS, _LONGEST_ID)
_CALL_ID = _matching(_IDS, 64)
_FORMAT = tagged(
    "type",
    {
        "audio/pcmu": fields({"type": text()}),
        "audio/pcm": fields({"type": text(), "rate": whole(24000, 24000)}),
    },
)
_VOICE = either(choice(*VOICES), fields({"id": text()}, need=("id",)))
_TOOL = fields(
    {
        "type": choice("function"),
        "name": _matching(_TOOL_NAME, 64),
        "description": text(),
        "parameters": anything,
    },
    need=("type", "name"),
)
_TOOL_CHOICE = either(
    choice("auto", "none", "required"),
    fields({"type": choice("function"), "name": text()}, need=("type", "name")),
)
_REASONING = fields({"effort": choice("minimal", "low", "medium", "high", "xhigh")})
_VAD = {"type": text(), "create_response": flag, "interrupt_response": flag}
_DETECTION = tagged(
    "type",
    {
        "server_vad": fields(
            {
                **_VAD,
                "threshold": number(0.0, 1.0),
                "prefix_padding_ms": whole(0, 5000),
                "silence_duration_ms": whole(0, 10_000),
            }
        ),
        "semantic_vad": fields({**_VAD, "eagerness": choice("low", "medium", "high", "auto")}),
    },
)
_TRANSCRIPTION = fields(
    {
        "model": choice(*_TRANSCRIBERS),
        "language": _matching(re.compile(r"[a-z]{2,3}"), 3),
        "languages": many(_matching(re.compile(r"[a-z]{2,3}"), 3)),
        "keywords": many(text()),
        "prompt": text(),
        "delay": choice("minimal", "low", "medium", "high", "xhigh"),
    },
    need=("model",),
)
_INPUT = fields(
    {
        "format": _FORMAT,
        "turn_detection": or_null(_DETECTION),
        "transcription": or_null(_TRANSCRIPTION),
        "noise_reduction": or_null(
            fields({"type": choice("near_field", "far_field"), "strength": number(0.0, 1.0)}, need=("type",))
        ),
    }
)
_OUTPUT = fields({"format": _FORMAT, "voice": _VOICE, "speed": number(0.25, 1.5)})
_TRUNCATION = either(
    choice("auto", "disabled"),
    fields(
        {
            "type": choice("retention_ratio"),
            "retention_ratio": number(0.0, 1.0),
            "token_limits": fields({"post_instructions": whole(0)}),
        },
        need=("type", "retention_ratio"),
    ),
)
_TRACING = or_null(either(choice("auto"), fields({"group_id": text(), "metadata": anything, "workflow_name": text()})))
_SESSION = fields(
    {
        "type": choice("realtime"),
        "model": text(),
        "output_modalities": _modalities,
        "instructions": text(),
        "tools": many(_TOOL, 128),
        "tool_choice": _TOOL_CHOICE,
        "parallel_tool_calls": flag,
        "reasoning": _REASONING,
        "max_output_tokens": _limit,
        "truncation": _TRUNCATION,
        "tracing": _TRACING,
        "include": or_null(many(choice("item.input_audio_transcription.logprobs"))),
        "audio": fields({"input": _INPUT, "output": _OUTPUT}),
    },
    need=("type",),
)

_STATUS = choice("completed", "incomplete", "in_progress")
_COMMON = {"id": _ID, "type": text(), "object": choice("realtime.item"), "status": _STATUS}


def _message(parts: Mapping[str, Reader]) -> Reader:
    known = {**_COMMON, "role": text(), "content": many(tagged("type", parts))}
    return fields(known, need=("role", "content"))


_INPUT_TEXT = fields({"type": text(), "text": text()}, need=("text",))
_MESSAGES = {
    "user": _message(
        {
            "input_text": _INPUT_TEXT,
            "input_audio": fields({"type": text(), "audio": _audio, "transcript": text()}, need=("audio",)),
            "input_image": fields(
                {"type": text(), "image_url": text(), "detail": choice("auto", "low", "high")}, need=("image_url",)
            ),
        },
    ),
    # Assistant sound cannot be created: this is how a history is seeded, in writing.
    "assistant": _message({"output_text": _INPUT_TEXT}),
    "system": _message({"input_text": _INPUT_TEXT}),
}
_ITEM = tagged(
    "type",
    {
        "message": tagged("role", _MESSAGES),
        "function_call": fields(
            {**_COMMON, "call_id": _CALL_ID, "name": text(), "arguments": text()}, need=("name", "arguments")
        ),
        "function_call_output": fields({**_COMMON, "call_id": _CALL_ID, "output": text()}, need=("call_id", "output")),
    },
)
_REFERENCE = fields({"type": text(), "id": text()}, need=("id",))


def _input_item(value: Any, where: str) -> Any:
    kind = value.get("type") if isinstance(value, dict) else None
    return (_REFERENCE if kind == "item_reference" else _ITEM)(value, where)


_RESPONSE = fields(
    {
        "instructions": text(),
        "output_modalities": _modalities,
        "audio": fields({"output": fields({"format": _FORMAT, "voice": _VOICE})}),
        "tools": many(_TOOL, 128),
        "tool_choice": _TOOL_CHOICE,
        "parallel_tool_calls": flag,
        "reasoning": _REASONING,
        "max_output_tokens": _limit,
        "metadata": or_null(pairs(16, 64, 512)),
        "conversation": choice("auto", "none"),
        "input": many(_input_item),
    }
)


def _event(known: Mapping[str, Reader], need: tuple[str, ...] = ()) -> Reader:
    return fields({"type": text(), "event_id": text(512), **known}, need)


_EVENTS = {
    "session.update": _event({"session": _SESSION}, need=("session",)),
    "input_audio_buffer.append": _event({"audio": _audio}, need=("audio",)),
    "input_audio_buffer.commit": _event({}),
    "input_audio_buffer.clear": _event({}),
    "conversation.item.create": _event({"item": _ITEM, "previous_item_id": or_null(text())}, need=("item",)),
    "conversation.item.retrieve": _event({"item_id": text()}, need=("item_id",)),
    "conversation.item.truncate": _event(
        {"item_id": text(), "content_index": whole(0), "audio_end_ms": whole(0)},
        need=("item_id", "content_index", "audio_end_ms"),
    ),
    "conversation.item.delete": _event({"item_id": text()}, need=("item_id",)),
    "response.create": _event({"response": or_null(_RESPONSE)}),
    "response.cancel": _event({"response_id": or_null(text())}),
}
_READ = tagged("type", _EVENTS)


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """One event that may be sent as such; ``body`` is all of it, audio decoded. Its place is judged elsewhere."""

    type: str
    body: Mapping[str, Any]


def parse(raw: str | bytes) -> Mapping[str, Any]:
    """The object in a frame, whatever it says.

    Raises:
        Refused: a binary frame, or one that holds no JSON object.
    """
    if isinstance(raw, bytes):
        raise Refused("Expected a text message, but got a binary one.", "invalid_event")
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Refused("We could not parse the JSON body of the event.", "invalid_json") from None
    if not isinstance(parsed, dict):
        raise Refused("Expected a JSON object.", "invalid_event")
    return parsed


def read_event(parsed: Mapping[str, Any]) -> ClientEvent:
    """The event that this object is.

    Raises:
        Refused: unknown, lacking, wrongly typed or unsupported.
    """
    body = _READ(parsed, "")
    return ClientEvent(body["type"], body)
