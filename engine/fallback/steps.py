"""The steps of the scripted fallback, as tables. PURE data; ``script.py`` walks them.

A state first says its ``LINES``, one after the other, then listens as long as ``LISTEN`` says (not at all where there
is no figure), then moves by ``MOVES``. A line that is not heard back in time (its mark was lost) counts as heard.

    state        says                    listens      and moves on
    -----        ----                    -------      ------------
    APOLOGISE    apology                 3.5 s        to COMPANY; to OFFER where no successor is being sought
    NO_PERSON    no_person               -            to OFFER
    GREET        greeting                -            to COMPANY; to OFFER where no successor is being sought
    COMPANY      the next company line   3.5 s        to COMPANY, until patience is over: to OFFER
    OFFER        offer, offer_person     4 s          once more to OFFER, then to PROMPT; to PROMPT by speech
    PROMPT       message_prompt          -            to TONE
    TONE         tone                    -            to RECORDING
    RECORDING    -                       see below    with speech to KEPT; without to EMPTY, the second time to GOODBYE
    EMPTY        message_empty           -            to PROMPT
    KEPT         message_kept            -            to GOODBYE; to HANDED_BACK if a successor is ready
    PERSON       connecting              -            to WANTS_PERSON
    GOODBYE      goodbye                 -            to SAID_GOODBYE
    BACK         back (only after a      -            to HANDED_BACK
                 company or offer line)

    the event          means
    ---------          -----
    Played             the line was heard: the next line, or listen, or move on
    TimePassed         the deadline is over: as Played while a line is out, else move on
    CallerSpoke        while listening: do not talk into it (15 s at the most; a message 120 s)
    CallerPaused       while listening: move on soon (0.3 s; a message 4 s)
    Key                in OFFER 1 to PROMPT, 2 to PERSON (if there is one), 9 or # to GOODBYE, cutting the line short;
                       in PROMPT any key to TONE, cutting it short; in RECORDING any key: the message is complete;
                       in EMPTY 9 or # to GOODBYE; elsewhere nothing
    SuccessorReady     a pause ends at once, a line is finished first, then to BACK; a message is finished first;
                       PERSON and GOODBYE are past it
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum


class Line(StrEnum):
    """What can be said, by its name in the tenant's document; ``TONE`` is the beep before a message."""

    APOLOGY = "apology"
    GREETING = "greeting"
    COMPANY = "company"
    OFFER = "offer"
    OFFER_PERSON = "offer_person"
    MESSAGE_PROMPT = "message_prompt"
    TONE = "tone"
    MESSAGE_KEPT = "message_kept"
    MESSAGE_EMPTY = "message_empty"
    CONNECTING = "connecting"
    NO_PERSON = "no_person"
    GOODBYE = "goodbye"
    BACK = "back"


class State(Enum):
    """Where the script stands; the last three are its ends."""

    APOLOGISE = "apologise"
    NO_PERSON = "no_person"
    GREET = "greet"
    COMPANY = "company"
    OFFER = "offer"
    PROMPT = "prompt"
    TONE = "tone"
    RECORDING = "recording"
    EMPTY = "empty"
    KEPT = "kept"
    PERSON = "person"
    GOODBYE = "goodbye"
    BACK = "back"
    HANDED_BACK = "handed_back"
    SAID_GOODBYE = "said_goodbye"
    WANTS_PERSON = "wants_person"


class Opening(Enum):
    """Why the script has the floor: the model was lost in mid-call, was refused at its start, or a transfer failed."""

    APOLOGISE = State.APOLOGISE
    GREET = State.GREET
    NO_PERSON = State.NO_PERSON


class Cause(Enum):
    """Why a state is left."""

    SAID = "said"  # all was said and, where it listens, nothing came
    GAVE_UP = "gave up"  # the same, and it has been so often enough
    SPOKEN = "spoken"  # the caller said something while we listened
    READY = "ready"  # a successor is ready
    ONE = "1"
    TWO = "2"
    LEAVE = "9 or #"
    ANY_KEY = "any key"


# --- the tables --------------------------------------------------------------------------------------------------

ENDS = frozenset({State.HANDED_BACK, State.SAID_GOODBYE, State.WANTS_PERSON})

LINES: Mapping[State, tuple[Line, ...]] = {
    State.APOLOGISE: (Line.APOLOGY,),
    State.NO_PERSON: (Line.NO_PERSON,),
    State.GREET: (Line.GREETING,),
    State.COMPANY: (Line.COMPANY,),
    State.OFFER: (Line.OFFER, Line.OFFER_PERSON),
    State.PROMPT: (Line.MESSAGE_PROMPT,),
    State.TONE: (Line.TONE,),
    State.RECORDING: (),
    State.EMPTY: (Line.MESSAGE_EMPTY,),
    State.KEPT: (Line.MESSAGE_KEPT,),
    State.PERSON: (Line.CONNECTING,),
    State.GOODBYE: (Line.GOODBYE,),
    State.BACK: (Line.BACK,),
}

MOVES: Mapping[State, Mapping[Cause, State]] = {
    State.APOLOGISE: {Cause.SAID: State.COMPANY, Cause.GAVE_UP: State.OFFER, Cause.READY: State.BACK},
    State.NO_PERSON: {Cause.SAID: State.OFFER, Cause.READY: State.BACK},
    State.GREET: {Cause.SAID: State.COMPANY, Cause.GAVE_UP: State.OFFER, Cause.READY: State.BACK},
    State.COMPANY: {Cause.SAID: State.COMPANY, Cause.GAVE_UP: State.OFFER, Cause.READY: State.BACK},
    State.OFFER: {
        Cause.SAID: State.OFFER,
        Cause.GAVE_UP: State.PROMPT,
        Cause.SPOKEN: State.PROMPT,
        Cause.ONE: State.PROMPT,
        Cause.TWO: State.PERSON,
        Cause.LEAVE: State.GOODBYE,
        Cause.READY: State.BACK,
    },
    State.PROMPT: {Cause.SAID: State.TONE, Cause.ANY_KEY: State.TONE, Cause.READY: State.BACK},
    State.TONE: {Cause.SAID: State.RECORDING, Cause.READY: State.BACK},
    State.RECORDING: {
        Cause.SPOKEN: State.KEPT,
        Cause.READY: State.BACK,
        Cause.SAID: State.EMPTY,
        Cause.GAVE_UP: State.GOODBYE,
    },
    State.EMPTY: {Cause.SAID: State.PROMPT, Cause.LEAVE: State.GOODBYE, Cause.READY: State.BACK},
    State.KEPT: {Cause.SAID: State.GOODBYE, Cause.READY: State.HANDED_BACK},
    State.PERSON: {Cause.SAID: State.WANTS_PERSON},
    State.GOODBYE: {Cause.SAID: State.SAID_GOODBYE},
    State.BACK: {Cause.SAID: State.HANDED_BACK},
}


@dataclass(frozen=True, slots=True)
class Listening:
    """How long a state waits for the caller, in seconds.

    Attributes:
        for_first_s: silence borne before the caller's first word.
        after_speech_s: silence borne after what the caller said.
        limit_s: the whole of it, however much is said.
    """

    for_first_s: float
    after_speech_s: float
    limit_s: float


# A pause that was announced ("one moment") may last, but what the caller says into it is answered within a second,
# the endpointing delay (0.5 s) included.
_PAUSE = Listening(for_first_s=3.5, after_speech_s=0.3, limit_s=15.0)
LISTEN: Mapping[State, Listening] = {
    State.APOLOGISE: _PAUSE,
    State.COMPANY: _PAUSE,
    State.OFFER: Listening(for_first_s=4.0, after_speech_s=0.3, limit_s=15.0),
    State.RECORDING: Listening(for_first_s=6.0, after_speech_s=4.0, limit_s=120.0),
}
TRIES: Mapping[State, int] = {State.OFFER: 2, State.RECORDING: 2}
GUARD_S = 3.0  # on top of a line's length, until it counts as heard without a mark

KEYS: Mapping[str, Cause] = {"1": Cause.ONE, "2": Cause.TWO, "9": Cause.LEAVE, "#": Cause.LEAVE}
