"""PURE: which fields a Live client message may have, and of which kind; whatever else is in one is refused.

Proto3 JSON as the service reads it: camelCase or snake_case, null means unset, both base64 alphabets.  A reader takes a
value and its path and gives the value back, every known name in camelCase; ``Refusal`` says what the service would.
The tables leave out on purpose what ``gemini-3.8-live`` refuses (affective dialog, proactivity, Vertex-only fields,
response schemas, deprecated ``mediaChunks``).
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from engine.errors import ProtocolFault

Reader: TypeAlias = Callable[[Any, str], Any]


class Refusal(ProtocolFault):
    """What the service would not take from a client.

    Attributes:
        code: the websocket close code that goes with it.
        blame: False where the client could not have known (a handle that ran out).
    """

    def __init__(self, message: str, code: int = 1007, *, blame: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.blame = blame


def _plain(kind: type, name: str) -> Reader:
    def read(value: Any, where: str) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Refusal(f"Invalid value at '{where}': {name} expected, got {type(value).__name__}")
        return value

    return read


text = _plain(str, "a string")
flag = _plain(bool, "a boolean")
anything = _plain(dict, "an object")


def whole(value: Any, where: str) -> int:
    """A whole number; 64 bit ones may come as a string."""
    if isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal(f"Invalid value at '{where}': a whole number expected, got {type(value).__name__}")
    return value


def number(value: Any, where: str) -> float:
    """A JSON number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(f"Invalid value at '{where}': a number expected, got {type(value).__name__}")
    return float(value)


def data(value: Any, where: str) -> bytes:
    """Bytes, as base64 of either alphabet."""
    try:
        return base64.b64decode(text(value, where).replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise Refusal(f"Invalid value at '{where}': base64 decoding failed: {error}") from None


def choice(*names: str) -> Reader:
    """One name of an enumeration."""

    def read(value: Any, where: str) -> str:
        if text(value, where) not in names:
            raise Refusal(f"Invalid value at '{where}': {value!r} is none of {', '.join(names)}")
        return str(value)

    return read


def many(reader: Reader, least: int = 0) -> Reader:
    """A list of at least so many."""

    def read(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list) or len(value) < least:
            raise Refusal(f"Invalid value at '{where}': a list of at least {least} expected")
        return [reader(item, f"{where}[{at}]") for at, item in enumerate(value)]

    return read


def fields(known: Mapping[str, Reader], need: tuple[str, ...] = ()) -> Reader:
    """A message with some of these fields, and all that it needs."""

    def read(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Refusal(f"Invalid value at '{where}': an object expected, got {type(value).__name__}")
        found: dict[str, Any] = {}
        for given, item in value.items():
            name = _camel(given)
            if name not in known:
                raise Refusal(
                    f"Invalid JSON payload received. Unknown name \"{given}\" at '{where}': Cannot find field."
                )
            if name in found:
                raise Refusal(f"Invalid JSON payload received. Field '{given}' at '{where}' is given twice.")
            if item is not None:
                found[name] = known[name](item, f"{where}.{given}" if where else given)
        if missing := [name for name in need if name not in found]:
            raise Refusal(f"Request contains an invalid argument: '{where}' lacks {', '.join(missing)}")
        return found

    return read


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


_BLOB = fields({"data": data, "mimeType": text}, need=("data", "mimeType"))
_FUNCTION_CALL = fields({"id": text, "name": text, "args": anything}, need=("name",))
_FUNCTION_RESULT = fields(
    {
        "id": text,
        "name": text,
        "response": anything,
        "scheduling": choice("SILENT", "WHEN_IDLE", "INTERRUPT"),
        "willContinue": flag,
    },
    need=("id", "name", "response"),
)
_PART = fields(
    {"text": text, "inlineData": _BLOB, "functionCall": _FUNCTION_CALL, "functionResponse": _FUNCTION_RESULT}
)
_INSTRUCTION = fields({"role": text, "parts": many(fields({"text": text}, need=("text",)), least=1)}, need=("parts",))
_TURN = fields({"role": choice("user", "model"), "parts": many(_PART, least=1)}, need=("parts",))
_FUNCTION = fields(
    {
        "name": text,
        "description": text,
        "parameters": anything,
        "parametersJsonSchema": anything,
        "response": anything,
        "responseJsonSchema": anything,
        "behavior": choice("BLOCKING", "NON_BLOCKING", "UNSPECIFIED"),
    },
    need=("name",),
)
_TOOL = fields({"functionDeclarations": many(_FUNCTION, least=1), "googleSearch": anything})
_VOICE = fields({"prebuiltVoiceConfig": fields({"voiceName": text}), "replicatedVoiceConfig": anything})
_GENERATION = fields(
    {
        "responseModalities": many(choice("AUDIO", "TEXT"), least=1),
        "speechConfig": fields({"voiceConfig": _VOICE, "languageCode": text}),
        "temperature": number,
        "topP": number,
        "topK": number,
        "candidateCount": whole,
        "maxOutputTokens": whole,
        "seed": whole,
        "mediaResolution": choice("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"),
        "thinkingConfig": fields({"thinkingBudget": whole, "includeThoughts": flag, "thinkingLevel": text}),
        "translationConfig": anything,
    }
)
_DETECTION = fields(
    {
        "disabled": flag,
        "startOfSpeechSensitivity": choice("START_SENSITIVITY_HIGH", "START_SENSITIVITY_LOW"),
        "endOfSpeechSensitivity": choice("END_SENSITIVITY_HIGH", "END_SENSITIVITY_LOW"),
        "prefixPaddingMs": whole,
        "silenceDurationMs": whole,
    }
)
_COVERAGE = choice(
    "TURN_INCLUDES_ONLY_ACTIVITY", "TURN_INCLUDES_ALL_INPUT", "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO"
)
_REALTIME = fields(
    {
        "automaticActivityDetection": _DETECTION,
        "activityHandling": choice("START_OF_ACTIVITY_INTERRUPTS", "NO_INTERRUPTION"),
        "turnCoverage": _COVERAGE,
        "interimTranscriptTimestampEnabled": flag,
    }
)
_TRANSCRIPTION = fields(
    {
        "languageCodes": many(text),
        "customVocabulary": many(text),
        "wordTimestamp": flag,
        "diarization": flag,
        "mode": choice("VERBATIM", "SMART"),
    }
)
_SETUP = fields(
    {
        "model": text,
        "generationConfig": _GENERATION,
        "systemInstruction": _INSTRUCTION,
        "tools": many(_TOOL, least=1),
        "realtimeInputConfig": _REALTIME,
        "inputAudioTranscription": _TRANSCRIPTION,
        "outputAudioTranscription": _TRANSCRIPTION,
        "sessionResumption": fields({"handle": text}),
        "contextWindowCompression": fields({"triggerTokens": whole, "slidingWindow": fields({"targetTokens": whole})}),
        "historyConfig": fields({"initialHistoryInClientContent": flag}),
        "safetySettings": many(anything),
        "labels": anything,
    },
    need=("model",),
)
_INPUT = fields(
    {
        "audio": _BLOB,
        "video": _BLOB,
        "text": text,
        "activityStart": fields({}),
        "activityEnd": fields({}),
        "audioStreamEnd": flag,
    }
)
_UPDATE = fields({"systemInstruction": _INSTRUCTION, "tools": fields({"tools": many(_TOOL)})})

read_fields = fields(
    {
        "setup": _SETUP,
        "realtimeInput": _INPUT,
        "clientContent": fields({"turns": many(_TURN), "turnComplete": flag}),
        "toolResponse": fields({"functionResponses": many(_FUNCTION_RESULT, least=1)}, need=("functionResponses",)),
        "contextUpdate": _UPDATE,
    }
)
"""A whole client message, in camelCase."""
