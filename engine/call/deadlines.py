"""How long a conversation waits for what may never come. PURE: every instant is an argument.

| waits for                              | no longer than            | then                                          |
|----------------------------------------|---------------------------|-----------------------------------------------|
| the end of the caller's speech         | ``LONGEST_TURN_S``        | taken as ended: noise never pauses            |
| the caller to say anything             | ``SILENCE_S``, and again  | the agent asks; after ``ASKED_TWICE`` it ends |
| the agent's last words, once it wishes | ``WISH_S``                | the wish is granted all the same              |
| the end of the call                    | what the tenant allows    | the agent takes its leave, or the call ends   |
"""

import math

from engine.call.turn import Phase

LONGEST_TURN_S = 30.0
SILENCE_S = 12.0
ASKED_TWICE = 2
WISH_S = 8.0


class Deadlines:
    """The deadlines of one tenure of the floor."""

    def __init__(self, call_ends_at: float = math.inf) -> None:
        """``call_ends_at``: when it has lasted as long as it may."""
        self._call_ends_at = call_ends_at
        self._phase = Phase.QUIET
        self._since = 0.0
        self._asked = 0
        self._wish_at = math.inf

    def entered(self, phase: Phase, now: float) -> None:
        """The conversation is in this phase; told after every step, whether it changed or not."""
        if phase is not self._phase:
            self._phase, self._since = phase, now
        if phase is Phase.LISTENING:
            self._asked = 0

    def kept_company(self, now: float) -> None:
        """Somebody else spoke to the caller: what they are to answer is not ours, and not answered yet."""
        self._since, self._asked = max(self._since, now), 0

    def wished(self, now: float) -> None:
        """The agent wants to end the call, or to hand it over; only the first time counts."""
        if self._wish_at == math.inf:
            self._wish_at = now + WISH_S

    def wish_is_due(self, now: float) -> bool:
        """The agent's last words were waited for long enough."""
        return now >= self._wish_at

    def call_is_too_long(self, now: float) -> bool:
        """It has lasted as long as it may; said once."""
        if now < self._call_ends_at:
            return False
        self._call_ends_at = math.inf
        return True

    def turn_is_too_long(self, now: float) -> bool:
        """The caller's line has not been silent for longer than anybody speaks."""
        return self._phase is Phase.LISTENING and now >= self._since + LONGEST_TURN_S

    def silence_is_too_long(self, now: float) -> bool:
        """Nobody has said anything; asked once, it begins anew."""
        if self._phase is not Phase.QUIET or now < self._since + SILENCE_S:
            return False
        self._since = now
        self._asked += 1
        return True

    @property
    def has_asked_enough(self) -> bool:
        """The caller did not answer the last question whether they are there."""
        return self._asked > ASKED_TWICE

    def next(self) -> float:
        """The earliest of them."""
        waits = {Phase.LISTENING: LONGEST_TURN_S, Phase.QUIET: SILENCE_S}.get(self._phase, math.inf)
        return min(self._since + waits, self._wish_at, self._call_ends_at)
