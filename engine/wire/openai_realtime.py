"""OpenAI Realtime (the general interface, not its beta): JSON messages <-> typed events. Pure, lean where audio passes.

The protocol in short: every message is a JSON object in a text frame and says what it is in ``type``. The client may
give a message an ``event_id``; the service names it in the error about that message and nowhere else, so what was done
is recognised by ids that the client chose for its items, and by the metadata of a response. Sound is base64 in JSON,
and mu-law goes both ways as it is.

Client side: functions that return one message as UTF-8 bytes. Server side: ``decode(message)``, which raises
``ModelProtocolFault`` and nothing else, passes over what it does not know, and reads ``null`` as absent.
"""

import binascii
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
import orjson

from engine.errors import MisuseError, ModelProtocolFault
from engine.wire import openai_realtime_events as events

G711: Final = "audio/pcmu"

# --- client messages ---------------------------------------------------------------------------------------------

_AUDIO_HEAD = b'{"type":"input_audio_buffer.append","audio":"'


def append(mulaw: bytes) -> bytes:
    """Caller audio in the session's input format; never acknowledged."""
    return _AUDIO_HEAD + binascii.b2a_base64(mulaw, newline=False) + b'"}'


def commit(*, event_id: str) -> bytes:
    """What was appended and not yet committed becomes an item; never starts a response. Nothing there is an error."""
    return _dump({"type": "input_audio_buffer.commit", "event_id": event_id})


def session_update(session: Mapping[str, Any]) -> bytes:
    """Settings to change, all others stay; the service answers with ``session.updated``."""
    return _dump({"type": "session.update", "session": {"type": "realtime", **session}})


def message_item(
    role: Literal["user", "assistant", "system"], text: str, *, item_id: str, after: str | None = None
) -> bytes:
    """Something said, or to be known; an error about it names the item's id.

    Args:
        item_id: of our choice, new in this session, at most 32 characters.
        after: the item that it follows; by default it is the newest.
    """
    content = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
    item = {"id": item_id, "type": "message", "role": role, "content": [content]}
    message = {"type": "conversation.item.create", "event_id": item_id, "item": item}
    return _dump(_with(message, previous_item_id=after))


def tool_output(call_id: str, output: str, *, event_id: str) -> bytes:
    """The answer to one call; does not let the model go on."""
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    return _dump({"type": "conversation.item.create", "event_id": event_id, "item": item})


def delete(item_id: str, *, event_id: str) -> bytes:
    """Take an item out of the conversation. An unknown one is an error."""
    return _dump({"type": "conversation.item.delete", "item_id": item_id, "event_id": event_id})


def truncate(item_id: str, audio_end_ms: int, *, event_id: str) -> bytes:
    """Of the model's sound in this item only so much was heard. More than there is is an error."""
    return _dump(
        {
            "type": "conversation.item.truncate",
            "item_id": item_id,
            "content_index": 0,
            "audio_end_ms": audio_end_ms,
            "event_id": event_id,
        }
    )


def create_response(metadata: Mapping[str, str], *, event_id: str) -> bytes:
    """Let the model answer; only one response may be running. ``metadata`` (at most 16 pairs) comes back with it."""
    return _dump({"type": "response.create", "response": {"metadata": dict(metadata)}, "event_id": event_id})


def cancel_response(response_id: str | None, *, event_id: str) -> bytes:
    """Stop this response, or whichever is running; it is over with its ``response.done``. None running is an error."""
    return _dump(_with({"type": "response.cancel", "event_id": event_id}, response_id=response_id))


def _with(message: dict[str, Any], **optional: str | None) -> dict[str, Any]:
    return message | {name: value for name, value in optional.items() if value is not None}


def _dump(message: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(message)
    except TypeError:  # orjson refuses lone surrogates, which other people's texts may hold
        try:
            return msgspec.json.encode(_clean(message))
        except (TypeError, ValueError, RecursionError) as error:
            raise MisuseError(f"cannot be written as JSON: {error}") from error


def _clean(value: Any) -> Any:
    """The same without lone surrogates."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_clean(name): _clean(part) for name, part in value.items()}
        case list() | tuple():
            return [_clean(part) for part in value]
        case _:
            return value


# --- server messages ---------------------------------------------------------------------------------------------


class _Envelope(msgspec.Struct, gc=False):
    type: str


_ENVELOPE = msgspec.json.Decoder(_Envelope)
KINDS: Final[Mapping[str, type[events.Event]]] = {
    "response.output_audio.delta": events.AudioDelta,
    "response.output_audio_transcript.delta": events.TranscriptDelta,
    "response.output_text.delta": events.TextDelta,
    "response.created": events.ResponseCreated,
    "response.output_item.done": events.ItemDone,
    "response.done": events.ResponseDone,
    "input_audio_buffer.speech_started": events.SpeechStarted,
    "input_audio_buffer.committed": events.Committed,
    "conversation.item.input_audio_transcription.delta": events.HeardDelta,
    "conversation.item.input_audio_transcription.completed": events.HeardWhole,
    "conversation.item.input_audio_transcription.failed": events.NotUnderstood,
    "session.created": events.SessionCreated,
    "session.updated": events.SessionUpdated,
    "error": events.ErrorSaid,
}
_DECODERS: Final = {kind: msgspec.json.Decoder(event) for kind, event in KINDS.items()}


def decode(message: bytes) -> events.ServerEvent | None:
    """What one server message says; None where it says nothing that we use.

    Args:
        message: the payload of one websocket message, UTF-8 JSON.

    Raises:
        ModelProtocolFault: not JSON, no ``type``, a field of the wrong shape, sound that is not base64.
    """
    try:
        decoder = _DECODERS.get(_ENVELOPE.decode(message).type)
        return None if decoder is None else decoder.decode(message)  # type: ignore[return-value]  # of the union all
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelProtocolFault(
            f"{'wrong shape' if isinstance(error, msgspec.ValidationError) else 'not JSON'}: {error}"
        ) from None
