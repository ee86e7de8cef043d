"""Gemini Live: JSON messages <-> typed events. Pure, and lean where audio passes.

The protocol in short: each client message carries exactly one top-level field; keys are camelCase both ways; JSON
travels in text or binary frames alike; bytes are base64, in either alphabet, since official clients use both. The
fields of a server's ``serverContent`` are *not* exclusive, so one message may give several events, in the order in
which they matter: what the caller said, a stop, then what the model says, then ends.

Client side: functions that return one message as UTF-8 bytes. Server side: ``decode(message)``, which raises
``ModelProtocolFault`` and nothing else, ignores what it does not know, and reads ``null`` as absent.
"""

import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal
from uuid import uuid4

import orjson

from engine.errors import MisuseError, ModelProtocolFault
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
from engine.wire.gemini_live_sound import sound_alone

INPUT_RATE_HZ = 16_000  # the service's own; any that is named is taken
DEFAULT_OUTPUT_RATE_HZ = 24_000

# --- client messages ---------------------------------------------------------------------------------------------

_AUDIO_HEAD = b'{"realtimeInput":{"audio":{"data":"'
_AUDIO_TAIL = {rate: b'","mimeType":"audio/pcm;rate=%d"}}}' % rate for rate in (8_000, INPUT_RATE_HZ)}


def audio_message(pcm: bytes, rate_hz: int = INPUT_RATE_HZ) -> bytes:
    """Caller audio: 16-bit little-endian mono PCM at 8 or 16 kHz. Ignored by the service outside an open activity."""
    return _AUDIO_HEAD + binascii.b2a_base64(pcm, newline=False) + _AUDIO_TAIL[rate_hz]


def activity_start() -> bytes:
    """The caller began; interrupts a running response."""
    return b'{"realtimeInput":{"activityStart":{}}}'


def audio_stream_end() -> bytes:
    """Nothing more for the moment: understand what there is. Only where the service detects activity itself."""
    return b'{"realtimeInput":{"audioStreamEnd":true}}'


def activity_end() -> bytes:
    """The caller is done: with manual detection this, and only this, lets the model answer."""
    return b'{"realtimeInput":{"activityEnd":{}}}'


def text_message(text: str) -> bytes:
    """Text as part of the open activity; does not end the turn."""
    return _dump({"realtimeInput": {"text": text}})


def client_content(turns: Sequence[tuple[Literal["user", "model"], str]], *, turn_complete: bool) -> bytes:
    """Whole turns, oldest first. As the first content after a setup with ``historyConfig`` they are the history."""
    content = [{"role": role, "parts": [{"text": text}]} for role, text in turns]
    return _dump({"clientContent": {"turns": content, "turnComplete": turn_complete}})


def tool_response(
    call_id: str,
    name: str,
    response: Mapping[str, Any],
    scheduling: Literal["SILENT", "WHEN_IDLE", "INTERRUPT"] | None = None,
) -> bytes:
    """The answer to one function call. ``scheduling`` is for NON_BLOCKING functions only."""
    answer: dict[str, Any] = {"id": call_id, "name": name, "response": dict(response)}
    if scheduling is not None:
        answer["scheduling"] = scheduling
    return _dump({"toolResponse": {"functionResponses": [answer]}})


def setup(fields: Mapping[str, Any]) -> bytes:
    """The first message of a session; the service answers with ``setupComplete``."""
    return _dump({"setup": dict(fields)})


def _dump(message: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(message)
    except TypeError:  # orjson refuses lone surrogates and integers beyond 64 bits, which other people's JSON may hold
        try:
            return json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        except (TypeError, ValueError, RecursionError) as error:
            raise MisuseError(f"cannot be written as JSON: {error}") from error


# --- server messages ---------------------------------------------------------------------------------------------

_RATE = re.compile(r"rate=(\d{4,6})\b")
_DURATION = re.compile(r"(-?\d{1,9}(?:\.\d{1,9})?)s")
_SOUND_FROM = 512  # bytes; what is shorter is hardly ever sound, and need not be tried as that
_FINISHED = {"", "INTERACTION_STATUS_UNSPECIFIED", "IDLE"}  # any other interaction status: more of this turn follows


def decode(message: bytes, *, make_id: Callable[[], str] = lambda: f"made-{uuid4().hex}") -> list[Event]:
    """What one server message says; empty where it says nothing that we use.

    Args:
        message: the payload of one websocket message, UTF-8 JSON.
        make_id: names a function call that came without an id (some hosts leave it out).

    Raises:
        ModelProtocolFault: not JSON, a known field of the wrong shape, audio that cannot be decoded.
    """
    if len(message) >= _SOUND_FROM and (sound := sound_alone(message)) is not None:
        return [ModelAudio(pcm, _rate_hz(mime)) for mime, pcm in sound]
    try:
        document = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise ModelProtocolFault(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ModelProtocolFault("not a JSON object")
    events: list[Event] = []
    if (content := _object(document, "serverContent")) is not None:
        events.extend(_content(content))
    if len(document) > (content is not None):  # anything beside content: rare, so looked at one by one
        events.extend(_control(document, make_id))
    return events


def _content(content: dict[str, Any]) -> Iterator[Event]:
    if (interim := _object(content, "interimInputTranscription")) is not None:
        yield InterimTranscript(_text(interim, "text"))
    if (heard := _object(content, "inputTranscription")) is not None:
        yield InputTranscript(_text(heard, "text"), _flag(heard, "finished"))
    if _flag(content, "interrupted"):
        yield Interrupted()
    if (turn := _object(content, "modelTurn")) is not None:
        yield from _audio(turn)
    if (said := _object(content, "outputTranscription")) is not None and (text := _text(said, "text")):
        yield OutputTranscript(text)
    if _flag(content, "generationComplete"):
        yield GenerationComplete()
    if _flag(content, "waitingForInput"):
        yield WaitingForInput()
    status = _text(content, "interactionStatus")
    if (_flag(content, "turnComplete") and status in _FINISHED) or status == "IDLE":
        yield TurnComplete(_text(content, "turnCompleteReason"))


def _audio(turn: dict[str, Any]) -> Iterator[Event]:
    """The sound in a model turn. Thoughts are not for the caller; function calls come again as ``toolCall``."""
    for part in _objects(turn, "parts"):
        blob = _object(part, "inlineData")
        if blob is None or _flag(part, "thought"):
            continue
        mime = _text(blob, "mimeType")
        if mime.startswith("audio/") and (pcm := _pcm(_text(blob, "data"))):
            yield ModelAudio(pcm, _rate_hz(mime))


def _pcm(text: str) -> bytes:
    try:
        pcm = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # perhaps the URL-safe alphabet, or no padding: JSON mappings of bytes allow both
        plain = text.replace("-", "+").replace("_", "/")
        try:
            pcm = binascii.a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True)
        except ValueError as error:
            raise ModelProtocolFault(f"audio is not base64: {error}") from None
    if len(pcm) % 2:
        raise ModelProtocolFault("audio ends within a sample")
    return pcm


@lru_cache(maxsize=8)
def _rate_hz(mime: str) -> int:
    if not mime.lower().startswith(("audio/pcm", "audio/l16")):
        raise ModelProtocolFault(f"audio in a form that we cannot play: {mime[:40]}")
    rate = int(found[1]) if (found := _RATE.search(mime)) else DEFAULT_OUTPUT_RATE_HZ
    if not 8_000 <= rate <= 96_000:
        raise ModelProtocolFault(f"audio at {rate} Hz")
    return rate


def _control(document: dict[str, Any], make_id: Callable[[], str]) -> Iterator[Event]:
    if _object(document, "setupComplete") is not None:
        yield SetupComplete()
    if (call := _object(document, "toolCall")) is not None:
        for function in _objects(call, "functionCalls"):
            if not (name := _text(function, "name")):
                raise ModelProtocolFault("a function call without a name")
            yield FunctionCall(_text(function, "id") or make_id(), name, _object(function, "args") or {})
    if (cancelled := _object(document, "toolCallCancellation")) is not None:
        yield CallsCancelled(_texts(cancelled, "ids"))
    if (away := _object(document, "goAway")) is not None:
        yield GoAway(_seconds(away, "timeLeft"))
    if (update := _object(document, "sessionResumptionUpdate")) is not None:
        yield ResumptionUpdate(_text(update, "newHandle"), _flag(update, "resumable"))
    if (usage := _object(document, "usageMetadata")) is not None:
        yield Usage({name: count for name, count in usage.items() if type(count) is int})
    if (error := _object(document, "error")) is not None:
        code = error.get("code")
        yield ErrorFrame(code if type(code) is int else 0, _text(error, "message"))


# --- shapes ------------------------------------------------------------------------------------------------------


def _object(owner: dict[str, Any], key: str) -> dict[str, Any] | None:
    value = owner.get(key)
    if value is None or isinstance(value, dict):
        return value
    raise ModelProtocolFault(f"{key} is not an object")


def _objects(owner: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = owner.get(key)
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise ModelProtocolFault(f"{key} is not a list of objects")


def _text(owner: dict[str, Any], key: str) -> str:
    value = owner.get(key, "")
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise ModelProtocolFault(f"{key} is not text")


def _texts(owner: dict[str, Any], key: str) -> tuple[str, ...]:
    value = owner.get(key)
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ModelProtocolFault(f"{key} is not a list of texts")


def _flag(owner: dict[str, Any], key: str) -> bool:
    value = owner.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise ModelProtocolFault(f"{key} is not true or false")


def _seconds(owner: dict[str, Any], key: str) -> float:
    """A duration as the JSON mapping writes it (``"50s"``); absent or negative means none left."""
    text = _text(owner, key)
    if not text:
        return 0.0
    if (found := _DURATION.fullmatch(text)) is None:
        raise ModelProtocolFault(f"{key} is not a duration")
    return max(0.0, float(found[1]))
