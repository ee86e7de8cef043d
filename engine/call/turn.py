"""Who holds the floor in a conversation with a model: one table, no clock, no I/O.

All changes of phase live in this file, and the file does not know who asks. Phases:

    QUIET      nobody speaks and nothing is owed                     floor: nobody
    LISTENING  the caller speaks; a turn is open                     floor: caller
    HOLDING    the caller is done; the answer waits for its notes    floor: caller
    THINKING   the turn is committed; the model owes a sound         floor: agent
    SPEAKING   the agent is heard, or will be in a moment            floor: agent

What each cue does (a pair that is not listed changes nothing):

    QUIET      CALLER_STARTED    -> LISTENING  open the turn
               RESPONSE_STARTED  -> SPEAKING
               SPOKE_FIRST       -> THINKING
    LISTENING  CALLER_ENDED      -> HOLDING    ask for notes
               RESPONSE_STARTED  -> LISTENING  cut it
    HOLDING    CALLER_STARTED    -> LISTENING  keep the turn open
               NOTES_READY       -> THINKING   commit
               BUDGET_SPENT      -> THINKING   commit without
               RESPONSE_STARTED  -> HOLDING    cut it
    THINKING   CALLER_STARTED    -> LISTENING  cut, open the turn
               RESPONSE_STARTED  -> SPEAKING
               RESPONSE_EMPTY    -> THINKING   nudge
    SPEAKING   CALLER_STARTED    -> LISTENING  cut, open the turn
               RESPONSE_STARTED  -> SPEAKING
               ALL_HEARD         -> QUIET

``SPOKE_FIRST`` (the agent is asked to speak: greeting, going on after a hand-over) leads from QUIET to THINKING.
A caller who goes on speaking before the commit keeps the turn open; one who speaks after it opens the next turn,
which the provider takes as an interruption, and what is heard of a filler is cut. A response that starts while the
caller has the floor answers a turn that is over: it is cut.
"""

from enum import Enum, auto

from engine.messages import Floor


class Phase(Enum):
    """Where a conversation stands."""

    QUIET = auto()
    LISTENING = auto()
    HOLDING = auto()
    THINKING = auto()
    SPEAKING = auto()


class Cue(Enum):
    """What moves it."""

    CALLER_STARTED = auto()
    CALLER_ENDED = auto()
    NOTES_READY = auto()
    BUDGET_SPENT = auto()
    RESPONSE_STARTED = auto()
    RESPONSE_EMPTY = auto()
    ALL_HEARD = auto()
    SPOKE_FIRST = auto()


class Do(Enum):
    """What the turn-keeper must do, in the order given."""

    CUT = auto()  # take the agent's sound back, now
    OPEN_TURN = auto()  # a new turn: tell the model, open the audio gate
    KEEP_OPEN = auto()  # the turn goes on: forget the question asked for its first part
    ASK_NOTES = auto()  # final question to the retriever, start the budget
    COMMIT = auto()  # let the model answer with what was found
    COMMIT_WITHOUT = auto()  # let the model answer; the budget is spent
    NUDGE = auto()  # the model ended its turn without a sound: ask once more, then give up on it


FLOOR = {
    Phase.QUIET: Floor.NOBODY,
    Phase.LISTENING: Floor.CALLER,
    Phase.HOLDING: Floor.CALLER,
    Phase.THINKING: Floor.AGENT,
    Phase.SPEAKING: Floor.AGENT,
}

_TABLE: dict[tuple[Phase, Cue], tuple[Phase, tuple[Do, ...]]] = {
    (Phase.QUIET, Cue.CALLER_STARTED): (Phase.LISTENING, (Do.OPEN_TURN,)),
    (Phase.QUIET, Cue.RESPONSE_STARTED): (Phase.SPEAKING, ()),
    (Phase.QUIET, Cue.SPOKE_FIRST): (Phase.THINKING, ()),
    (Phase.LISTENING, Cue.CALLER_ENDED): (Phase.HOLDING, (Do.ASK_NOTES,)),
    (Phase.LISTENING, Cue.RESPONSE_STARTED): (Phase.LISTENING, (Do.CUT,)),
    (Phase.HOLDING, Cue.CALLER_STARTED): (Phase.LISTENING, (Do.KEEP_OPEN,)),
    (Phase.HOLDING, Cue.NOTES_READY): (Phase.THINKING, (Do.COMMIT,)),
    (Phase.HOLDING, Cue.BUDGET_SPENT): (Phase.THINKING, (Do.COMMIT_WITHOUT,)),
    (Phase.HOLDING, Cue.RESPONSE_STARTED): (Phase.HOLDING, (Do.CUT,)),
    (Phase.THINKING, Cue.CALLER_STARTED): (Phase.LISTENING, (Do.CUT, Do.OPEN_TURN)),
    (Phase.THINKING, Cue.RESPONSE_STARTED): (Phase.SPEAKING, ()),
    (Phase.THINKING, Cue.RESPONSE_EMPTY): (Phase.THINKING, (Do.NUDGE,)),
    (Phase.SPEAKING, Cue.CALLER_STARTED): (Phase.LISTENING, (Do.CUT, Do.OPEN_TURN)),
    (Phase.SPEAKING, Cue.RESPONSE_STARTED): (Phase.SPEAKING, ()),
    (Phase.SPEAKING, Cue.ALL_HEARD): (Phase.QUIET, ()),
}


class TurnTable:
    """The phase of one conversation."""

    def __init__(self) -> None:
        self.phase = Phase.QUIET

    @property
    def floor(self) -> Floor:
        """Who may speak."""
        return FLOOR[self.phase]

    def advance(self, cue: Cue) -> tuple[Do, ...]:
        """Take a cue; returns what must be done, in order (empty where the cue changes nothing here)."""
        self.phase, to_do = _TABLE.get((self.phase, cue), (self.phase, ()))
        return to_do
