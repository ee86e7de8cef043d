"""PURE: the configuration of a Realtime session: its defaults, what updates make of it, what a response takes."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.sim.openai_rules import LIVE_WHISPER
from engine.sim.openai_schema import Refused

_INSTRUCTIONS = "You are a helpful, witty, and friendly AI. Talk quickly, and call a function if you can."
_SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD = {"type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True}
# How much silence a judge of meaning waits for: it mostly decides well before its longest waits of 8, 4 and 2 s.
_EAGERNESS_MS = {"low": 1200, "medium": 800, "auto": 800, "high": 400}


@dataclass(frozen=True, slots=True)
class Detection:
    """When speech begins and ends, and what follows from it. Durations in ms of audio; ``threshold`` 0 to 1."""

    threshold: float = 0.5
    prefix_ms: int = 300
    silence_ms: int = 500
    creates: bool = True
    interrupts: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one response is to be: the session's settings with its own over them.

    Attributes:
        limit: output tokens; None for no end.
        forced: ``required``, the name of one tool, or empty.
        in_conversation: False: nothing of it is remembered.
        input: the items that it is to see, instead of the conversation; None for the conversation.
        own_instructions: what came with the request itself.
    """

    writes: bool
    output_format: str
    voice: Any
    instructions: str
    tools: tuple[str, ...]
    forced: str = ""
    limit: int | None = None
    metadata: Mapping[str, str] | None = None
    in_conversation: bool = True
    input: tuple[Mapping[str, Any], ...] | None = None
    own_instructions: str = ""


@dataclass(slots=True)
class Config:
    """The session as the service would describe it (``fields``), and what it means."""

    model: str
    session_id: str
    expires_at: int
    fields: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.fields = {
            "type": "realtime",
            "object": "realtime.session",
            "id": self.session_id,
            "model": self.model,
            "expires_at": self.expires_at,
            "output_modalities": ["audio"],
            "instructions": _INSTRUCTIONS,
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "truncation": "auto",
            "tracing": None,
            "prompt": None,
            "include": None,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": dict(_SERVER_VAD),
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
            },
        }

    def update(self, change: Mapping[str, Any], *, has_spoken: bool) -> None:
        """Take a partial update, all of it or nothing.

        Raises:
            Refused: another model, another voice after ``has_spoken``, what this model does not have, settings that
                exclude each other.
        """
        if change.get("model", self.model) != self.model:
            raise Refused("The model of a session cannot be changed.", "invalid_value", "session.model")
        for name in ("reasoning", "parallel_tool_calls"):
            if name in change and not self.model.startswith("gpt-realtime-2"):
                raise Refused(f"{name} is not supported by {self.model}.", "invalid_value", f"session.{name}")
        new = copy.deepcopy(self.fields)
        audio = change.get("audio", {})
        new.update({name: value for name, value in change.items() if name not in ("audio", "model")})
        new["audio"]["input"].update(audio.get("input", {}))
        new["audio"]["output"].update(audio.get("output", {}))
        self._complete(new, change)
        if has_spoken and new["audio"]["output"]["voice"] != self.fields["audio"]["output"]["voice"]:
            raise Refused(
                "Cannot update a conversation's voice if assistant audio is present.",
                "cannot_update_voice",
                "session.audio.output.voice",
            )
        _agree(new)
        self.fields = new

    def _complete(self, new: dict[str, Any], change: Mapping[str, Any]) -> None:
        """What an update names anew begins with its own defaults, not with what was there."""
        given = change.get("audio", {}).get("input", {}).get("turn_detection")
        if given is not None:
            whole = _SERVER_VAD if given["type"] == "server_vad" else _SEMANTIC_VAD
            new["audio"]["input"]["turn_detection"] = {**whole, **given}
        for side in ("input", "output"):
            shape = new["audio"][side]["format"]
            if shape["type"] == "audio/pcm":
                new["audio"][side]["format"] = {"rate": 24000, **shape}

    @property
    def detection(self) -> Detection | None:
        """None: the client says where a turn ends."""
        given = self.fields["audio"]["input"]["turn_detection"]
        if given is None:
            return None
        does = {"creates": given["create_response"], "interrupts": given["interrupt_response"]}
        if given["type"] == "semantic_vad":
            return Detection(silence_ms=_EAGERNESS_MS[given["eagerness"]], **does)
        return Detection(given["threshold"], given["prefix_padding_ms"], given["silence_duration_ms"], **does)

    @property
    def transcriber(self) -> str | None:
        """The model that writes down what the caller says."""
        given = self.fields["audio"]["input"]["transcription"]
        return None if given is None else str(given["model"])

    @property
    def input_format(self) -> str:
        """``audio/pcmu`` or ``audio/pcm``."""
        return str(self.fields["audio"]["input"]["format"]["type"])

    @property
    def instructions(self) -> str:
        """The system instruction in force."""
        return str(self.fields["instructions"])

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the functions on offer."""
        return tuple(tool["name"] for tool in self.fields["tools"])

    def wanted(self, given: Mapping[str, Any] | None = None) -> Wanted:
        """The response that this request asks for; None: as the service makes one by itself.

        Raises:
            Refused: a forced tool that is not on offer, a voice that the session does not have.
        """
        own = given or {}
        asked = {**self.fields, **{name: value for name, value in own.items() if name != "audio"}}
        output = {**self.fields["audio"]["output"], **own.get("audio", {}).get("output", {})}
        tools = tuple(tool["name"] for tool in asked["tools"])
        choice, limit = asked["tool_choice"], asked["max_output_tokens"]
        forced = choice["name"] if isinstance(choice, dict) else choice if choice == "required" else ""
        if forced and (not tools if forced == "required" else forced not in tools):
            raise Refused("Tool choice requires a tool that is not on offer.", "invalid_value", "response.tool_choice")
        return Wanted(
            writes=asked["output_modalities"] == ["text"],
            output_format=output["format"]["type"],
            voice=output["voice"],
            instructions=asked["instructions"],
            tools=() if choice == "none" else tools,
            forced=forced,
            limit=None if limit == "inf" else limit,
            metadata=own.get("metadata"),
            in_conversation=own.get("conversation", "auto") == "auto",
            input=None if own.get("input") is None else tuple(own["input"]),
            own_instructions=own.get("instructions", ""),
        )


def _agree(session: Mapping[str, Any]) -> None:
    names = [tool["name"] for tool in session["tools"]]
    if len(set(names)) < len(names):
        raise Refused("Tool names must be unique.", "invalid_value", "session.tools")
    choice = session["tool_choice"]
    if isinstance(choice, dict) and choice["name"] not in names:
        raise Refused(f"Tool choice {choice['name']!r} is not among the tools.", "invalid_value", "session.tool_choice")
    listening = session["audio"]["input"]
    transcription = listening["transcription"] or {}
    where = "session.audio.input.transcription"
    model = transcription.get("model", "")
    if model == LIVE_WHISPER and listening["turn_detection"] is not None:
        raise Refused(f"Turn detection is not supported with {model}.", "invalid_value", where)
    if "delay" in transcription and model != LIVE_WHISPER:
        raise Refused(f"delay is not supported with {model}.", "invalid_value", f"{where}.delay")
    if "prompt" in transcription and model in (LIVE_WHISPER, "gpt-4o-transcribe-diarize"):
        raise Refused(f"prompt is not supported with {model}.", "invalid_value", f"{where}.prompt")
    for name in ("keywords", "languages"):
        if name in transcription and model not in ("gpt-transcribe", "gpt-live-transcribe"):
            raise Refused(f"{name} is not supported with {model}.", "invalid_value", f"{where}.{name}")
