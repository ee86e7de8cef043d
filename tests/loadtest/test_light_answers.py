"""The pace of the light model's answers."""

from collections.abc import Callable
from typing import cast

from engine.loadtest.light_answers import Pacer, Speaking
from engine.loadtest.light_loop import Loop


class ByHand:
    """A loop whose time a test moves, and whose timers come late where it moves far."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def clock(self) -> float:
        return self.now

    def at(self, when: float, what: Callable[[], None]) -> None:
        self.due.append((when, what))

    def turn(self) -> None:
        due, self.due = self.due, []
        for when, what in due:
            if when <= self.now:
                what()
            else:
                self.due.append((when, what))


def test_an_answer_that_begins_while_a_turn_is_late_does_not_make_turns_more() -> None:
    loop = ByHand()
    pacer = Pacer(cast("Loop", loop), pace=1.0)
    sent: list[bytes] = []

    def answer() -> Speaking:
        return Speaking([b"."] * 50, loop.now, sent.append, lambda: None)

    for _ in range(20):
        pacer.add(answer())
        loop.now += 0.1  # the turn that is due comes only after the next answer has begun
        pacer.add(answer())
        loop.turn()
        assert len(loop.due) == 1
    for _ in range(60):
        loop.now += 0.1
        loop.turn()
    assert len(b"".join(sent)) == 40 * 50
    assert loop.due == []


def test_an_answer_that_follows_another_at_once_does_not_either() -> None:
    loop = ByHand()
    pacer = Pacer(cast("Loop", loop), pace=1.0)
    sent: list[bytes] = []
    left = 30

    def follow() -> None:
        nonlocal left
        left -= 1
        if left:
            pacer.add(Speaking([b"."] * 3, loop.now, sent.append, follow))

    pacer.add(Speaking([b"."] * 3, loop.now, sent.append, follow))
    while loop.due:
        loop.now += 0.02
        loop.turn()
        assert len(loop.due) <= 1
    assert len(b"".join(sent)) == 30 * 3
