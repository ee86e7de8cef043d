"""Tenant -> the settings that an OpenAI Realtime session starts with, and what it is told of the call so far."""

from typing import Any, Final, Literal

from engine.model.provider import HistoryItem, SessionSetup
from engine.model.setup import CONTEXT_TARGET_TOKENS, CONTEXT_TRIGGER_TOKENS, instruction
from engine.tenants.tenant import Tenant
from engine.wire import openai_realtime as codec

SILENCE_MS: Final = 300
SILENCE_BEFORE_OURS_MS: Final = 200
SHORTEST_SILENCE_MS: Final = 100

Modality = Literal["audio", "text"]


def session_fields(setup: SessionSetup, transcribe_model: str) -> dict[str, Any]:
    """The content of ``session.update``, JSON-ready: mu-law both ways, and every answer is asked for by us.

    The service detects speech, so that it writes down what the caller says piece by piece, but it neither answers nor
    stops an answer by itself: retrieval comes before every answer, and whether a sound is a barge-in is ours to judge.
    """
    tenant = setup.tenant
    fields: dict[str, Any] = {
        "output_modalities": modalities("text" if setup.in_writing else "audio"),
        "instructions": "\n\n".join(instruction(tenant)),
        "audio": {
            "input": {
                "format": {"type": codec.G711},
                "transcription": {"model": transcribe_model, "language": tenant.language.partition("-")[0]},
                "turn_detection": {
                    "type": "server_vad",
                    "silence_duration_ms": silence_ms(tenant),
                    "create_response": False,
                    "interrupt_response": False,
                },
            },
            "output": {"format": {"type": codec.G711}, "voice": tenant.openai_voice},
        },
        "truncation": {
            "type": "retention_ratio",
            "retention_ratio": CONTEXT_TARGET_TOKENS / CONTEXT_TRIGGER_TOKENS,
            "token_limits": {"post_instructions": CONTEXT_TRIGGER_TOKENS},
        },
    }
    if tenant.tools:
        fields["tools"] = [
            {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in tenant.tools
        ]
    return fields


def modalities(modality: Modality) -> list[Modality]:
    """The service takes one, as a list."""
    return [modality]


def silence_ms(tenant: Tenant) -> int:
    """After so much silence the service takes what was said for an item: before our endpointing ends the turn.

    What it has then is understood by the time of the commit; a turn with pauses becomes several items.
    """
    return max(SHORTEST_SILENCE_MS, min(SILENCE_MS, tenant.timing.endpointing_ms - SILENCE_BEFORE_OURS_MS))


def history_messages(history: tuple[HistoryItem, ...]) -> list[bytes]:
    """What was said before, an item each. The agent's words go in writing: its sound cannot be given back."""
    return [
        codec.message_item("user" if item.role == "caller" else "assistant", item.text, item_id=f"before_{number}")
        for number, item in enumerate(history)
        if item.text
    ]
