"""What a call was like for its caller: measured at the caller's ear and mouth, once, when it is over.

All times are milliseconds on the call's clock, which starts with the first webhook request. "Sounds" means what
``hearing`` says. Nothing here was told by the server under test.

* **setup**: first request to the first sound of the agent at the playback head.
* **response**: the caller's last voiced sample of a clip to the next onset of agent sound, before the caller's next
  clip. A clip that was cut off with its stream, or is followed by no onset, gives none (``unanswered`` counts those).
* **barge-in**: first voiced sample of a clip said over the agent to the end of the agent's sound, that is to at least
  400 ms without any.
* **longest silence**: the longest stretch in which neither caller, agent nor a static verb sounds while the caller
  waits for the agent. The caller waits from the end of the last thing it did (its last voiced sample, last key, the
  answer) until the last agent sound of a ``Listen`` or ``StayOn``, or until that gave up or the call ended without any.
  Scripted ``Wait`` and the quiet that tells a ``Listen`` that the agent is done are the caller's own and do not count.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.sim.carrier_call import HowEnded, LiveCall
from engine.sim.debugger import PROTOCOL_CODES, DebuggerEntry
from engine.sim.handset import Handset, Said, StaticSound, StreamRecording
from engine.sim.hearing import BYTES_PER_MS, SILENCE, Interval, longest_gap, sound_intervals


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of what was seen."""

    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """Percentiles by nearest rank; None where nothing was seen."""
        if not values:
            return None
        ranked = sorted(values)
        p50, p95, p99 = (ranked[max(0, math.ceil(share * len(ranked)) - 1)] for share in (0.5, 0.95, 0.99))
        return cls(p50, p95, p99, ranked[-1])


@dataclass(frozen=True, slots=True)
class PhoneReport:
    """One call. ``left`` is the caller's voice and ``right`` what it heard: mu-law, 8 bytes per ms, from 0 ms on.

    Attributes:
        call_sid: the call.
        how_ended: by whom.
        answered: a stream came up or a static verb was heard.
        duration_ms: first request to the end.
        streams: how many media streams the call went through.
        setup_ms: see above; None where the agent never sounded.
        responses: ms, in order.
        barge_in_ms: one for each, in order.
        unanswered: clips that no agent sound followed.
        given_up: how often a ``Listen`` timed out.
        longest_silence_ms: see above; None where the caller never waited.
        gaps_ms: of each underrun.
        lateness_ms: of each media message in mid-utterance; negative is the lead left when it came.
        lateness: its percentiles.
        discarded_chunks: caller audio thrown away because the server did not read (31930).
        debugger: what the carrier's debugger would list.
        protocol_faults: those of its entries that are breaches of protocol by the server.
        protocol_fault_count: how many there were; the debugger keeps a few of each code only.
        said_by_static_verbs: what the carrier itself let the caller hear.
        said: what the caller said, with instants in ms.
        agent_sound: when the agent sounded.
        duplicate_agreed: with a duplicated webhook: were both answers the same?
        stream_spans: when each stream was up, in ms.
        responded_to: the words that each of ``responses`` answered.
    """

    call_sid: str
    how_ended: HowEnded
    answered: bool
    duration_ms: float
    streams: int
    setup_ms: float | None
    responses: tuple[float, ...]
    barge_in_ms: tuple[float, ...]
    unanswered: int
    given_up: int
    longest_silence_ms: float | None
    gaps_ms: tuple[float, ...]
    lateness_ms: tuple[float, ...]
    discarded_chunks: int
    debugger: tuple[DebuggerEntry, ...]
    protocol_faults: tuple[DebuggerEntry, ...]
    protocol_fault_count: int
    said_by_static_verbs: tuple[StaticSound, ...]
    said: tuple[Said, ...]
    agent_sound: tuple[Interval, ...]
    left: bytes
    right: bytes
    duplicate_agreed: bool | None = None
    stream_spans: tuple[Interval, ...] = ()
    responded_to: tuple[str, ...] = ()

    @property
    def underruns(self) -> int:
        """How often the agent's audio ran dry in mid-utterance."""
        return len(self.gaps_ms)

    @property
    def lateness(self) -> Spread | None:
        """Percentiles of ``lateness_ms``."""
        return Spread.of(self.lateness_ms)


def report_call(call: LiveCall, *, ended_at: float, duplicate_agreed: bool | None) -> PhoneReport:
    """Measure a call that is over."""
    handset = call.handset
    left, right = _joined(handset, ended_at)
    agent = sound_intervals(right)
    said = [_on_call_clock(one, handset.began_at) for one in handset.said]
    static = [StaticSound(one.verb, one.text, _ms(one.at, handset), _ms(one.until, handset)) for one in handset.static]
    responses = _responses(said, agent)
    heard = [phone.heard for phone in call.phones if phone.heard is not None]
    sounds = [*agent, *((one.at, one.until) for one in static), *((one.voiced_at, one.voiced_until) for one in said)]
    spans = [(_ms(start, handset), _ms(end, handset)) for start, end in handset.waits]
    assert call.how_ended is not None
    return PhoneReport(
        call_sid=call.sid,
        how_ended=call.how_ended,
        answered=bool(handset.streams or static),
        duration_ms=_ms(ended_at, handset),
        streams=len(handset.streams),
        setup_ms=agent[0][0] if agent else None,
        responses=tuple(response for _, response in responses if response is not None),
        barge_in_ms=_barge_ins(said, agent),
        unanswered=sum(1 for _, response in responses if response is None),
        given_up=handset.given_up,
        longest_silence_ms=longest_gap(sounds, spans),
        gaps_ms=tuple(gap for one in heard for gap in one.gaps_ms),
        lateness_ms=tuple(late for one in heard for late in one.lateness_ms),
        discarded_chunks=sum(phone.discarded_chunks for phone in call.phones),
        debugger=tuple(call.debugger.entries),
        protocol_faults=tuple(entry for entry in call.debugger.entries if entry.code in PROTOCOL_CODES),
        protocol_fault_count=call.debugger.protocol_faults(),
        said_by_static_verbs=tuple(static),
        said=tuple(said),
        agent_sound=tuple(agent),
        left=left,
        right=right,
        duplicate_agreed=duplicate_agreed,
        stream_spans=tuple(_span(stream, handset) for stream in handset.streams),
        responded_to=tuple(text for text, response in responses if response is not None),
    )


def _ms(at: float, handset: Handset) -> float:
    return (at - handset.began_at) * 1000


def _span(stream: StreamRecording, handset: Handset) -> Interval:
    began = _ms(stream.started_at, handset)
    return began, began + len(stream.right) / BYTES_PER_MS


def _on_call_clock(said: Said, began_at: float) -> Said:
    at, until = ((instant - began_at) * 1000 for instant in (said.voiced_at, said.voiced_until))
    return Said(said.text, at, until, said.over, said.cut)


def _joined(handset: Handset, ended_at: float) -> tuple[bytes, bytes]:
    """Both ears of the whole call: its streams where they were, silence between."""
    whole = round(_ms(ended_at, handset) * BYTES_PER_MS)
    ears = []
    for side in (0, 1):
        ear = bytearray()
        for stream in handset.streams:
            start = round(_ms(stream.started_at, handset) * BYTES_PER_MS)
            ear += SILENCE * (start - len(ear))
            ear += (stream.left, stream.right)[side]
        ears.append(bytes(ear[:whole]).ljust(whole, SILENCE))
    return ears[0], ears[1]


def _responses(said: Sequence[Said], agent: Sequence[Interval]) -> list[tuple[str, float | None]]:
    found: list[tuple[str, float | None]] = []
    for index, clip in enumerate(said):
        if clip.cut:
            continue
        before = said[index + 1].voiced_at if index + 1 < len(said) else math.inf
        onset = next((start for start, _ in agent if clip.voiced_until <= start < before), None)
        found.append((clip.text, None if onset is None else onset - clip.voiced_until))
    return found


def _barge_ins(said: Sequence[Said], agent: Sequence[Interval]) -> tuple[float, ...]:
    return tuple(
        end - clip.voiced_at for clip in said if clip.over for start, end in agent if start <= clip.voiced_at < end
    )
