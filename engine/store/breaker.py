"""When to stop asking a database that says nothing. PURE: every instant is an argument.

    closed ──``FAILURES`` in a row──► open ──its pause is over──► one is let through ──it was answered──► closed
                                        ▲                                └──it was not: a longer pause─┐
                                        └───────────────────────────────────────────────────────────────┘

Without it every call of a worker would wait its own deadline out with each of its questions, and hold a connection
meanwhile that another one needs. Only waiting counts: a server that is stopped, or full, refuses at once, and asking
it again costs nobody anything and finds out soonest that it is back.
"""

FAILURES = 3
PAUSES_S = (0.25, 0.5, 1.0, 2.0)  # the longest is what a recovered database is noticed after
SLOW_S = 1.0  # whoever waited so long for nothing was not served; giving up sooner says nothing about the database


class Breaker:
    """One for each kind of work: what one kind does to the database must not keep the other from it."""

    def __init__(self) -> None:
        self._failures = 0
        self._openings = 0
        self._until = 0.0
        self._trying = False  # somebody has been let through, and is not back yet
        self.refused = 0

    def allows(self, now: float) -> bool:
        """May it be asked now? Whoever is told so must say how it went: ``answered`` or ``gave_up``."""
        if not self._openings:
            return True
        if now < self._until or self._trying:
            self.refused += 1
            return False
        self._trying = True
        return True

    def answered(self, began: float, now: float, *, away: bool) -> None:
        """It said something; ``away``: that it cannot be used. If it took long to say so, that is no answer."""
        if away and now - began >= SLOW_S:
            self._failed(now)
        else:
            self._failures = self._openings = 0
            self._trying = False

    def gave_up(self, began: float, now: float) -> None:
        """Whoever asked at ``began`` did not wait any longer."""
        if now - began >= SLOW_S:
            self._failed(now)
        else:
            self._trying = False  # somebody else may try

    @property
    def open(self) -> bool:
        """Nobody but one at a time is let through."""
        return self._openings > 0

    def _failed(self, now: float) -> None:
        self._failures += 1
        if self._failures < FAILURES or (self._openings and not self._trying):
            return  # too few yet; or it was asked before it opened, and says nothing new
        self._until = now + PAUSES_S[min(self._openings, len(PAUSES_S) - 1)]
        self._openings += 1
        self._trying = False
