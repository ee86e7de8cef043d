"""Who may speak, and all that reaches whoever does."""

from enum import StrEnum
from typing import TypeAlias

from engine.messages.line import LineEvent
from engine.messages.model import ModelEvent
from engine.messages.slow_lane import RetrievalOutcome, ToolResult, ToolStarted


class Floor(StrEnum):
    """Who may speak."""

    NOBODY = "nobody"
    CALLER = "caller"
    AGENT = "agent"
    SCRIPT = "script"
    HUMAN = "human"


FloorEvent: TypeAlias = LineEvent | ModelEvent | RetrievalOutcome | ToolStarted | ToolResult
"""All that reaches the one inbox of whoever holds the floor."""
