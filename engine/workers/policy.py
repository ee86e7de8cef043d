"""When to start a worker again, and when somebody has to stand in: two small tables over numbers. PURE.

Instants are of one monotonic clock, in seconds.
"""

from collections import deque

PAUSES_S = (0.1, 0.5, 2.0, 10.0, 30.0)  # before a worker that died is started again; the last one for ever
JITTER = 0.25  # of the pause, at most, on top: what made all of them die together must not have them start together
HEALTHY_S = 60.0  # of serving, after which what went before is forgotten
QUICK_S = 10.0  # whoever dies before it has served so long may have died of what the next will die of
LOOP_DEATHS = 2  # quick ones within HEALTHY_S: a crash loop
LOOP_S = 2.0  # nobody serves, in a crash loop
UNSERVED_S = 8.0  # nobody serves, for whatever reason: the carrier gives up on an answer at 15 s


class Backoff:
    """How long to wait before one worker is started again."""

    def __init__(self) -> None:
        self._failures = 0

    def pause_s(self, *, served_s: float, chance: float) -> float:
        """A worker has died.

        Args:
            served_s: how long it had been ready.
            chance: 0 to 1, drawn anew each time.
        """
        if served_s >= HEALTHY_S:
            self._failures = 0
        pause = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
        self._failures += 1
        return pause * (1.0 + JITTER * chance)


class Outage:
    """Does the static script have to be served, because nobody else serves?

    A death alone is no reason: calls wait in the backlog for the seconds that a worker takes to come back, and go on
    with it. The script ends a conversation, so it is for when there is nothing better to wait for.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._deaths: deque[float] = deque(maxlen=LOOP_DEATHS)

    def death(self, now: float, *, served_s: float) -> None:
        """A worker has died by itself."""
        if served_s < QUICK_S:
            self._deaths.append(now)

    def look(self, now: float, *, anybody: bool) -> None:
        """Is anybody ready?"""
        self._since = None if anybody else now if self._since is None else self._since

    def due_at(self) -> float | None:
        """From when on somebody has to stand in, unless anybody is ready before; None while anybody is."""
        if self._since is None:
            return None
        looping = len(self._deaths) == LOOP_DEATHS and self._since - self._deaths[0] <= HEALTHY_S
        return self._since + (LOOP_S if looping else UNSERVED_S)
