"""PURE: what a client of ElevenLabs' multi-context websocket may ask for and say, and when each character is said.

Where the service's behaviour is not published the stricter reading is taken: a client that satisfies this one is on the
safe side.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.call.heard import word_ends

MOST_CONTEXTS = 5
MOST_INACTIVITY_S = 180
MODELS = frozenset({"eleven_flash_v2_5", "eleven_turbo_v2_5", "eleven_multilingual_v2", "eleven_flash_v2"})
_TOLD_LANGUAGES = frozenset({"eleven_flash_v2_5", "eleven_turbo_v2_5"})
_SCHEDULE = (120, 160, 250, 290)  # characters that are waited for, where whole sentences are not expected


class Refused(Exception):
    """The service does not take this.

    Attributes:
        kind: the service's own word for it; its message is the exception's text.
        status: of the handshake.
        blame: the client should have known better.
    """

    def __init__(self, kind: str, message: str, *, status: int = 403, blame: bool = True) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.blame = blame


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address asks for."""

    voice_id: str
    model: str
    whole_sentences: bool
    times_with_all_sound: bool
    inactivity_s: float
    language: str = ""


def read_address(path: str) -> Wanted:
    """The path and query of a handshake.

    Raises:
        Refused: another path, a format that a telephone cannot use, or a value that the service does not know.
    """
    target = urlsplit(path)
    parts = target.path.split("/")
    if len(parts) != 5 or parts[1:3] != ["v1", "text-to-speech"] or parts[4] != "multi-stream-input" or not parts[3]:
        raise Refused("not_found", f"there is nothing at {target.path}", status=404)
    query = {name: values[-1] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
    model = query.pop("model_id", "")
    if model not in MODELS:
        raise Refused("model_not_found", f"A model with model ID {model} does not exist.", status=400)
    if (form := query.pop("output_format", "")) != "ulaw_8000":
        raise Refused("invalid_output_format", f"this simulator speaks ulaw_8000 only, not {form}", status=400)
    inactivity = query.pop("inactivity_timeout", "20")
    if not inactivity.isdigit() or not 1 <= int(inactivity) <= MOST_INACTIVITY_S:
        raise Refused("invalid_inactivity_timeout", f"{inactivity} is not between 1 and 180", status=400)
    language = query.pop("language_code", "")
    if language and (model not in _TOLD_LANGUAGES or len(language) != 2 or not language.islower()):
        raise Refused("unsupported_language", f"{model} does not support the language_code {language}", status=400)
    flags = {name: query.pop(name, "false") for name in ("auto_mode", "sync_alignment")}
    if wrong := [f"{name}={value}" for name, value in flags.items() if value not in {"true", "false"}] + list(query):
        raise Refused("invalid_query", f"{', '.join(wrong)}", status=400)
    auto, sync = flags["auto_mode"] == "true", flags["sync_alignment"] == "true"
    return Wanted(unquote(parts[3]), model, auto, sync, float(inactivity), language)


# --- messages ----------------------------------------------------------------------------------------------------

_Share = Annotated[float, Field(ge=0, le=1)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class VoiceSettings(_Message):
    """How a voice is used; null: as it is set there."""

    stability: _Share | None = None
    similarity_boost: _Share | None = None
    style: _Share | None = None
    use_speaker_boost: bool | None = None
    speed: Annotated[float, Field(ge=0.7, le=1.2)] | None = None


class GenerationConfig(_Message):
    """How much text is waited for."""

    chunk_length_schedule: list[Annotated[float, Field(ge=50, le=500)]] | None = None


class Text(_Message):
    """Opens a context (a single space), is said in it, or (empty) keeps it alive."""

    text: str
    context_id: Annotated[str, Field(min_length=1)]
    flush: bool = False
    voice_settings: VoiceSettings | None = None
    generation_config: GenerationConfig | None = None


class Flush(_Message):
    """Says what has been held back."""

    context_id: Annotated[str, Field(min_length=1)]
    flush: Literal[True]


class CloseContext(_Message):
    """Nothing more of this context."""

    context_id: Annotated[str, Field(min_length=1)]
    close_context: Literal[True]


class CloseSocket(_Message):
    """Nothing more at all."""

    close_socket: Literal[True]


ClientMessage: TypeAlias = Text | Flush | CloseContext | CloseSocket


def read_message(raw: str | bytes) -> ClientMessage:
    """One message of a client.

    Raises:
        Refused: it is none.
    """
    if isinstance(raw, bytes):
        raise Refused("invalid_message", "a binary frame; messages are text")
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused("invalid_message", f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Refused("invalid_message", "not a JSON object")
    kind: type[ClientMessage] = Text
    if "close_socket" in document:
        kind = CloseSocket
    elif "close_context" in document:
        kind = CloseContext
    elif "text" not in document:
        kind = Flush
    try:
        message = kind.model_validate(document)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise Refused("invalid_message", said) from None
    if isinstance(message, Text) and message.text.strip() and not message.text.endswith(" "):
        raise Refused("invalid_message", f"text should end with a space: {message.text[-40:]!r}")
    return message


class Buffer:
    """A context's text until enough of it is there to be said."""

    def __init__(self, *, whole_sentences: bool) -> None:
        self._whole_sentences = whole_sentences
        self._text = ""
        self._said = 0

    def add(self, text: str, *, flush: bool) -> str | None:
        """More text; what is to be said now."""
        self._text += text
        enough = _SCHEDULE[min(self._said, len(_SCHEDULE) - 1)]
        if not self._text.strip() or not (flush or self._whole_sentences or len(self._text) >= enough):
            return None
        said, self._text = self._text, ""
        self._said += 1
        return said


def alignment(text: str, sound_ms: float) -> list[tuple[str, int, int]]:
    """When each character is said: the character, its start, its length, in whole ms from the start of the sound.

    Words take the time of their letters (``call.heard``), the space after one the pause that follows it.
    """
    words = text.split()
    if not words:
        return [(char, 0, 0) for char in text]
    ends = word_ends(words)
    scale = sound_ms / ends[-1]
    starts = [end - word_ends([word])[0] for word, end in zip(words, ends, strict=True)]
    times: list[float] = []  # when each character begins, and at last when all is over
    at, word = 0, -1
    for index, char in enumerate(text):
        if char.isspace():
            times.append(0.0 if word < 0 else ends[word] * scale)
            continue
        if not index or text[index - 1].isspace():
            word, at = word + 1, 0
        length = (ends[word] - starts[word]) / len(words[word])
        times.append((starts[word] + at * length) * scale)
        at += 1
    times.append(sound_ms)
    whole = [math.floor(time) for time in times]
    return [(char, whole[at], whole[at + 1] - whole[at]) for at, char in enumerate(text)]


def as_fields(characters: list[tuple[str, int, int]], base_ms: float) -> Mapping[str, list[str] | list[int]]:
    """As the service writes it, counted from ``base_ms``."""
    base = math.floor(base_ms)
    return {
        "chars": [char for char, _, _ in characters],
        "charStartTimesMs": [start - base for _, start, _ in characters],
        "charDurationsMs": [length for _, _, length in characters],
    }
