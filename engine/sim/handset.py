"""The caller's mouth and ears for one call: what outlives a stream, and what a scenario is played on.

The phone (a plane member) takes what is being said from here, frame by frame, and tells when something was heard;
the scenario's task waits here. While no stream is up, the ears may hang on a static verb of the carrier's (``<Say>``,
``<Dial>``, ``<Record>``): heard as sound, but not in the recordings.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from engine.sim.hearing import BYTES_PER_MS, SAME_UTTERANCE_MS, loud_span
from engine.sim.playback import Playback
from engine.sim.scenario import Clip

KEY_PAUSE_S = 0.25
PER_S = 1000 * BYTES_PER_MS


class Line(Protocol):
    """A stream that is up, as the handset sees it."""

    playback: Playback

    def press(self, digit: str) -> None:
        """Send a key."""


@dataclass(slots=True)
class Said:
    """A clip that was said. Instants are those of its first and last loud sample at the caller's mouth.

    Attributes:
        over: it was a barge-in, said while the agent was speaking.
        cut: the stream was lost before it was out.
    """

    text: str
    voiced_at: float
    voiced_until: float
    over: bool
    cut: bool = False


@dataclass(frozen=True, slots=True)
class StreamRecording:
    """Both ears of one stream from ``started_at`` on, mu-law."""

    started_at: float
    left: bytes
    right: bytes


@dataclass(frozen=True, slots=True)
class StaticSound:
    """Something the carrier itself let the caller hear; instants on the call's clock."""

    verb: str
    text: str
    at: float
    until: float


@dataclass(slots=True)
class _Speech:
    clip: Clip
    over: bool
    done: trio.Event
    offset: int = 0
    said: Said | None = None


class Handset:
    """One caller. Methods called by the phone are plain; those for the scenario wait."""

    def __init__(self, now: float) -> None:
        self.began_at = now
        self.said: list[Said] = []
        self.static: list[StaticSound] = []
        self.streams: list[StreamRecording] = []
        self.waits: list[tuple[float, float]] = []
        self.given_up = 0
        self._line: Line | None = None
        self._line_since = math.inf  # since when there is something to hear at all
        self._speech: _Speech | None = None
        self._keys: Callable[[str], None] | None = None  # where keys go while the carrier gathers them
        self._recording = False  # somebody listens though no stream is up
        self._changed: trio.Event | None = None
        self._idle_since = now
        self._static_until = -math.inf
        self._heard_until = -math.inf  # of streams that are gone

    # --- for the phone and the carrier ---------------------------------------------------------------------------

    def attach(self, line: Line, now: float) -> None:
        """A stream is up."""
        self._line, self._line_since = line, now
        self.notice()

    def detach(self, recording: StreamRecording) -> None:
        """The stream is gone; what was being said is cut off, the rest of the scenario waits."""
        self._heard_until = min(self._sound_until(), trio.current_time())
        self._line, self._line_since = None, math.inf
        self.streams.append(recording)
        speech, self._speech = self._speech, None
        if speech is not None:
            if speech.said is not None:
                speech.said.cut = True
                speech.said.voiced_until = min(speech.said.voiced_until, trio.current_time())
            speech.done.set()
        self.notice()

    def answered(self, now: float) -> None:
        """The call was answered: from here on a caller waits."""
        self._idle_since = now

    def take(self, size: int, at: float) -> bytes | None:
        """The next ``size`` bytes out of the caller's mouth, spoken from ``at`` on; None for silence."""
        speech = self._speech
        if speech is None:
            return None
        mulaw = speech.clip.mulaw
        if speech.said is None:
            self._open_mouth(speech, at)
        piece = mulaw[speech.offset : speech.offset + size]
        speech.offset += size
        if speech.offset >= len(mulaw):
            self._speech = None
            speech.done.set()
        return piece.ljust(size, b"\xff")

    def notice(self) -> None:
        """Something was heard, or the line changed: let a waiting scenario look again."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def hear_static(self, verb: str, text: str, seconds: float) -> None:
        """The carrier itself speaks (or lets somebody speak) for so long from now on."""
        now = trio.current_time()
        self.static.append(StaticSound(verb, text, now, now + seconds))
        self._static_until = now + seconds
        self._line_since = min(self._line_since, now)
        self.notice()

    def hush_static(self) -> None:
        """The carrier's own verb is over, perhaps before its time."""
        now = trio.current_time()
        if self.static and self.static[-1].until > now:
            last = self.static[-1]
            self.static[-1] = StaticSound(last.verb, last.text, last.at, now)
        self._static_until = min(self._static_until, now)
        if self._line is None:
            self._line_since = math.inf

    def gather(self, keys: Callable[[str], None] | None) -> None:
        """From now on keys go here while no stream is up; None: they wait for a stream."""
        self._keys = keys
        self.notice()

    def record(self, *, listening: bool) -> None:
        """Somebody else (a recorder, a person) listens to the caller while no stream is up, or does no longer."""
        self._recording = listening
        self.notice()

    # --- for the scenario ----------------------------------------------------------------------------------------

    async def listen(self, quiet_ms: float, timeout_s: float) -> bool:
        """See ``Listen``; False where the caller has waited long enough."""
        began = trio.current_time()
        waiting_since = self._idle_since
        heard = False
        try:
            with trio.move_on_after(timeout_s):
                while not heard:
                    until = self._sound_until()
                    if until <= max(began, self._line_since):
                        await self._wait_change()
                    elif trio.current_time() >= until + quiet_ms / 1000:
                        heard = True
                    else:
                        await trio.sleep_until(until + quiet_ms / 1000)
        finally:
            now = trio.current_time()
            last = min(max(self._sound_until(), self._heard_until), now)
            self.waits.append((waiting_since, last if last > began else now))
            self._idle_since = now
        return heard

    async def stay_on(self, timeout_s: float) -> None:
        """See ``StayOn``: ends by being cancelled with the call, or after ``timeout_s``."""
        await self.listen(math.inf, timeout_s)

    async def say(self, clip: Clip, *, over: bool = False) -> None:
        """Say all of this clip into the line (wait for one first)."""
        while self._line is None and not self._recording:
            await self._wait_change()
        speech = _Speech(clip, over, trio.Event())
        if self._line is None:
            self._open_mouth(speech, trio.current_time())
            await trio.sleep(len(clip.mulaw) / PER_S)
        else:
            self._speech = speech
            await speech.done.wait()
        self._idle_since = self.said[-1].voiced_until if self.said else trio.current_time()

    async def wait_agent_speaking(self, for_ms: float, timeout_s: float) -> bool:
        """Wait until the agent has been speaking for so long; False where it did not within ``timeout_s``."""
        with trio.move_on_after(timeout_s):
            while True:
                now = trio.current_time()
                since = self._line.playback.sound_since if self._line is not None else None
                if since is None or self._sound_until() + SAME_UTTERANCE_MS / 1000 < now:
                    await self._wait_change()
                elif now >= since + for_ms / 1000:
                    if self._sound_until() > now:
                        return True
                    await self._wait_change()
                else:
                    await trio.sleep_until(since + for_ms / 1000)
        return False

    async def press(self, digits: str) -> None:
        """Press these keys, into the line or into whatever the carrier gathers them for."""
        for digit in digits:
            while self._line is None and self._keys is None:
                await self._wait_change()
            if self._line is not None:
                self._line.press(digit)
            elif self._keys is not None:
                self._keys(digit)
            self._idle_since = trio.current_time()
            await trio.sleep(KEY_PAUSE_S)

    async def wait(self, seconds: float) -> None:
        """Do nothing; the time is not counted as waiting for the agent."""
        await trio.sleep(seconds)
        self._idle_since = trio.current_time()

    def _open_mouth(self, speech: _Speech, at: float) -> None:
        first, last = loud_span(speech.clip.mulaw) or (0, len(speech.clip.mulaw))
        speech.said = Said(speech.clip.text, at + first / PER_S, at + last / PER_S, speech.over)
        self.said.append(speech.said)

    async def _wait_change(self) -> None:
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    def _sound_until(self) -> float:
        on_line = self._line.playback.sound_until if self._line is not None else None
        return max(self._static_until, -math.inf if on_line is None else on_line)
