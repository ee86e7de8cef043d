"""PURE: is a model healthy, slow or lost? Judged from ``now``, never from a clock.

A model *owes* something only after we asked for it: an answer after a committed turn or a tool result, and the rest of
a response once its sound has begun. What pays an answer is what the caller notices: sound, a tool call, or the end of
the model's turn. Text alone pays nothing: transcripts of the caller come for turns that are never answered, and
transcripts of the agent for responses that never sound. While a tool runs, or the caller has the turn, it owes nothing.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Healthy:
    """Nothing is owed, or not for long."""


@dataclass(frozen=True, slots=True)
class Slow:
    """An answer is owed for long enough that the caller should hear something meanwhile."""


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


class Liveness:
    """Judges one session. Instants are seconds on the call's clock and never go back.

    Args:
        filler_after_s: an answer owed for so long is ``Slow``.
        stall_after_s: an answer, or the rest of a response, owed for so long is ``Lost``.
        garbled_limit: so many unusable messages within ``garbled_within_s`` are ``Lost``.
        garbled_within_s: see there.
    """

    def __init__(
        self, filler_after_s: float, stall_after_s: float, *, garbled_limit: int = 5, garbled_within_s: float = 10.0
    ) -> None:
        self._filler_after_s = filler_after_s
        self._stall_after_s = stall_after_s
        self._garbled_limit = garbled_limit
        self._garbled_within_s = garbled_within_s
        self._owed = _Owed.NOTHING
        self._since = 0.0  # when the debt was made, or the last sound of a response that goes on
        self._complete = False  # all of the response is here; its turn only waits for the playback to end
        self._tools: set[str] = set()
        self._nonsense: deque[float] = deque(maxlen=garbled_limit)

    def turn_opened(self) -> None:
        """The caller has the turn: what was owed is owed no more."""
        self._owed = _Owed.NOTHING

    def committed(self, now: float) -> None:
        """A turn or an instruction went up: an answer is owed."""
        self._owe(now)

    def sound(self, now: float) -> None:
        """Audio of a response came: the answer is paid, its rest is owed.

        After ``generation_complete`` a late piece owes nothing: the end of that turn may be as far off as its playback.
        """
        if self._owed is _Owed.NOTHING and self._complete:
            return
        self._owed = _Owed.REST
        self._since = now

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

    def tool_answered(self, call_id: str, now: float) -> None:
        """A result went up; with the last one the answer is owed again. A call that is not pending changes nothing."""
        if call_id in self._tools:
            self._tools.discard(call_id)
            if not self._tools:
                self._owe(now)

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
        if self._owed is _Owed.NOTHING or self._tools:
            return Healthy()
        if now >= self._since + self._stall_after_s:
            what = "answer" if self._owed is _Owed.ANSWER else "more of its response"
            return Lost("stalled", f"no {what} for {self._stall_after_s:g} s")
        if self._owed is _Owed.ANSWER and now >= self._since + self._filler_after_s:
            return Slow()
        return Healthy()

    def next_deadline(self, now: float) -> float | None:
        """The next instant after ``now`` at which the verdict gets worse if nothing comes; None: never by itself."""
        if self._owed is _Owed.NOTHING or self._tools:
            return None
        slow_at, lost_at = self._since + self._filler_after_s, self._since + self._stall_after_s
        if self._owed is _Owed.ANSWER and now < slow_at < lost_at:
            return slow_at
        return lost_at

    def _owe(self, now: float) -> None:
        self._owed = _Owed.ANSWER
        self._since = now
        self._complete = False
