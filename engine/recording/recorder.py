"""A call's own part of its recording: taps that take what passes, and an actor that gives it on once a second.

Nothing is tapped before the caller has heard that they are being recorded, nor where the tenant does not record: then
the taps are not there, and cost nothing. A pause is the call's, not the line's: a call that comes back on another line
is still paused.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import trio

from engine.audio.pacer import Clear, Media, Send
from engine.log import get_logger
from engine.recording.consent import was_heard
from engine.recording.track import Tracks
from engine.recording.writer import OpenRecording, RecordingWriter

EVERY_S = 1.0
PAUSE, RESUME = "pause_recording", "resume_recording"

log = get_logger("recording.recorder")


class CallerSide(Protocol):
    """Where the caller's sound passes: told each piece, and when."""

    tap: Callable[[bytes, float], None] | None


class AgentSide(Protocol):
    """Where the agent's sound leaves: told what was sent, and when."""

    tap: Callable[[Sequence[Send], float], None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Which line of which call this is, and what the caller has to have heard first.

    Attributes:
        said: what agent and script have said, as far as the caller has heard it; asked until it holds ``consent``.
        held_s: seconds of our sound that the carrier holds and has not played yet.
        tools_done: the tools that were done in this call, by name, oldest first: it may come back paused.
    """

    tenant_id: str
    call_sid: str
    part: int
    caller: str
    consent: str
    said: Callable[[], Iterable[str]]
    held_s: Callable[[], float]
    tools_done: Callable[[], Iterable[str]]
    wall_clock: Callable[[], datetime]


class Recorder:
    """One line's. ``pause`` and ``resume`` are for tools, ``key`` for who hears keys; plain calls, all harmless."""

    def __init__(self, recorded: Recorded, writer: RecordingWriter, on_fate: Callable[[str], None]) -> None:
        self._recorded, self._writer, self._on_fate = recorded, writer, on_fate
        self._tracks: Tracks | None = None
        self._paused = False
        self._open: OpenRecording | None = None

    def pause(self) -> None:
        """Silence until ``resume``, whether the recording has begun or not."""
        self._paused = True
        if self._tracks is not None:
            self._tracks.pause(trio.current_time())

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        if self._tracks is not None:
            self._tracks.resume(trio.current_time())

    def key(self) -> None:
        """The caller pressed one: what it sounded like is left out."""
        if self._tracks is not None:
            self._tracks.key(trio.current_time())

    async def run(self, caller: CallerSide, agent: AgentSide) -> None:
        """Record until cancelled. Never raises for a recording's sake: calls are worth more."""
        try:
            await self._record(caller, agent)
        except Exception:
            # Beside the caller and the model: a bug of the recorder must not end what it records.
            self._on_fate("crashed")
            log.exception("a call is recorded no further")
        finally:
            caller.tap = agent.tap = None
            self._end()

    async def _record(self, caller: CallerSide, agent: AgentSide) -> None:
        while True:
            await trio.sleep(EVERY_S)
            if was_heard(self._recorded.consent, self._recorded.said()):
                break
        tracks = self._begin()
        caller.tap, agent.tap = tracks.heard, self._sent
        while True:
            await trio.sleep(EVERY_S)
            self._give(tracks, all_of_it=False)

    def _begin(self) -> Tracks:
        now, which = trio.current_time(), self._recorded
        tracks = self._tracks = Tracks(now, held_s=which.held_s())
        done = [name for name in which.tools_done() if name in {PAUSE, RESUME}]
        if self._paused or done[-1:] == [PAUSE]:
            self.pause()
        started_at = which.wall_clock().isoformat()
        self._open = OpenRecording(which.tenant_id, which.call_sid, which.part, which.caller, started_at)
        return tracks

    def _sent(self, sends: Sequence[Send], now: float) -> None:
        assert self._tracks is not None, "tapped once it has begun"
        for send in sends:
            match send:
                case Media(mulaw):
                    self._tracks.said(mulaw, now)
                case Clear():
                    self._tracks.cleared(now)

    def _give(self, tracks: Tracks, *, all_of_it: bool) -> None:
        assert self._open is not None, "begun together with its tracks"
        while chunk := tracks.take(trio.current_time(), all_of_it=all_of_it):
            self._writer.write(self._open, chunk)

    def _end(self) -> None:
        if self._tracks is None or self._open is None:
            self._on_fate("no_consent")
            return
        self._give(self._tracks, all_of_it=True)
        self._writer.write(self._open, b"", last=True)


def tools_done(timeline: Iterable[Any]) -> list[str]:
    """The tools of a call's timeline that were done, oldest first."""
    return [
        moment.text
        for moment in timeline
        if moment.kind == "tool_result"
        and not moment.facts.get("deduplicated")  # told again, not done again
        and moment.facts.get("response", {}).get("status") == "ok"
    ]
