"""Live calls as their operators see them, and what operators may order. Looked at only while somebody looks.

A ``Console`` is one call's: it reads what the call's record, probe and playout know anyway, so a call that nobody looks
at pays nothing for it. Moments of the timeline are numbered here, in the order in which they were noted, so that who
looks again can ask for the newer ones alone.

An order never bypasses whoever holds the floor. A line is played on the call's own playout, and the holder is told
that the agent was spoken over; an end or a transfer is a wish on the call's desk, announced to the caller, and granted
as politely as the agent's own (``orders.py``). Every order stands in the call's timeline.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import trio

from engine.audio import g711
from engine.audio.vad import SILENT_DBFS, level_dbfs
from engine.call.channels import FloorEnds
from engine.call.desk import AgentEnds, CallDesk, PersonWanted
from engine.call.record import CallRecord, Moment, Utterance
from engine.errors import MisuseError
from engine.messages import Cut, CutPlayout, EndUtterance, Floor, FloorEvent, OperatorActed, PlayAudio
from engine.telephony.egress import Playout
from engine.telephony.line import MediaLine
from engine.tenants.tenant import Person, Tenant

FAULTS = frozenset({"model_lost", "model_refused", "transfer_failed", "unanswered", "replayed", "endless"})
LEVEL_S = 0.3  # of sound, that a level tells of
FLOORS_S = 60.0  # of who had the floor, that a glimpse tells of
FLOORS_KEPT = 64
_LEVEL_BYTES = round(LEVEL_S * g711.SAMPLE_RATE_HZ)


class OrderRefused(MisuseError):
    """The order cannot be carried out now."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """One live call in a list.

    Attributes:
        age_s: since its line was taken.
        floor: a ``Floor`` value; ``human`` while an operator's line is played.
        response_ms: from the end of the caller's last turn to the agent's first sound; None before the first.
        down, restarted: actors that ran and do not now, and that crashed and were started again.
        faults: by kind of moment, since the call began.
        ending: it has been decided to end the call, or to put it through.
        floors: who had the floor in the last minute: from which age on (seconds), and the first letter of whose.
    """

    call_sid: str
    tenant_id: str
    caller: str
    age_s: float
    floor: str
    turn: int
    model: str
    response_ms: float | None
    sessions: int
    handovers: int
    actors: tuple[str, ...]
    down: tuple[str, ...]
    restarted: tuple[str, ...]
    queues: tuple[tuple[str, int], ...]
    faults: dict[str, int]
    ending: bool
    floors: list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Level:
    """How loud the two directions are, in dBFS; -100 is silence."""

    caller_dbfs: float
    agent_dbfs: float


@dataclass(frozen=True, slots=True)
class Page:
    """Moments of a timeline.

    Attributes:
        first: number of the first of them; more than was asked for where what lies between is not kept any more.
        after: what to ask for next time.
    """

    first: int
    after: int
    moments: Sequence[Moment]


class Console:
    """One call, for its operators. Plain calls, in the loop's own thread; ``inbox`` is the floor's."""

    def __init__(
        self,
        *,
        tenant: Tenant,
        record: CallRecord,
        desk: CallDesk,
        ends: FloorEnds,
        inbox: trio.MemorySendChannel[FloorEvent],
        line: MediaLine,
        out: Playout,
    ) -> None:
        self.tenant = tenant
        self.record = record
        self._desk = desk
        self._ends = ends
        self._inbox = inbox
        self._line = line
        self._out = out
        self._last: Moment | None = None
        self._noted = 0
        self._faults: Counter[str] = Counter()
        self._response_ms: float | None = None
        self._human_until = 0.0
        self._floors: deque[tuple[float, str]] = deque([(0.0, "n")], maxlen=FLOORS_KEPT)

    # --- looking -----------------------------------------------------------------------------------------------

    def glimpse(self, now: float) -> Glimpse:
        """How the call stands."""
        self._count()
        record, probe = self.record, self.record.probe
        starts: Counter[str] = probe.starts if probe else Counter()
        running = probe.actors if probe else ()
        return Glimpse(
            call_sid=record.call_sid,
            tenant_id=record.tenant_id,
            caller=record.caller,
            age_s=round(now - record.started_at, 1),
            floor=str(Floor.HUMAN if now < self._human_until else record.floor),
            turn=record.turns,
            model=record.provider,
            response_ms=self._response_ms,
            sessions=record.sessions,
            handovers=record.handovers,
            actors=running,
            down=tuple(name for name in starts if name not in running),
            restarted=tuple(name for name, times in starts.items() if times > 1),
            queues=probe.queues if probe else (),
            faults=dict(self._faults),
            ending=record.outcome is not None,
            floors=self._lately(now - record.started_at),
        )

    def moments(self, after: int = 0) -> Page:
        """The timeline from the moment numbered ``after`` on, counted from 0; as much of it as is kept.

        A number that this call has never given is answered with all of it.
        """
        self._count()
        kept = self.record.timeline
        oldest = self._noted - len(kept)
        first = oldest if after > self._noted else max(after, oldest)
        return Page(first, self._noted, kept[first - oldest :])

    def level(self, now: float) -> Level:
        """Of the last third of a second; worked out when it is asked for."""
        heard = self._ends.gate.latest()[-_LEVEL_BYTES:]
        return Level(
            caller_dbfs=round(level_dbfs(g711.decode(heard)), 1) if heard else SILENT_DBFS,
            agent_dbfs=round(max(self._out.played.levels(now - LEVEL_S, now), default=SILENT_DBFS), 1),
        )

    def counts(self) -> dict[str, Any]:
        """JSON-ready: what the line, the jitter buffer and the pacer have counted."""
        jitter, pacer, line = self._ends.gate.statistics(), self._out.statistics(), self._line.statistics()
        return {
            "late_frames": jitter.late,
            "padded_ms": round(jitter.padded_ms),
            "refused_windows": self._ends.gate.refused_windows,
            "underruns": pacer.underruns,
            "underrun_ms": round(pacer.underrun_ms),
            "pauses": pacer.pauses,
            "media_faults": line.faults,
        }

    # --- ordering ----------------------------------------------------------------------------------------------

    def say(self, text: str, mulaw: bytes, *, by: str) -> None:
        """Play this to the caller now; the agent falls silent for it, and is not asked.

        Raises:
            OrderRefused: the call is ending, or its playout takes nothing now.
        """
        self._check()
        ends = self._ends
        try:
            if ends.agent_sounding():
                ends.playout.send_nowait(CutPlayout(ends.next_generation(), Cut.NOW))
            generation = ends.next_generation()
            ends.playout.send_nowait(PlayAudio(generation, mulaw))
            ends.playout.send_nowait(EndUtterance(generation))
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            raise OrderRefused("the call's playout takes nothing now") from None
        now = trio.current_time()
        self._human_until = now + len(mulaw) / g711.SAMPLE_RATE_HZ
        self.record.utterances.append(Utterance("operator", text, self.record.turns))
        self.record.note(now, "operator", text, by=by, ms=len(mulaw) // g711.BYTES_PER_MS)
        # What the agent began before, and has not sent yet, comes too late to be heard: nobody must wait for that.
        self._tell(OperatorActed(generation))

    def transfer(self, person: Person, *, by: str) -> None:
        """Put the caller through to this person, once that has been announced.

        Raises:
            OrderRefused: the call is ending.
        """
        self._check()
        self.record.note(trio.current_time(), "order", "transfer", to=person.name, by=by)
        self._desk.order(PersonWanted(person, ordered=True))
        self._tell(OperatorActed())

    def hang_up(self, *, by: str) -> None:
        """End the call after a goodbye.

        Raises:
            OrderRefused: the call is ending.
        """
        self._check()
        self.record.note(trio.current_time(), "order", "hang_up", by=by)
        self._desk.order(AgentEnds(f"ordered by {by}", ordered=True))
        self._tell(OperatorActed())

    # --- inside ------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.record.outcome is not None:
            raise OrderRefused("the call is ending already")

    def _tell(self, event: OperatorActed) -> None:
        # Full: its holder has enough to wake up for. Closed: the call is over.
        with suppress(trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            self._inbox.send_nowait(event)

    def _count(self) -> None:
        """Number what was noted since somebody looked last, and learn from it."""
        fresh: list[Moment] = []
        for moment in reversed(self.record.timeline):
            if moment is self._last:
                break
            fresh.append(moment)
        for moment in reversed(fresh):
            if moment.kind in FAULTS:
                self._faults[moment.kind] += 1
            elif moment.kind == "response" and moment.facts.get("response_ms") is not None:
                self._response_ms = moment.facts["response_ms"]
            self._follow_floor(moment)
        self._noted += len(fresh)
        if fresh:
            self._last = fresh[0]

    def _follow_floor(self, moment: Moment) -> None:
        at, floors = moment.at_ms / 1000, self._floors
        if moment.kind == "floor":
            floors.append((at, moment.text[0]))
        elif moment.kind == "handover" and moment.facts.get("target") == "script":
            floors.append((at, "s"))
        elif moment.kind == "operator":
            before = floors[-1][1]
            floors += [(at, "h"), (round(at + moment.facts["ms"] / 1000, 1), before)]

    def _lately(self, age_s: float) -> list[tuple[float, str]]:
        older = [one for one in self._floors if one[0] <= age_s - FLOORS_S]
        return [*older[-1:], *(one for one in self._floors if one[0] > age_s - FLOORS_S)]


class Oversight:
    """All calls of a worker that are on the line, for its operators."""

    def __init__(self) -> None:
        self._consoles: dict[str, Console] = {}

    @contextmanager
    def watching(self, console: Console) -> Iterator[None]:
        """The call can be found as long as the block lasts."""
        call_sid = console.record.call_sid
        self._consoles[call_sid] = console
        try:
            yield
        finally:
            if self._consoles.get(call_sid) is console:  # else the call is back already, on its next line
                del self._consoles[call_sid]

    def consoles(self) -> tuple[Console, ...]:
        """Of all of them, the longest on the line first."""
        return tuple(self._consoles.values())

    def find(self, call_sid: str) -> Console | None:
        """That call's, if it is on the line."""
        return self._consoles.get(call_sid)
