"""PURE: what a Realtime server sends, as objects without their event ids; and nonsense in its place."""

import base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import orjson

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.sim.moods import Nonsense
from engine.sim.openai_items import Item
from engine.sim.openai_schema import Refused

VOICE_RATE = 24000
PCMU = "audio/pcmu"
_HUGE_BYTES = 10 * 1024 * 1024

Event = dict[str, Any]
Field = Literal["audio", "transcript", "text"]
_CHANNELS: Mapping[Field, str] = {
    "audio": "output_audio",
    "transcript": "output_audio_transcript",
    "text": "output_text",
}


@lru_cache(maxsize=64)
def audio_deltas(pcm: bytes, audio_format: str, chunk_ms: int) -> tuple[tuple[str, float], ...]:
    """Model audio (16 bit at 24 kHz) in the session's format: base64 and milliseconds of each chunk.

    Kept, since the same answer is often given.
    """
    if audio_format == PCMU:
        down = Resampler(VOICE_RATE, g711.SAMPLE_RATE_HZ)
        samples = np.frombuffer(pcm, "<i2").astype(np.int16)
        # Cut to its length: what the filter holds beyond it is the dying away of nothing.
        lower = np.concatenate((down.process(samples), down.flush()))[: len(samples) // 3]
        sound = g711.encode(lower)
        per_ms = g711.BYTES_PER_MS
    else:
        sound, per_ms = pcm, VOICE_RATE * 2 // 1000
    size = per_ms * chunk_ms
    chunks = (sound[at : at + size] for at in range(0, len(sound), size))
    return tuple((base64.b64encode(chunk).decode(), len(chunk) / per_ms) for chunk in chunks)


def error(refused: Refused, client_event_id: str | None) -> Event:
    """What the client sent was not taken."""
    return {
        "type": "error",
        "error": {
            "type": refused.kind,
            "code": refused.code,
            "message": str(refused),
            "param": refused.param,
            "event_id": client_event_id,
        },
    }


def session(kind: Literal["created", "updated"], fields: Mapping[str, Any]) -> Event:
    """The session as it is."""
    return {"type": f"session.{kind}", "session": fields}


def conversation_created(conversation_id: str) -> Event:
    """There is one from the start."""
    return {
        "type": "conversation.created",
        "conversation": {"id": conversation_id, "object": "realtime.conversation"},
    }


def speech_started(item_id: str, at_ms: int) -> Event:
    """Somebody speaks."""
    return {"type": "input_audio_buffer.speech_started", "item_id": item_id, "audio_start_ms": at_ms}


def speech_stopped(item_id: str, at_ms: int) -> Event:
    """They are done."""
    return {"type": "input_audio_buffer.speech_stopped", "item_id": item_id, "audio_end_ms": at_ms}


def committed(item_id: str, previous: str | None) -> Event:
    """What was in the buffer becomes an item."""
    return {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": previous}


def cleared() -> Event:
    """The buffer is empty."""
    return {"type": "input_audio_buffer.cleared"}


def item_event(kind: Literal["added", "done"], item: Item, previous: str | None) -> Event:
    """An item is in the conversation, or is whole."""
    return {"type": f"conversation.item.{kind}", "previous_item_id": previous, "item": item.as_json()}


def retrieved(item: Item) -> Event:
    """An item that was asked for."""
    return {"type": "conversation.item.retrieved", "item": item.as_json()}


def truncated(item_id: str, audio_end_ms: int) -> Event:
    """Its sound ends here now."""
    return {
        "type": "conversation.item.truncated",
        "item_id": item_id,
        "content_index": 0,
        "audio_end_ms": audio_end_ms,
    }


def deleted(item_id: str) -> Event:
    """An item is gone."""
    return {"type": "conversation.item.deleted", "item_id": item_id}


_TRANSCRIPTION = "conversation.item.input_audio_transcription"


def transcript_delta(item_id: str, delta: str) -> Event:
    """A piece of what the caller said."""
    return {"type": f"{_TRANSCRIPTION}.delta", "item_id": item_id, "content_index": 0, "delta": delta}


def transcript_completed(item_id: str, transcript: str, audio_ms: float) -> Event:
    """All of it."""
    heard, wrote = round(audio_ms / 100), len(transcript.split()) + 1
    usage = {
        "type": "tokens",
        "input_tokens": heard,
        "output_tokens": wrote,
        "total_tokens": heard + wrote,
        "input_token_details": {"audio_tokens": heard, "text_tokens": 0},
    }
    shared = {"item_id": item_id, "content_index": 0, "transcript": transcript, "usage": usage}
    return {"type": f"{_TRANSCRIPTION}.completed", **shared}


def transcript_failed(item_id: str) -> Event:
    """It could not be written down."""
    trouble = {"type": "transcription_error", "code": "audio_unintelligible", "message": "The audio could not be read."}
    return {"type": f"{_TRANSCRIPTION}.failed", "item_id": item_id, "content_index": 0, "error": trouble}


def rate_limits(remaining_tokens: int) -> Event:
    """What is left for this minute."""
    return {
        "type": "rate_limits.updated",
        "rate_limits": [
            {"name": "requests", "limit": 20000, "remaining": 19999, "reset_seconds": 0.003},
            {"name": "tokens", "limit": 15_000_000, "remaining": remaining_tokens, "reset_seconds": 0.1},
        ],
    }


def response_event(kind: Literal["created", "done"], response: Mapping[str, Any]) -> Event:
    """A response begins or is over."""
    return {"type": f"response.{kind}", "response": response}


def output_item(kind: Literal["added", "done"], response_id: str, index: int, item: Item) -> Event:
    """An item of a response begins or is over."""
    return {
        "type": f"response.output_item.{kind}",
        "response_id": response_id,
        "output_index": index,
        "item": item.as_json(),
    }


@lru_cache(maxsize=1024)
def _at(response_id: str, item_id: str, index: int) -> dict[str, Any]:
    return {"response_id": response_id, "item_id": item_id, "output_index": index, "content_index": 0}


def content_part(kind: Literal["added", "done"], response_id: str, index: int, item: Item) -> Event:
    """The one part of an answer begins or is over."""
    if item.voiced:
        part = {"type": "audio", "transcript": "" if kind == "added" else item.text}
    else:
        part = {"type": "text", "text": "" if kind == "added" else item.text}
    return {"type": f"response.content_part.{kind}", **_at(response_id, item.id, index), "part": part}


def delta(what: Field, response_id: str, index: int, item: Item, piece: str) -> Event:
    """A piece of an answer."""
    return {"type": f"response.{_CHANNELS[what]}.delta", **_at(response_id, item.id, index), "delta": piece}


def part_done(what: Field, response_id: str, index: int, item: Item) -> Event:
    """All of it; sound is not told again."""
    whole: dict[str, Any] = {} if what == "audio" else {what: item.text}
    return {"type": f"response.{_CHANNELS[what]}.done", **_at(response_id, item.id, index), **whole}


def arguments_delta(response_id: str, index: int, item: Item, piece: str) -> Event:
    """A piece of a call's arguments."""
    return {
        "type": "response.function_call_arguments.delta",
        "response_id": response_id,
        "item_id": item.id,
        "output_index": index,
        "call_id": item.call_id,
        "delta": piece,
    }


def arguments_done(response_id: str, index: int, item: Item) -> Event:
    """All of them, or as far as they came."""
    return {
        "type": "response.function_call_arguments.done",
        "response_id": response_id,
        "item_id": item.id,
        "output_index": index,
        "call_id": item.call_id,
        "name": item.name,
        "arguments": item.text,
    }


def nonsense(kind: Nonsense, response_id: str) -> str:
    """A frame that no client can use (``text_only`` and an empty sound can be understood; there is nothing to hear)."""
    where = {"event_id": "event_nonsense", **_at(response_id, "item_nonsense", 0)}
    sound = {"type": "response.output_audio.delta", **where}
    match kind:
        case "invalid_json":
            return '{"type": "response.output_audio.delta", "delta": "'
        case "wrong_shape":
            return frame({"type": "response.output_audio.delta", "response_id": ["resp"], "delta": {"audio": None}})
        case "bad_base64":
            return frame({**sound, "delta": "@@@ not base64 @@@"})
        case "odd_pcm":
            return frame({**sound, "delta": ""})  # any number of bytes is whole samples of mu-law, but none is no sound
        case "not_audio":
            part = {"type": "image", "image_url": "data:image/png;base64,iVBORw0K"}
            return frame({"type": "response.content_part.added", **where, "part": part})
        case "huge_frame":
            return frame({**sound, "delta": base64.b64encode(b"\xff" * (_HUGE_BYTES * 3 // 4)).decode()})
        case _:
            return frame({"type": "response.output_text.delta", **where, "delta": "I only write today."})


def usage(context: tuple[int, int], cached: tuple[int, int], spoken: Sequence[Item]) -> dict[str, Any]:
    """What a response cost: tokens of text and of sound in what it was told (``cached``: before), and of its own."""
    (text, sound), (text_before, sound_before) = context, cached
    wrote = sum(sum(item.tokens) if not item.audio_ms else round(len(item.text.split()) * 1.4) for item in spoken)
    said = sum(item.tokens[1] for item in spoken)
    return {
        "total_tokens": text + sound + wrote + said,
        "input_tokens": text + sound,
        "output_tokens": wrote + said,
        "input_token_details": {
            "text_tokens": text,
            "audio_tokens": sound,
            "image_tokens": 0,
            "cached_tokens": text_before + sound_before,
            "cached_tokens_details": {"text_tokens": text_before, "audio_tokens": sound_before, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": wrote, "audio_tokens": said},
    }


def frame(event: Mapping[str, Any]) -> str:
    """An event as it goes out."""
    return orjson.dumps(event).decode()
