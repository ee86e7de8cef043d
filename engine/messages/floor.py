"""Who may speak, and all that reaches whoever does."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class OperatorActed:
    """An operator spoke to the caller, or ordered something: the desk knows what.

    Attributes:
        generation: nothing of the agent's up to this one will be heard any more; 0 where nothing was taken back.
    """

    generation: int = 0


FloorEvent: TypeAlias = LineEvent | ModelEvent | RetrievalOutcome | ToolStarted | ToolResult | OperatorActed
"""All that reaches the one inbox of whoever holds the floor."""
