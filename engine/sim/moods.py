"""What a simulated model may do wrong, as values; and when, as rules that are used up.

| it fails                 | moods                                                                          |
|--------------------------|--------------------------------------------------------------------------------|
| to open, or to stay open | ``Refuse``, ``Cut``, ``GoAway``, ``QUOTA_AT_START``, ``QUOTA_MIDWAY``          |
|                          | ``GoAwayInSpeech``                                                             |
| to say anything          | ``Slow``, ``Silent``, ``Deaf``, ``Unanswered``, ``TextOnly``, ``Stalls``       |
| to stop                  | ``Runaway``                                                                    |
| to make sense            | ``Garbled``, ``PhantomInterrupted``, ``PhantomMidway``                         |
|                          | ``UnknownTool``, ``InvalidArguments``                                          |
| to write down            | ``Untranscribed``                                                              |
| to keep count            | ``DoubleToolCall``, ``LosesToolResult``                                        |
| to answer pings in time  | ``SlowPongs``                                                                  |

A mood is asked for by its type at the one place where it acts (``MoodSchedule.take``): it is used up when it acts, not
before.  Turns count from 1 on each connection (a turn begins with its commit); turn 0 is the moment after set-up.
Connections count from 1 over the life of the simulator, refused ones included.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

Nonsense: TypeAlias = Literal[
    "invalid_json", "wrong_shape", "bad_base64", "odd_pcm", "not_audio", "huge_frame", "text_only"
]
EVERY_NONSENSE: tuple[Nonsense, ...] = (
    "invalid_json",
    "wrong_shape",
    "bad_base64",
    "odd_pcm",
    "not_audio",
    "text_only",
    "huge_frame",
)


@dataclass(frozen=True, slots=True)
class Refuse:
    """No session: the connection is reset, the handshake gets an HTTP status, or set-up is answered by a close."""

    how: Literal["reset", "http", "close"] = "close"
    status: int = 503
    code: int = 1011
    reason: str = "The service is currently unavailable."


@dataclass(frozen=True, slots=True)
class Slow:
    """The first audio of a turn comes this long after its commit, whatever the simulator's own thinking time."""

    first_audio_s: float


@dataclass(frozen=True, slots=True)
class Silent:
    """Open, but nothing at all after a commit; for so many turns, None for as long as the connection lasts."""

    turns: int | None = None


@dataclass(frozen=True, slots=True)
class Deaf:
    """From here on the socket is not read any more, and nothing is said."""


@dataclass(frozen=True, slots=True)
class Garbled:
    """Nonsense before the answer, ``repeat`` messages taken from ``kinds`` in turn; ``instead``: no answer follows."""

    kinds: tuple[Nonsense, ...] = ("invalid_json",)
    repeat: int = 1
    instead: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends after so much audio of the turn's answer (0: before any). Code 1006 is a TCP reset."""

    code: int = 1006
    after_ms: int = 0
    reason: str = "Internal error encountered."


QUOTA_SPENT = "You exceeded your current quota, please check your plan and billing details."
QUOTA_AT_START = Refuse("close", code=1011, reason=QUOTA_SPENT)
QUOTA_AT_HANDSHAKE = Refuse("http", status=429)
QUOTA_MIDWAY = Cut(1011, after_ms=600, reason=QUOTA_SPENT)


@dataclass(frozen=True, slots=True)
class GoAway:
    """The session will be closed (1011) in ``time_left_s``; ``quiet``: said between turns, not in the middle of one.

    ``closes_after_s``: when it really closes, where that is not what it said.
    """

    time_left_s: float = 50.0
    quiet: bool = False
    closes_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class GoAwayInSpeech:
    """As ``GoAway``, said while the caller speaks, so long after they have begun the turn."""

    time_left_s: float = 50.0
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DoubleToolCall:
    """A tool call comes twice: again with its id, under a new id, or also as a part of the model's turn.

    Over two frames, the second ``after_s`` later (whatever was answered by then); ``one_frame``: both in the same one.
    """

    how: Literal["same_id", "new_id", "part"] = "same_id"
    one_frame: bool = False
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LosesToolResult:
    """A result that the client sends for a tool call of this turn is not taken note of, and so nothing follows it."""


@dataclass(frozen=True, slots=True)
class UnknownTool:
    """Before its answer the model calls a tool that nobody declared; what comes of that it takes and forgets."""

    name: str = "order_a_pizza"
    arguments: Mapping[str, Any] = field(default_factory=lambda: {"topping": "mushrooms"})


@dataclass(frozen=True, slots=True)
class InvalidArguments:
    """The turn's first tool call comes with these arguments; once that is answered, it comes again with the right ones.

    Only a turn in which the model calls a tool uses this mood up.
    """

    arguments: Mapping[str, Any] = field(default_factory=lambda: {"day": ["not", "a", "day"], "surprise": {"a": None}})


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The turn is transcribed and then never answered."""


@dataclass(frozen=True, slots=True)
class Untranscribed:
    """What the caller says next is not written down; ``tells``: the service says so. OpenAI's, where it is optional."""

    tells: bool = True


@dataclass(frozen=True, slots=True)
class TextOnly:
    """The answer is written and not voiced, as a transcript or as text parts; the turn ends in good order."""

    how: Literal["transcript", "part"] = "transcript"


@dataclass(frozen=True, slots=True)
class Stalls:
    """After so much audio of the answer nothing more comes, neither sound nor the end of the turn."""

    after_ms: int = 600


@dataclass(frozen=True, slots=True)
class PhantomInterrupted:
    """``interrupted`` and ``turnComplete`` at the start of an activity, though nothing was being said."""


@dataclass(frozen=True, slots=True)
class PhantomMidway:
    """``interrupted`` and ``turnComplete`` after so much audio of the answer, though nobody spoke; the rest is lost.

    ``ends_turn`` False: ``turnComplete`` is left out.
    """

    after_ms: int = 600
    ends_turn: bool = True


@dataclass(frozen=True, slots=True)
class Runaway:
    """The answer goes on and on for so long, in the same words or in ever new ones (``repeats`` False).

    ``at_once``: all of it is sent as fast as the connection takes it.
    """

    speech_s: float = 180.0
    repeats: bool = True
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class SlowPongs:
    """Pings are answered this much later; a mood of the connection, there from its handshake on."""

    delay_s: float = 30.0


Mood: TypeAlias = (
    Refuse
    | Cut
    | GoAway
    | GoAwayInSpeech
    | Slow
    | Silent
    | Deaf
    | Unanswered
    | Untranscribed
    | TextOnly
    | Stalls
    | Runaway
    | Garbled
    | PhantomInterrupted
    | PhantomMidway
    | UnknownTool
    | InvalidArguments
    | DoubleToolCall
    | LosesToolResult
    | SlowPongs
)
_OF_CONNECTIONS: tuple[type[Mood], ...] = (Refuse, SlowPongs)
SomeMood = TypeVar("SomeMood", bound=Mood)


@dataclass(frozen=True, slots=True)
class Rule:
    """When a mood comes: on this connection (None: any) and in this turn, so many times (None: always).

    Turn None is any turn that was committed; a mood that is to come with the set-up says turn 0
    (``Refuse`` and ``SlowPongs`` need not).
    """

    mood: Mood
    connection: int | None = None
    turn: int | None = None
    times: int | None = 1


class MoodSchedule:
    """The rules that are left, oldest first."""

    def __init__(self, *rules: Rule) -> None:
        self._left: list[tuple[Rule, int | None]] = [(rule, rule.times) for rule in rules]

    def add(self, rule: Rule) -> None:
        """One more rule, after those that are there."""
        self._left.append((rule, rule.times))

    def take(self, kind: type[SomeMood], connection: int, turn: int) -> SomeMood | None:
        """The mood of this kind that is due now, used up once; None: behave."""
        for at, (rule, left) in enumerate(self._left):
            mood = rule.mood
            if not isinstance(mood, kind) or rule.connection not in (None, connection):
                continue
            if rule.turn != turn and (rule.turn is not None or (turn == 0 and kind not in _OF_CONNECTIONS)):
                continue
            if left == 1:
                del self._left[at]
            elif left is not None:
                self._left[at] = (rule, left - 1)
            return mood
        return None

    @property
    def left(self) -> tuple[Rule, ...]:
        """Rules that have not been used up: a test that expected them all to act asks this."""
        return tuple(rule for rule, _ in self._left)
