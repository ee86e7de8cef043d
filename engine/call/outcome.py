"""How a call ended: always a class and a reason, never one without the other, and never a call without both."""

from dataclasses import dataclass
from enum import StrEnum


class OutcomeClass(StrEnum):
    """Whose doing the end was."""

    SUCCESS = "success"  # it ended as calls do
    CLIENT = "client"  # the caller or the carrier's line
    SERVER = "server"  # us
    UPSTREAM = "upstream"  # a provider behind us, and the script had to end the call
    INDETERMINATE = "indeterminate"


class Reason(StrEnum):
    """Why it ended."""

    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_ENDED = "agent_ended"
    TRANSFERRED = "transferred"
    MESSAGE_TAKEN = "message_taken"
    SCRIPT_ENDED = "script_ended"
    LINE_BROKEN = "line_broken"
    LINE_SILENT = "line_silent"
    BAD_MEDIA = "bad_media"
    CARRIER_ENDED = "carrier_ended"
    DRAINED = "drained"
    CRASHED = "crashed"


_CLASS = {
    Reason.CALLER_HUNG_UP: OutcomeClass.SUCCESS,
    Reason.AGENT_ENDED: OutcomeClass.SUCCESS,
    Reason.TRANSFERRED: OutcomeClass.SUCCESS,
    Reason.MESSAGE_TAKEN: OutcomeClass.UPSTREAM,
    Reason.SCRIPT_ENDED: OutcomeClass.UPSTREAM,
    Reason.LINE_BROKEN: OutcomeClass.CLIENT,
    Reason.LINE_SILENT: OutcomeClass.CLIENT,
    Reason.BAD_MEDIA: OutcomeClass.CLIENT,
    Reason.CARRIER_ENDED: OutcomeClass.INDETERMINATE,
    Reason.DRAINED: OutcomeClass.SERVER,
    Reason.CRASHED: OutcomeClass.SERVER,
}

_LINE = {
    "hang_up": Reason.CALLER_HUNG_UP,
    "broken": Reason.LINE_BROKEN,
    "silent": Reason.LINE_SILENT,
    "fault": Reason.BAD_MEDIA,
    "carrier": Reason.CARRIER_ENDED,
    "our_fault": Reason.CRASHED,
    "moved": Reason.DRAINED,
}

ON_PURPOSE = frozenset({Reason.AGENT_ENDED, Reason.MESSAGE_TAKEN, Reason.SCRIPT_ENDED, Reason.CALLER_HUNG_UP})
"""After these the carrier's recovery request is answered with a hang-up."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one call (or of one leg of it, where the line broke and may be recovered)."""

    outcome: OutcomeClass
    reason: Reason
    detail: str = ""

    @classmethod
    def of(cls, reason: Reason, detail: str = "") -> "Outcome":
        """The outcome with the class that belongs to this reason."""
        return cls(_CLASS[reason], reason, detail)

    @classmethod
    def of_line(cls, lost_reason: str, detail: str = "") -> "Outcome":
        """The outcome of a line that ended by itself (``LineLost.reason``)."""
        return cls.of(_LINE[lost_reason], detail)
