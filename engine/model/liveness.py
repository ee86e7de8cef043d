"""PURE: is a model healthy, slow or lost? Judged from ``now``, never from a clock.

A model *owes* something only after we asked for it: an answer after a committed turn or a tool result, and the rest of
a response once its sound has begun. What pays an answer is what the caller notices: sound, a tool call, or the end of
the model's turn. Text alone pays nothing: transcripts of the caller come for turns that are never answered, and
transcripts of the agent for responses that never sound. While a tool runs, or the caller has the turn, it owes nothing.

What is due while something is owed, by the defaults of a tenant (seconds after it was asked, or after the last sound)::

    0.9       1.8       2.3       2.7       3.8       4.5       5.0
     company             ask        company  ask       company   lost

Company is what the caller hears meanwhile: first within two seconds of their last word (endpointing, retrieval and the
network come before it), then often enough that no silence between our sounds is longer. What the caller has waited for
a quick tool counts for the first company after its result. The model is asked again for an answer that has not begun;
each time it begins to think anew, so there must be time for that before the next.
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Healthy:
    """Nothing is owed, or not for long."""


@dataclass(frozen=True, slots=True)
class Slow:
    """Something is owed for so long that the caller should hear something meanwhile, or the model be asked again.

    Attributes:
        since: which wait this is.
        company: how often the caller should have been kept company by now.
        asks: how often the model should have been asked again by now.
    """

    since: float
    company: int
    asks: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The session cannot be relied on any more."""

    kind: Literal["stalled", "garbled"]
    why: str


Verdict: TypeAlias = Healthy | Slow | Lost


class _Owed(Enum):
    NOTHING = auto()
    ANSWER = auto()
    REST = auto()


SOONEST_COMPANY_S = 0.5  # after a tool's result: a model that is well has begun to answer by then
COMPANY_EVERY_S = 1.8  # a line that is still sounding is not followed at once: then the next one must not be too far
_REST_AFTER_S = 0.1  # the end of the turn that was broken off comes first
_ASK_AGAIN_AT = (1 / 3, 0.7)  # of the time between the first company and the loss


class Liveness:
    """Judges one session. Instants are seconds on the call's clock and never go back.

    Args:
        filler_after_s: something owed for so long is ``Slow``.
        stall_after_s: an answer, or the rest of a response, owed for so long is ``Lost``.
        garbled_limit: so many unusable messages within ``garbled_within_s`` are ``Lost``.
        garbled_within_s: see there.
    """

    def __init__(
        self, filler_after_s: float, stall_after_s: float, *, garbled_limit: int = 5, garbled_within_s: float = 10.0
    ) -> None:
        self._stall_after_s = stall_after_s
        lines = math.ceil((stall_after_s - filler_after_s) / COMPANY_EVERY_S)
        self._company = tuple(filler_after_s + line * COMPANY_EVERY_S for line in range(lines))
        self._ask_again = tuple(filler_after_s + share * (stall_after_s - filler_after_s) for share in _ASK_AGAIN_AT)
        self._garbled_limit = garbled_limit
        self._garbled_within_s = garbled_within_s
        self._owed = _Owed.NOTHING
        self._since = 0.0  # when the debt was made, or the last sound of a response that goes on
        self._silent_since: float | None = None  # when the turn was committed of which nothing has been heard yet
        self._waited_s = 0.0  # of the caller's wait that lies before the debt
        self._asks: tuple[float, ...] = ()  # when to ask again, after that
        self._complete = False  # all of the response is here; its turn only waits for the playback to end
        self._callers = False  # the caller has the turn
        self._tools: set[str] = set()
        self._nonsense: deque[float] = deque(maxlen=garbled_limit)

    def turn_opened(self) -> None:
        """The caller has the turn: what was owed is owed no more."""
        self._owed = _Owed.NOTHING
        self._callers = True

    def committed(self, now: float) -> None:
        """A turn or an instruction went up: an answer is owed."""
        self._callers = False
        self._silent_since = now
        self._owe(now, self._ask_again)

    def broken_off(self, now: float) -> None:
        """The running response stopped, and not because of us: its rest is to be asked for."""
        self._owe(now, (_REST_AFTER_S,))

    def sound(self, now: float) -> None:
        """Audio of a response came: the answer is paid, its rest is owed.

        After ``generation_complete`` a late piece owes nothing: the end of that turn may be as far off as its playback.
        """
        if self._owed is _Owed.NOTHING and self._complete:
            return
        self._owed = _Owed.REST
        self._silent_since = None
        self._since, self._waited_s = now, 0.0
        self._asks = ()

    def generation_complete(self) -> None:
        """All audio of the response is here."""
        if self._owed is _Owed.REST:  # else it is an old response's, and the new answer is still owed
            self._owed = _Owed.NOTHING
            self._complete = True

    def turn_complete(self) -> None:
        """The model ended its turn, with or without having said something."""
        self._owed = _Owed.NOTHING
        self._complete = False

    def interrupted(self) -> None:
        """The running response stopped. An answer owed for a turn committed since then stays owed."""
        if self._owed is _Owed.REST:
            self._owed = _Owed.NOTHING

    def tool_pending(self, call_id: str) -> None:
        """The model waits for us: that pays the answer, and until the result it owes nothing."""
        self._tools.add(call_id)
        self._owed = _Owed.NOTHING

    def tool_answered(self, call_id: str, now: float) -> bool:
        """A result went up; with the last one the answer is owed again. Was it waited for? If not, nothing changes."""
        if call_id not in self._tools:
            return False
        self._tools.discard(call_id)
        if not self._tools and not self._callers:
            self._owe(now, self._ask_again)
            first = self._company[0]
            # A tool that takes longer keeps the caller company itself.
            if self._silent_since is not None and (waited_s := now - self._silent_since) <= first:
                self._waited_s = min(waited_s, max(0.0, first - SOONEST_COMPANY_S))
        return True

    def tools_cancelled(self, call_ids: tuple[str, ...]) -> None:
        """The model no longer waits for these."""
        self._tools.difference_update(call_ids)

    def nonsense(self, now: float) -> None:
        """A message came that could not be used."""
        self._nonsense.append(now)

    def verdict(self, now: float) -> Verdict:
        """How it stands."""
        full = len(self._nonsense) == self._garbled_limit
        if full and now - self._nonsense[0] <= self._garbled_within_s:
            return Lost("garbled", f"{self._garbled_limit} unusable messages in {self._garbled_within_s:g} s")
        if not self._is_waiting:
            return Healthy()
        if now >= self._since + self._stall_after_s:
            what = "answer" if self._owed is _Owed.ANSWER else "more of its response"
            return Lost("stalled", f"no {what} for {self._stall_after_s:g} s")
        company, asks = self._passed(self._company_after, now), self._passed(self._asks, now)
        return Slow(self._since, company, asks) if company or asks else Healthy()

    def next_deadline(self, now: float) -> float | None:
        """The next instant after ``now`` at which the verdict gets worse if nothing comes; None: never by itself."""
        if not self._is_waiting:
            return None
        due = (*self._company_after, *self._asks, self._stall_after_s)
        return min(at for after in due if (at := self._since + after) > now or after == self._stall_after_s)

    @property
    def owes_answer(self) -> bool:
        """An answer is owed that has not begun."""
        return self._owed is _Owed.ANSWER

    @property
    def owes_rest(self) -> bool:
        """A response has begun and is not complete."""
        return self._owed is _Owed.REST

    @property
    def _is_waiting(self) -> bool:
        return self._owed is not _Owed.NOTHING and not self._tools and not self._callers

    @property
    def _company_after(self) -> tuple[float, ...]:
        """From the debt on. One sum for verdict and deadline: another order of terms may differ by a rounding."""
        return tuple(after - self._waited_s for after in self._company)

    def _passed(self, after: tuple[float, ...], now: float) -> int:
        return sum(now >= self._since + each for each in after)

    def _owe(self, now: float, asks: tuple[float, ...]) -> None:
        self._owed = _Owed.ANSWER
        self._since, self._waited_s = now, 0.0
        self._asks = asks
        self._complete = False
