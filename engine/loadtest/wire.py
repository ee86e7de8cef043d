"""Lines between a load test and its child processes: JSON, one message a line, told apart by ``kind``. PURE."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from engine.loadtest.plan import Plan, Target
from engine.sim.report import PhoneReport


class CallFigures(msgspec.Struct, frozen=True):
    """What one call was like; see ``sim.report.PhoneReport`` for the words. Times in ms.

    Attributes:
        added_ms: of each response what is the server's own: without endpointing's wait and the model's time.
    """

    call_sid: str
    how_ended: str
    answered: bool
    duration_ms: float
    streams: int
    setup_ms: float | None
    responses: tuple[float, ...]
    added_ms: tuple[float, ...]
    barge_in_ms: tuple[float, ...]
    unanswered: int
    given_up: int
    longest_silence_ms: float | None
    gaps_ms: tuple[float, ...]
    lateness_ms: tuple[float, ...]
    discarded_chunks: int
    protocol_faults: tuple[str, ...]
    protocol_fault_count: int
    static: bool

    @classmethod
    def of(cls, report: PhoneReport, *, endpointing_ms: Mapping[str, float], think_ms: float) -> "CallFigures":
        """Without its sound.

        Args:
            endpointing_ms: by the caller's words: how long after their end the end can be known (``talk``).
            think_ms: the model's own time.
        """
        added = zip(report.responded_to, report.responses, strict=True)
        return cls(
            report.call_sid,
            str(report.how_ended.value),
            report.answered,
            round(report.duration_ms, 1),
            report.streams,
            report.setup_ms,
            tuple(round(ms, 1) for ms in report.responses),
            tuple(round(ms - endpointing_ms[text] - think_ms, 1) for text, ms in added),
            tuple(round(ms, 1) for ms in report.barge_in_ms),
            report.unanswered,
            report.given_up,
            report.longest_silence_ms,
            tuple(round(ms, 1) for ms in report.gaps_ms),
            tuple(round(ms, 1) for ms in report.lateness_ms),
            report.discarded_chunks,
            tuple(str(fault) for fault in report.protocol_faults[:5]),
            report.protocol_fault_count,
            bool(report.said_by_static_verbs),
        )

    @property
    def underruns(self) -> int:
        """How often the agent's audio ran dry in mid-utterance."""
        return len(self.gaps_ms)


class CallersPart(msgspec.Struct, frozen=True, tag_field="kind", tag="part"):
    """To a process of callers: everything it needs. ``speech``: where lines are rendered to."""

    plan: Plan
    target: Target
    index: int
    speech: str


class PeersPart(msgspec.Struct, frozen=True, tag_field="kind", tag="peers"):
    """To the process of the simulated model."""

    plan: Plan
    speech: str


class PeersUp(msgspec.Struct, frozen=True, tag_field="kind", tag="up"):
    """From it: where its services listen."""

    model_url: str
    transcribe_url: str
    embed_url: str


class PeersEnd(msgspec.Struct, frozen=True, tag_field="kind", tag="peers_end"):
    """From it, last: how often a client did what the services would have refused."""

    faults: int


class Began(msgspec.Struct, frozen=True, tag_field="kind", tag="began"):
    """A call was placed; the carrier's REST interface may be asked about it from now on."""

    call_sid: str


class Ended(msgspec.Struct, frozen=True, tag_field="kind", tag="ended"):
    """A call is over."""

    figures: CallFigures


class Beat(msgspec.Struct, frozen=True, tag_field="kind", tag="beat"):
    """Every second, from every process of callers: calls on the line, and how late its own clock was: at worst, and of
    ninety-nine ticks in a hundred.
    """

    up: int
    late_ms: float
    late_p99_ms: float = 0.0


class Complete(msgspec.Struct, frozen=True, tag_field="kind", tag="complete"):
    """To a process of callers: the gateway has asked the carrier to end this call."""

    call_sid: str


class Replace(msgspec.Struct, frozen=True, tag_field="kind", tag="replace"):
    """To a process of callers: the gateway has given the carrier a new document for this call."""

    call_sid: str
    twiml: str | None
    url: str | None
    method: str


ToCallers: TypeAlias = Complete | Replace
FromCallers: TypeAlias = Began | Ended | Beat

_encode = msgspec.json.Encoder().encode


def line(message: msgspec.Struct) -> bytes:
    """As it is sent."""
    return _encode(message) + b"\n"
