"""What an answer of a simulated model is made of: its manner, what it needs of its session, and how far it has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import trio

from engine.sim.brain import HeardTurn, ToolAnswer, ToolWish
from engine.sim.link import Link
from engine.sim.model_record import Spoken
from engine.sim.moods import Cut, SomeMood


class Stage(Protocol):
    """What an answer needs of its session."""

    link: Link
    nursery: trio.Nursery

    def mood(self, kind: type[SomeMood], *, ahead: int = 0) -> SomeMood | None:
        """The mood of this kind that is due in this turn, used up."""

    def note(self, what: str, detail: str = "") -> None:
        """Log a moment."""

    def ask(self, wish: ToolWish) -> str:
        """A new tool call: its id."""

    def ask_again(self, call_id: str) -> None:
        """The same call once more, under the same id."""

    async def end(self, code: int, reason: str) -> None:
        """Close the connection; does not return."""

    def usage(self, spoken: Spoken) -> Mapping[str, Any]:
        """What the turn cost."""

    async def turn_over(self, spoken: Spoken) -> None:
        """The turn was completed."""


@dataclass(slots=True)
class Answer:
    """An answer under way.

    ``pending``: calls that have no answer yet; ``answered`` wakes whoever waits for them. ``cut``: it is to end in
    mid-sentence, and no sentence has come yet.
    """

    turn: HeardTurn
    spoken: Spoken
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    pending: set[str] = field(default_factory=set)
    answers: list[ToolAnswer] = field(default_factory=list)
    answered: trio.Event = field(default_factory=trio.Event)
    cut: Cut | None = None

    def take(self, answer: ToolAnswer) -> bool:
        """Whether this answer was waited for."""
        if answer.call_id not in self.pending:
            return False
        self.pending.discard(answer.call_id)
        self.answers.append(answer)
        self.answered.set()
        return True
