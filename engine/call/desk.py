"""How a conversation ends, and what a call's tools may ask: to end the call, or to be put through to a person.

The wish is kept here until the holder of the floor can honour it politely (after the agent's last words were heard).
"""

from dataclasses import dataclass
from typing import TypeAlias

import trio

from engine.tenants.tenant import Person


@dataclass(frozen=True, slots=True)
class AgentEnds:
    """The agent has said goodbye; ``reason`` is its own. ``ordered``: an operator wants it, and nobody has said so."""

    reason: str
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class PersonWanted:
    """The caller is to be put through. ``ordered``: an operator wants it, and the caller does not know yet."""

    person: Person
    ordered: bool = False


Wish: TypeAlias = AgentEnds | PersonWanted


class CallDesk:
    """One per call; fills ``tools.control.CallControl``. A later wish replaces an earlier one."""

    def __init__(self) -> None:
        self.wish: Wish | None = None
        self._orders = trio.lowlevel.ParkingLot()

    def request_transfer(self, person: Person) -> None:
        """Put the caller through to this person once the agent has finished speaking."""
        self.wish = PersonWanted(person)

    def request_end(self, reason: str) -> None:
        """End the call once the agent has finished speaking."""
        self.wish = AgentEnds(reason)

    def order(self, wish: Wish) -> None:
        """An operator's: a wish like any other for a conversation; the script, which has none, waits for it."""
        self.wish = wish
        self._orders.unpark_all()

    async def wait_order(self) -> Wish:
        """Wait for an operator's, and take it."""
        while self.wish is None or not self.wish.ordered:
            await self._orders.park()
        wish, self.wish = self.wish, None
        return wish
