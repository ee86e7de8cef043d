"""A script walked by hand: its clock, and all that it did."""

from engine.fallback.script import (
    USUAL_PATIENCE,
    Action,
    Event,
    Key,
    Patience,
    Played,
    Say,
    Script,
    TimePassed,
)
from engine.fallback.steps import Line, Opening, State

LINE_S = 2.0


class Walk:
    """A script, its clock, and all it did, by line name or action."""

    def __init__(
        self,
        opening: Opening = Opening.APOLOGISE,
        *,
        person: bool = True,
        successor: bool = True,
        blank: frozenset[Line] = frozenset(),
        patience: Patience = USUAL_PATIENCE,
    ) -> None:
        self.script = Script(
            opening,
            seconds=lambda say: 0.0 if say.line in blank else LINE_S,
            company=2,
            person=person,
            successor=successor,
            patience=patience,
        )
        self.now = 100.0
        self.done: list[Action] = []
        self._take(self.script.begin(self.now))

    @property
    def said(self) -> list[str]:
        return [action.line.value for action in self.done if isinstance(action, Say)]

    @property
    def state(self) -> State:
        return self.script.state

    def is_at(self, state: State) -> bool:
        """As a call, so that the type checker does not take an earlier answer for a later one."""
        return self.script.state is state

    def on(self, *events: Event) -> "Walk":
        for event in events:
            self._take(self.script.advance(event, self.now))
        return self

    def play(self, lines: int = 1) -> "Walk":
        """The line that is out is heard to its end."""
        for _ in range(lines):
            self.now += LINE_S
            self.on(Played())
        return self

    def wait(self, seconds: float) -> "Walk":
        """Let time pass, with ``TimePassed`` at each deadline, as an actor would."""
        end = self.now + seconds
        while (deadline := self.script.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.on(TimePassed())
        self.now = end
        return self

    def _take(self, actions: list[Action]) -> None:
        self.done += actions


def at_offer(*, person: bool = True) -> Walk:
    """The first offer has been said and the script listens."""
    walk = Walk(successor=False, person=person).play(3 if person else 2)
    assert walk.is_at(State.OFFER)
    return walk


def at_recording() -> Walk:
    walk = at_offer().on(Key("1")).play(2)
    assert walk.is_at(State.RECORDING)
    return walk
