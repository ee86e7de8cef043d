"""The channel ends that whoever holds the floor works with, and the filler lines said on them."""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from engine.call.record import CallRecord
from engine.messages import (
    EndUtterance,
    FloorEvent,
    PlayAudio,
    PlayoutCommand,
    Query,
    ToolCall,
    ToolCallsCancelled,
)
from engine.metrics import Metrics
from engine.shortcut import SendEnd
from engine.telephony.jitter import CallerAudioGate


@dataclass(frozen=True, slots=True)
class FloorEnds:
    """The channel ends that whoever holds the floor works with; owned by the call, not closed by the holder."""

    inbox: trio.MemoryReceiveChannel[FloorEvent]
    playout: SendEnd[PlayoutCommand]
    queries: trio.MemorySendChannel[Query]
    tool_calls: trio.MemorySendChannel[ToolCall | ToolCallsCancelled]
    gate: CallerAudioGate
    agent_sounding: Callable[[], bool]
    next_generation: Callable[[], int]
    listening: bool = False  # the caller's words come in time, from a listener or the model: they are waited for
    words_within_s: float = 0.0  # where that takes longer than a tenant's budget for retrieval


class Filler:
    """Short lines of our own ("Let me see.") while the caller would otherwise wait in silence."""

    def __init__(self, ends: FloorEnds, record: CallRecord, metrics: Metrics) -> None:
        self._ends = ends
        self._record = record
        self._metrics = metrics

    def say(self, text: str, mulaw: bytes) -> bool:
        """Say it now, unless the agent is being heard already; whether it was said. A plain call."""
        if not mulaw or self._ends.agent_sounding():
            return False
        generation = self._ends.next_generation()
        try:
            self._ends.playout.send_nowait(PlayAudio(generation, mulaw))
            self._ends.playout.send_nowait(EndUtterance(generation))
        except trio.WouldBlock:
            # Egress has sound waiting: then there is no silence to fill.
            self._metrics.dropped_messages.labels("playout").inc()
            return False
        self._record.note(trio.current_time(), "filler", text)
        return True
