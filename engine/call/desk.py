"""How a conversation ends, and what a call's tools may ask: to end the call, or to be put through to a person.

The wish is kept here until the holder of the floor can honour it politely (after the agent's last words were heard).
"""

from dataclasses import dataclass
from typing import TypeAlias

from engine.tenants.tenant import Person


@dataclass(frozen=True, slots=True)
class AgentEnds:
    """The agent has said goodbye; ``reason`` is its own."""

    reason: str


@dataclass(frozen=True, slots=True)
class PersonWanted:
    """The caller is to be put through."""

    person: Person


Wish: TypeAlias = AgentEnds | PersonWanted


class CallDesk:
    """One per call; fills ``tools.control.CallControl``. A later wish replaces an earlier one."""

    def __init__(self) -> None:
        self.wish: Wish | None = None

    def request_transfer(self, person: Person) -> None:
        """Put the caller through to this person once the agent has finished speaking."""
        self.wish = PersonWanted(person)

    def request_end(self, reason: str) -> None:
        """End the call once the agent has finished speaking."""
        self.wish = AgentEnds(reason)
