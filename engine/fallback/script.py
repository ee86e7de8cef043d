"""What the scripted voice does next. PURE: no event loop, no clock; every instant is an argument.

Two rules: every change of state happens in ``_move``, by a row of ``MOVES`` (``steps.py`` prints the machine as two
tables); and in every state but an end there is a deadline, so the script cannot hang, whatever the line does or fails
to do.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from engine.fallback.steps import ENDS, GUARD_S, KEYS, LINES, LISTEN, MOVES, TRIES, Cause, Line, Opening, State


@dataclass(frozen=True, slots=True)
class Played:
    """The line that is out was heard to its end."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """``next_deadline()`` may be over."""


@dataclass(frozen=True, slots=True)
class CallerSpoke:
    """The caller began to speak."""


@dataclass(frozen=True, slots=True)
class CallerPaused:
    """The caller is done speaking."""


@dataclass(frozen=True, slots=True)
class Key:
    """The caller pressed ``0-9 * # A-D``."""

    digit: str


@dataclass(frozen=True, slots=True)
class SuccessorReady:
    """Somebody better can take the floor."""


Event: TypeAlias = Played | TimePassed | CallerSpoke | CallerPaused | Key | SuccessorReady


@dataclass(frozen=True, slots=True)
class Say:
    """Play this line; ``variant`` counts through a line that has several wordings."""

    line: Line
    variant: int = 0


@dataclass(frozen=True, slots=True)
class StopSaying:
    """Cut the line that is out."""


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Keep what the caller says from now on."""


@dataclass(frozen=True, slots=True)
class StopRecording:
    """The message is over; ``keep`` it, or there is nothing in it."""

    keep: bool


Action: TypeAlias = Say | StopSaying | StartRecording | StopRecording


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to hope for a successor before offering something else: whichever of the two is over first."""

    lines: int = 2
    seconds: float = 9.0


USUAL_PATIENCE = Patience()


class Script:
    """One hold of the floor: ``begin``, then ``advance`` by every event, and by ``TimePassed`` at each deadline."""

    def __init__(
        self,
        opening: Opening,
        *,
        seconds: Callable[[Say], float],
        company: int,
        person: bool,
        successor: bool,
        patience: Patience = USUAL_PATIENCE,
    ) -> None:
        """Say nothing yet.

        Args:
            opening: the state to begin with.
            seconds: the length of a line; one of length 0 is left out.
            company: how many wordings the company line has.
            person: there is somebody to be put through to.
            successor: one is being sought; otherwise the caller is not asked to wait for it.
            patience: until the offer.
        """
        self._seconds = seconds
        self._company = max(company, 1)
        self._person = person
        self._patience = patience if successor else Patience(lines=0, seconds=0.0)
        self._state: State = opening.value
        self._visits: Counter[State] = Counter()
        self._began_at = 0.0
        self._unsaid: list[Say] = []
        self._saying = False
        self._due_at = 0.0
        self._limit_at = 0.0
        self._caller_speaks = False
        self._heard = False
        self._ready = False

    @property
    def state(self) -> State:
        """Where it stands; in ``ENDS`` it is over."""
        return self._state

    @property
    def heard(self) -> bool:
        """The caller has said something into the present pause or recording."""
        return self._heard

    def next_deadline(self) -> float | None:
        """When ``TimePassed`` has something to do; None only at an end."""
        if self._state in ENDS:
            return None
        if self._saying:
            return self._due_at
        return self._limit_at if self._caller_speaks else min(self._due_at, self._limit_at)

    def begin(self, now: float) -> list[Action]:
        """The opening."""
        self._began_at = now
        return self._enter(self._state, now)

    def advance(self, event: Event, now: float) -> list[Action]:
        """What to do, in order, because of ``event``; nothing at an end or where the event means nothing here."""
        if self._state in ENDS:
            return []
        match event:
            case Played():
                return self._go_on(now) if self._saying else []
            case TimePassed():
                return self._pass_time(now)
            case CallerSpoke():
                self._caller_speaks = self._heard = True
                return []
            case CallerPaused():
                self._pause(now)
                return []
            case Key(digit):
                return self._press(digit, now)
            case SuccessorReady():
                return self._yield(now)

    def _pass_time(self, now: float) -> list[Action]:
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        return self._go_on(now) if self._saying else self._move(self._cause(now), now)

    def _pause(self, now: float) -> None:
        self._caller_speaks = False
        listening = LISTEN.get(self._state)
        if listening and not self._saying:
            self._due_at = now + listening.after_speech_s

    def _press(self, digit: str, now: float) -> list[Action]:
        row = MOVES[self._state]
        if self._state is State.RECORDING:
            return self._move(self._cause(now), now)
        cause = Cause.ANY_KEY if Cause.ANY_KEY in row else KEYS.get(digit)
        if cause is None or cause not in row or (cause is Cause.TWO and not self._person):
            return []
        return self._move(cause, now)

    def _yield(self, now: float) -> list[Action]:
        """Remember it; a pause in which nobody speaks ends here, all else is finished first."""
        self._ready = True
        busy = self._saying or self._caller_speaks or self._state is State.RECORDING
        return [] if busy else self._move(self._cause(now), now)

    def _cause(self, now: float) -> Cause:
        """Why this state is left, now that nothing more is to be said or waited for in it."""
        row = MOVES[self._state]
        if self._state is State.RECORDING and self._heard:
            return Cause.SPOKEN
        if self._ready and Cause.READY in row:
            return Cause.READY
        if self._heard and Cause.SPOKEN in row:
            return Cause.SPOKEN
        return Cause.GAVE_UP if Cause.GAVE_UP in row and self._enough(now) else Cause.SAID

    def _enough(self, now: float) -> bool:
        if self._state in TRIES:
            return self._visits[self._state] >= TRIES[self._state]
        if self._state is State.COMPANY and now - self._began_at >= self._patience.seconds:
            return True
        return self._visits[State.COMPANY] >= self._patience.lines

    def _move(self, cause: Cause, now: float) -> list[Action]:
        """Leave the state by its row, whatever is going on in it."""
        leaving: list[Action] = []
        if self._saying:
            leaving.append(StopSaying())
        if self._state is State.RECORDING:
            leaving.append(StopRecording(keep=cause is Cause.SPOKEN))
        self._saying = False
        return leaving + self._enter(MOVES[self._state][cause], now)

    def _enter(self, state: State, now: float) -> list[Action]:
        self._state = state
        if state in ENDS:
            return []
        self._unsaid = self._lines(state)
        self._visits[state] += 1
        recording: list[Action] = [StartRecording()] if state is State.RECORDING else []
        return recording + self._go_on(now)

    def _lines(self, state: State) -> list[Say]:
        lines = LINES[state]
        if state is State.OFFER and not self._person:
            lines = (Line.OFFER,)
        if state is State.BACK and not (self._visits[State.COMPANY] or self._visits[State.OFFER]):
            lines = ()
        variant = self._visits[state] % self._company if state is State.COMPANY else 0
        says = [Say(line, variant) for line in lines]
        return [say for say in says if self._seconds(say) > 0]

    def _go_on(self, now: float) -> list[Action]:
        """Say the next line, or listen, or move on."""
        self._saying = False
        row = MOVES[self._state]
        if self._unsaid and not (self._ready and row.get(Cause.READY) is State.BACK):
            say = self._unsaid.pop(0)
            self._saying = True
            self._due_at = now + self._seconds(say) + GUARD_S
            return [say]
        if self._listens(now):
            return []
        return self._move(self._cause(now), now)

    def _listens(self, now: float) -> bool:
        """Begin to listen, where this state does and there is something to listen for."""
        listening = LISTEN.get(self._state)
        if listening is None or self._moves_at_once(now):
            return False
        self._heard = self._caller_speaks  # what was said into a line is gone; what goes on counts
        self._due_at = now + listening.for_first_s
        self._limit_at = now + listening.limit_s
        return True

    def _moves_at_once(self, now: float) -> bool:
        hopeless = self._state is State.APOLOGISE and self._enough(now)
        return (hopeless or self._ready) and not self._caller_speaks
