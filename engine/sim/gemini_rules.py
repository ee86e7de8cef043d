"""PURE: what a Live client may send. Whatever the service would refuse is a ``Refusal`` with its close code.

``read_message`` judges one message by itself, ``gemini_conduct`` judges its place in the session.  Where the service's
behaviour is not published the stricter reading is taken: a client that satisfies this one is on the safe side.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.sim.brain import Said, ToolAnswer
from engine.sim.gemini_schema import Refusal, read_fields

_THINKERS = {"models/gemini-3.8-live-extended-thinking"}
_TRANSCRIBERS = {"models/gemini-3.5-transcribe-live"}
_OLDER = {"models/gemini-3.1-flash-live-preview", "models/gemini-2.5-flash-native-audio-preview-12-2025"}
MODELS = frozenset({"models/gemini-3.8-live"} | _OLDER | _THINKERS | _TRANSCRIBERS)
_MIME = re.compile(r"audio/pcm(?:;\s*rate=(\d{4,6}))?")
_TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message. ``handle`` resumes; ``raw`` is all of it in camelCase."""

    model: str
    manual: bool
    interrupts: bool
    silence_ms: int
    resumption: bool
    handle: str | None
    seeds_history: bool
    transcribes_input: bool
    transcribes_output: bool
    instruction: str
    tools: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def listens_only(self) -> bool:
        """It writes down what it hears and answers nothing."""
        return self.model in _TRANSCRIBERS


@dataclass(frozen=True, slots=True)
class AudioIn:
    """Caller audio, 16 bit mono at ``rate`` Hz."""

    pcm: NDArray[np.int16]
    rate: int


@dataclass(frozen=True, slots=True)
class TextIn:
    """``realtimeInput.text``."""

    text: str


@dataclass(frozen=True, slots=True)
class VideoIn:
    """A picture: taken and not looked at."""


@dataclass(frozen=True, slots=True)
class ActivityStart:
    """The client says that the caller began."""


@dataclass(frozen=True, slots=True)
class ActivityEnd:
    """The client says that the caller is done: answer."""


@dataclass(frozen=True, slots=True)
class AudioStreamEnd:
    """Automatic detection only: nothing more for now."""


@dataclass(frozen=True, slots=True)
class ContentIn:
    """``clientContent``: appended to the history; ``complete`` asks for an answer (or ends the seeding)."""

    turns: tuple[Said, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class ToolAnswers:
    """``toolResponse``."""

    answers: tuple[ToolAnswer, ...]


@dataclass(frozen=True, slots=True)
class ContextUpdate:
    """A new system instruction or tool list; None is unchanged."""

    instruction: str | None
    tools: tuple[str, ...] | None


ClientMessage: TypeAlias = (
    Setup
    | AudioIn
    | TextIn
    | VideoIn
    | ActivityStart
    | ActivityEnd
    | AudioStreamEnd
    | ContentIn
    | ToolAnswers
    | ContextUpdate
)


def read_message(raw: str | bytes) -> ClientMessage:
    """One client message, typed.

    Raises:
        Refusal: not JSON, unknown or wrongly typed fields, not exactly one top-level field, values that are refused.
    """
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refusal(f"Invalid JSON payload received. {error}") from None
    message = read_fields(parsed, "")
    if len(message) != 1:
        raise Refusal(f"exactly one of the message's fields must be set, got {sorted(message) or 'none'}")
    (kind, body), *_ = message.items()
    match kind:
        case "setup":
            return _setup(body)
        case "realtimeInput":
            return _realtime(body)
        case "clientContent":
            turns = tuple(Said(turn.get("role", "user"), _texts(turn)) for turn in body.get("turns", []))
            return ContentIn(turns, body.get("turnComplete", False))
        case "toolResponse":
            return ToolAnswers(
                tuple(
                    ToolAnswer(one["id"], one["name"], one["response"], one.get("scheduling", ""))
                    for one in body["functionResponses"]
                )
            )
        case _:
            instruction = _texts(body["systemInstruction"]) if "systemInstruction" in body else None
            return ContextUpdate(instruction, _tools(body["tools"].get("tools", [])) if "tools" in body else None)


def _setup(body: Mapping[str, Any]) -> Setup:
    model = body["model"]
    if model not in MODELS:
        raise Refusal(f"{model} is not found for API version, or is not supported for bidiGenerateContent", 1008)
    generation = body.get("generationConfig", {})
    if generation.get("responseModalities", ["AUDIO"]) != ["TEXT" if model in _TRANSCRIBERS else "AUDIO"]:
        raise Refusal("response_modalities: not supported by this model")
    thinking = generation.get("thinkingConfig", {})
    if ("thinkingLevel" in thinking) != (model in _THINKERS):
        raise Refusal(f"thinking_level is {'needed' if model in _THINKERS else 'not supported'} by this model")
    realtime = body.get("realtimeInputConfig", {})
    detection = realtime.get("automaticActivityDetection", {})
    return Setup(
        model=model,
        manual=detection.get("disabled", False),
        interrupts=realtime.get("activityHandling") != "NO_INTERRUPTION",
        silence_ms=detection.get("silenceDurationMs", 500),
        resumption="sessionResumption" in body,
        handle=body.get("sessionResumption", {}).get("handle"),
        seeds_history=body.get("historyConfig", {}).get("initialHistoryInClientContent", False),
        transcribes_input="inputAudioTranscription" in body,
        transcribes_output="outputAudioTranscription" in body,
        instruction=_texts(body.get("systemInstruction", {})),
        tools=_tools(body.get("tools", [])),
        raw=body,
    )


def _realtime(body: Mapping[str, Any]) -> ClientMessage:
    if len(body) != 1:
        raise Refusal(f"realtime_input: exactly one field expected, got {sorted(body) or 'none'}")
    (kind, value), *_ = body.items()
    match kind:
        case "audio":
            return _audio(value)
        case "text":
            return TextIn(value)
        case "video":
            return VideoIn()
        case "activityStart":
            return ActivityStart()
        case "activityEnd":
            return ActivityEnd()
        case _:
            return AudioStreamEnd()


def _audio(blob: Mapping[str, Any]) -> AudioIn:
    named = _MIME.fullmatch(blob["mimeType"])
    if named is None:
        raise Refusal(f"realtime_input.audio: mime type {blob['mimeType']!r} is not supported")
    if not blob["data"] or len(blob["data"]) % 2:
        raise Refusal(f"realtime_input.audio: {len(blob['data'])} bytes are not 16 bit samples")
    return AudioIn(np.frombuffer(blob["data"], dtype="<i2"), int(named[1] or 16000))


def _texts(content: Mapping[str, Any]) -> str:
    return "\n".join(part["text"] for part in content.get("parts", []) if "text" in part)


def _tools(tools: list[Mapping[str, Any]]) -> tuple[str, ...]:
    names = [function["name"] for tool in tools for function in tool.get("functionDeclarations", [])]
    if bad := [name for name in names if not _TOOL_NAME.fullmatch(name)]:
        raise Refusal(f"tools: invalid function name {bad[0]!r}")
    if len(set(names)) < len(names):
        raise Refusal("tools: duplicate function declaration found")
    return tuple(names)
