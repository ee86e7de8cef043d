"""PURE: what a Live server sends, as the UTF-8 JSON of one message; camelCase, for binary frames."""

import base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from engine.sim.moods import Nonsense

OUTPUT_RATE = 24000
_MIME = f"audio/pcm;rate={OUTPUT_RATE}"
_HUGE_BYTES = 10 * 1024 * 1024


def setup_complete(session_id: str) -> bytes:
    """The session is open."""
    return _dump({"setupComplete": {"sessionId": session_id}})


@lru_cache(maxsize=64)
def audio_frames(pcm: bytes, chunk_ms: int) -> tuple[bytes, ...]:
    """Model audio (16 bit at 24 kHz) cut into messages; kept, since the same answer is often given."""
    size = OUTPUT_RATE * 2 * chunk_ms // 1000
    return tuple(_content({"modelTurn": _audio_turn(pcm[at : at + size])}) for at in range(0, len(pcm), size))


def input_text(delta: str) -> bytes:
    """A piece of what the caller said."""
    return _content({"inputTranscription": {"text": delta}})


def interim_input_text(text: str) -> bytes:
    """What the caller has said so far; the next one replaces it."""
    return _content({"interimInputTranscription": {"text": text}})


def output_text(delta: str) -> bytes:
    """A piece of what the model says."""
    return _content({"outputTranscription": {"text": delta}})


def deltas(text: str, messages: int, *, first: bool) -> dict[int, str]:
    """Which words go out ahead of which message: evenly over the sound. Each brings its own space."""
    said: dict[int, str] = {}
    words = text.split()
    for at, word in enumerate(words):
        slot = at * messages // len(words)
        said[slot] = said.get(slot, "") + (word if first and at == 0 else f" {word}")
    return said


def in_two_deltas(transcript: str) -> list[str]:
    """A transcript as the service sends it, in deltas with their own spacing: whoever takes one for the whole is found
    out.
    """
    words = transcript.split()
    half = (len(words) + 1) // 2
    return [" " + " ".join(part) for part in (words[:half], words[half:]) if part]


def text_part(text: str) -> bytes:
    """A piece of what the model writes instead of saying it."""
    return _content({"modelTurn": {"role": "model", "parts": [{"text": text}]}})


def generation_complete() -> bytes:
    """All of the answer has been sent."""
    return _content({"generationComplete": True})


def turn_complete(usage: Mapping[str, Any]) -> bytes:
    """The model's turn is over, and what it cost."""
    return _dump({"serverContent": {"turnComplete": True}, "usageMetadata": usage})


def interrupted() -> bytes:
    """The running answer was stopped."""
    return _content({"interrupted": True})


def interrupted_turn_complete() -> bytes:
    """The stopped turn is over."""
    return _content({"turnComplete": True})


def tool_call(calls: Sequence[Mapping[str, Any]]) -> bytes:
    """Function calls: ``id``, ``name``, ``args`` each."""
    return _dump({"toolCall": {"functionCalls": list(calls)}})


def tool_call_part(call: Mapping[str, Any]) -> bytes:
    """The same as a part of the model's turn, as some models send it besides."""
    return _content({"modelTurn": {"role": "model", "parts": [{"functionCall": call}]}})


def tool_call_cancellation(ids: Sequence[str]) -> bytes:
    """These are no longer waited for."""
    return _dump({"toolCallCancellation": {"ids": list(ids)}})


def resumption(handle: str) -> bytes:
    """The newest handle; empty: the session cannot be resumed at this point."""
    update = {"newHandle": handle, "resumable": True} if handle else {"resumable": False}
    return _dump({"sessionResumptionUpdate": update})


def go_away(time_left_s: float) -> bytes:
    """The connection will be closed."""
    return _dump({"goAway": {"timeLeft": f"{time_left_s:.9f}".rstrip("0").rstrip(".") + "s"}})


def voice_activity(kind: str, offset_s: float) -> bytes:
    """``ACTIVITY_START`` or ``ACTIVITY_END``, and how far into the session's audio."""
    return _dump({"voiceActivity": {"type": kind, "audioOffset": f"{offset_s:.3f}s"}})


def nonsense(kind: Nonsense) -> bytes:
    """A message that no client can use (``text_only`` can be understood, but there is nothing to hear in it)."""
    match kind:
        case "invalid_json":
            return b'{"serverContent": {"modelTurn": {"parts": [{"inlineData"'
        case "wrong_shape":
            return _dump(
                {"serverContent": {"modelTurn": {"parts": {"inlineData": ["audio"]}}, "turnComplete": "maybe"}}
            )
        case "bad_base64":
            return _content({"modelTurn": _inline(_MIME, "@@@ not base64 @@@")})
        case "odd_pcm":
            return _content({"modelTurn": _audio_turn(bytes(1921))})
        case "not_audio":
            return _content({"modelTurn": _inline("image/png", base64.b64encode(b"\x89PNG\r\n").decode())})
        case "huge_frame":
            return _content({"modelTurn": _audio_turn(bytes(_HUGE_BYTES * 3 // 4))})
        case _:
            return _content({"modelTurn": {"role": "model", "parts": [{"text": "I only write today."}]}})


def _audio_turn(pcm: bytes) -> dict[str, Any]:
    return _inline(_MIME, base64.b64encode(pcm).decode())


def _inline(mime: str, data: str) -> dict[str, Any]:
    return {"role": "model", "parts": [{"inlineData": {"mimeType": mime, "data": data}}]}


def _content(fields: Mapping[str, Any]) -> bytes:
    return _dump({"serverContent": fields})


def _dump(message: Mapping[str, Any]) -> bytes:
    return orjson.dumps(message)
