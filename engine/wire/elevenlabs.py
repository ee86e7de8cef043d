"""ElevenLabs' speech over a websocket with several contexts: JSON messages <-> typed events. Pure.

The protocol in short: the address says voice, model and format; a *context* is one utterance under a name of ours. It
is opened by a single space that carries the voice's settings, is sent text that ends in a space, and is closed; what
was flushed before the close is still said, then comes its final message. Keys are snake_case going up, camelCase coming
down. Times of an alignment count from the beginning of the sound that they came with.

Client side: functions that return one message as UTF-8 bytes. Server side: ``decode(message)``, which raises
``ModelProtocolFault`` and nothing else, ignores what it does not know, and reads ``null`` as absent.
"""

import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

import orjson

from engine.errors import ModelProtocolFault

OUTPUT_FORMAT = "ulaw_8000"
INACTIVITY_S = 180  # the most that the service allows; without it, 20
MOST_CONTEXTS = 5  # of one connection; one more, and the service closes it (1008)
_TAKES_LANGUAGE = ("eleven_flash_v2_5", "eleven_turbo_v2_5")  # others refuse to be told

# --- client messages ---------------------------------------------------------------------------------------------


def address(voice_id: str, model_id: str, language: str) -> str:
    """Path and query of the connection: mu-law at 8 kHz, whole sentences, times with every piece of sound.

    Args:
        voice_id: the voice, by the service's own name.
        model_id: the model that uses it.
        language: a locale such as ``de-DE``.
    """
    query = {
        "model_id": model_id,
        "output_format": OUTPUT_FORMAT,
        "auto_mode": "true",
        "inactivity_timeout": str(INACTIVITY_S),
        "sync_alignment": "true",
    }
    if model_id in _TAKES_LANGUAGE and language:
        query["language_code"] = language.replace("_", "-").split("-")[0].lower()
    return f"/v1/text-to-speech/{quote(voice_id, safe='')}/multi-stream-input?{urlencode(query)}"


def open_context(context_id: str, settings: dict[str, float]) -> bytes:
    """The first message of a context; empty ``settings`` leave the voice as it is set there."""
    message: dict[str, Any] = {"text": " ", "context_id": context_id}
    if settings:
        message["voice_settings"] = settings
    return orjson.dumps(message)


def say(context_id: str, sentence: str) -> bytes:
    """A whole sentence, to be said at once; lone surrogates, which no voice can say, become question marks."""
    sayable = sentence.encode("utf-8", "replace").decode().strip()
    return orjson.dumps({"text": f"{sayable} ", "context_id": context_id, "flush": True})


def keep_alive(context_id: str) -> bytes:
    """Nothing to say yet; only for a context that has been opened, since it would open one without settings."""
    return orjson.dumps({"text": "", "context_id": context_id})


def close_context(context_id: str) -> bytes:
    """Nothing more to say in it."""
    return orjson.dumps({"context_id": context_id, "close_context": True})


# --- server messages ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alignment:
    """When each character of the text is said: three sequences of one length, milliseconds from the sound's start."""

    chars: tuple[str, ...]
    starts_ms: tuple[float, ...]
    durations_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sound:
    """Mu-law at 8 kHz, never empty."""

    context_id: str
    mulaw: bytes
    alignment: Alignment | None = None


@dataclass(frozen=True, slots=True)
class Final:
    """All of this context has been sent."""

    context_id: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The service says what is wrong, usually just before it closes; ``kind`` is its own word for it."""

    code: int
    kind: str
    message: str


Event: TypeAlias = Sound | Final | Refusal


def decode(message: bytes) -> list[Event]:
    """What one server message says; empty where it says nothing that we use.

    Raises:
        ModelProtocolFault: not JSON, a known field of the wrong shape, audio that is not base64.
    """
    try:
        document = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise ModelProtocolFault(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ModelProtocolFault("not a JSON object")
    return list(_events(document))


def _events(document: dict[str, Any]) -> Iterator[Event]:
    if document.get("error") is not None:
        code = document.get("code")
        yield Refusal(code if type(code) is int else 0, _words(document["error"]), _words(document.get("message")))
        return
    context_id = _text(document, "contextId")
    if audio := _text(document, "audio"):
        yield Sound(context_id, _mulaw(audio), _alignment(document.get("alignment")))
    final = document.get("isFinal")
    if final is not None and not isinstance(final, bool):
        raise ModelProtocolFault("isFinal is not true or false")
    if final:
        yield Final(context_id)


def _mulaw(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise ModelProtocolFault(f"audio is not base64: {error}") from None


def _alignment(value: Any) -> Alignment | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ModelProtocolFault("alignment is not an object")
    chars, starts, durations = (value.get(name) for name in ("chars", "charStartTimesMs", "charDurationsMs"))
    if chars is None and starts is None and durations is None:
        return None
    if not (isinstance(chars, list) and isinstance(starts, list) and isinstance(durations, list)):
        raise ModelProtocolFault("alignment is not three lists")
    if not len(chars) == len(starts) == len(durations):
        raise ModelProtocolFault("the lists of an alignment differ in length")
    if not all(isinstance(char, str) for char in chars):
        raise ModelProtocolFault("a character of an alignment is not text")
    if not all(type(ms) in {int, float} for ms in (*starts, *durations)):
        raise ModelProtocolFault("a time of an alignment is not a number")
    return Alignment(tuple(chars), tuple(starts), tuple(durations))


def _text(owner: dict[str, Any], key: str) -> str:
    value = owner.get(key)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise ModelProtocolFault(f"{key} is not text")


def _words(value: Any) -> str:
    """Whatever an error was said with, for a log."""
    return "" if value is None else str(value)[:300]
