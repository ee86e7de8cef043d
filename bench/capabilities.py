"""What each model can do itself, and how the engine makes up for what it cannot: the README's table, from the code.

python -m bench.capabilities
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from engine.model import gemini_live, local, openai_realtime
from engine.model.provider import Capabilities

MODELS: Final[Mapping[str, Capabilities]] = {
    "`gemini-live`": gemini_live.GeminiLiveProvider("ws://127.0.0.1", "", "").capabilities,
    "`openai-realtime`": openai_realtime.OpenAIRealtimeProvider(
        "ws://127.0.0.1", "", "", transcribe_model=""
    ).capabilities,
    "`local`": local.CAPABILITIES,
}

# What is meant, and what is done without it. Every field of ``Capabilities`` has a row: a test sees to that.
ROWS: Final[Mapping[str, tuple[str, str]]] = {
    "server_turn_events": ("says when the caller starts and stops", "not needed: our own endpointing decides with all"),
    "per_turn_context": ("takes notes for one turn", ""),
    "interim_transcripts": ("writes down the caller's words while they speak", ""),
    "transcripts_within_s": (
        "has them soon after the caller's end, every time",
        "a listener writes them down beside it",
    ),
    "truncation": ("can be told how much of an answer was heard", "our record has it; a fresh session is told that"),
    "forced_tool": ("a tool can be demanded", "tools are offered; nothing relies on more"),
    "text_output": ("answers in writing, for a tenant's own voice to say", "speaks with its own voice"),
    "g711": ("takes and gives the line's own mu-law", "resampled on the way"),
    "resume": ("a session outlives its connection", "a fresh session is told the conversation"),
    "connection_limit_s": (
        "a connection lasts",
        "a successor is opened beside it a minute before, and goes on unheard",
    ),
}


def table() -> str:
    """Markdown, without a newline at its end."""
    head = ["what it can do itself", *MODELS, "where it cannot, we make up for it"]
    rows = [head, ["---"] * len(head)]
    for name in (field.name for field in fields(Capabilities)):
        meant, instead = ROWS[name]
        has = [_said(getattr(model, name)) for model in MODELS.values()]
        rows.append([meant, *has, "" if set(has) == {"yes"} else instead])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _said(value: bool | float) -> str:  # noqa: FBT001 - a cell of the table
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value < 60:
        return f"within {value} s" if value else "no"
    return "without end" if math.isinf(value) else f"{value / 60:.0f} min"


if __name__ == "__main__":
    print(table())
