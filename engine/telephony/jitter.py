"""The jitter actor: owns a call's caller audio from frames by timestamp to windows for whoever holds the floor.

    frames ─► jitter buffer ─► speech detector ─► inbox (SpeechStarted, SpeechEnded)
                           └─► window builder ──► uplink (CallerAudio), while the gate is open

The gate belongs to the floor's holder: it opens it when a turn opens (the pre-roll goes out first, so nothing of the
caller's first word is lost) and closes it when the turn is committed. Audio outside a turn is not sent anywhere.
Everything but ``run_jitter`` is called by the media plane or is a plain call of the floor's holder.
"""

from collections import deque
from collections.abc import Callable
from typing import NoReturn

import trio

from engine.audio import g711
from engine.audio.jitter_buffer import JitterBuffer, JitterStatistics
from engine.audio.speech import Endpoint, Onset, SpeechDetector
from engine.audio.vad import SILENT_DBFS, Vad, is_faint, level_dbfs
from engine.audio.windows import WindowBuilder
from engine.messages import (
    CallerAudio,
    CallerPaused,
    FloorEvent,
    ListenerInput,
    OpenTurn,
    SpeechEnded,
    SpeechStarted,
    Uplink,
)
from engine.metrics import Metrics
from engine.telephony.line import MediaLine

TURN_WINDOWS = 300  # the longest turn, half a minute, in windows of 100 ms


class CallerAudioGate:
    """A call's inbound audio path; ``InboundPart`` for the line, gate for the floor's holder."""

    def __init__(
        self,
        *,
        inbox: trio.MemorySendChannel[FloorEvent],
        vad: Vad,
        detector: SpeechDetector,
        windows: WindowBuilder,
        agent_sounding: Callable[[], bool],
        metrics: Metrics,
        listener: trio.MemorySendChannel[ListenerInput] | None = None,
    ) -> None:
        self._inbox = inbox
        self._listener = listener
        self._turn_id = 0
        self._uplink: trio.MemorySendChannel[Uplink] | None = None
        self._buffer = JitterBuffer()
        self._vad = vad
        self._detector = detector
        self._windows = windows
        self._agent_sounding = agent_sounding
        self._metrics = metrics
        # What went up of the turn, until it is answered: a successor may need it. The script's hold may be longer.
        self._turn: deque[bytes] = deque(maxlen=TURN_WINDOWS)
        self.refused_windows = 0

    # --- for the floor's holder --------------------------------------------------------------------------------

    def route_to(self, uplink: trio.MemorySendChannel[Uplink] | None) -> None:
        """From now on windows go here; the gate starts closed."""
        self._windows.close()
        self._uplink = uplink

    def reroute_to(self, uplink: trio.MemorySendChannel[Uplink]) -> None:
        """Another session takes over: windows go there, open or closed as they are."""
        self._uplink = uplink

    def turn_so_far(self) -> bytes:
        """What of the caller's turn went up, until ``forget_turn``; mu-law."""
        return b"".join(self._turn)

    def forget_turn(self) -> None:
        """It has been answered: nobody needs to be told it again."""
        self._turn.clear()

    def open(self, turn_id: int = 0) -> None:
        """Send the pre-roll, then windows as they fill. Harmless where it is open."""
        self._turn_id = turn_id
        if not self._windows.is_open:
            self._turn.clear()
            self._let_listen(OpenTurn(turn_id))
            self._offer(self._windows.open())

    def close(self) -> None:
        """Send no more; the pre-roll goes on being kept."""
        self._windows.close()

    # --- for the line ------------------------------------------------------------------------------------------

    def insert(self, timestamp_ms: int, payload: bytes, now: float) -> None:
        """A media message came."""
        self._buffer.insert(timestamp_ms, payload, now)

    def pump(self, now: float) -> None:
        """Run every frame that is there (or overdue) through detector and windows."""
        while (frame := self._buffer.pop(now)) is not None:
            self._frame(frame, now)

    def statistics(self) -> JitterStatistics:
        """The jitter buffer's counts."""
        return self._buffer.statistics()

    def _frame(self, frame: bytes, now: float) -> None:
        if is_faint(frame):
            change = self._detector.push(False, SILENT_DBFS, now, agent_speaking=False)
        else:
            pcm = g711.decode(frame)
            voiced = self._vad.is_speech(pcm.tobytes())
            # Asked only where it can matter: most frames are not speech.
            level = level_dbfs(pcm) if voiced else SILENT_DBFS
            change = self._detector.push(voiced, level, now, agent_speaking=voiced and self._agent_sounding())
        window = self._windows.push(frame)
        if window is not None:
            self._offer(window)
        match change:
            case Onset(at):
                self._tell(SpeechStarted(at))
            case Endpoint(at, decided_at, speech_ms):
                # The model gets all there is before anybody is told that the caller is done.
                rest = self._windows.flush()
                if rest is not None:
                    self._offer(rest)
                if self._windows.is_open:
                    self._let_listen(CallerPaused(self._turn_id))
                self._tell(SpeechEnded(at, decided_at, speech_ms))
            case None:
                pass

    def _offer(self, mulaw: bytes) -> None:
        if self._uplink is None or not mulaw:
            return
        window = CallerAudio(mulaw)
        self._turn.append(mulaw)
        self._let_listen(window)
        try:
            self._uplink.send_nowait(window)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            # Full: the model takes nothing; its liveness decides. Broken: the floor is just changing hands.
            self.refused_windows += 1
            self._metrics.dropped_messages.labels("uplink").inc()

    def _let_listen(self, message: ListenerInput) -> None:
        if self._listener is None:
            return
        try:
            self._listener.send_nowait(message)
        except (trio.WouldBlock, trio.BrokenResourceError):
            # It is behind or being opened again: its turn goes without words, the call does not wait.
            self._metrics.dropped_messages.labels("listener").inc()

    def _tell(self, event: SpeechStarted | SpeechEnded) -> None:
        try:
            self._inbox.send_nowait(event)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            self._metrics.dropped_messages.labels("inbox").inc()


async def run_jitter(*, line: MediaLine, gate: CallerAudioGate, metrics: Metrics) -> NoReturn:
    """Let the line's frames flow through the gate until cancelled; then count what became of them."""
    line.attach_inbound(gate)
    try:
        await trio.sleep_forever()
    finally:
        line.detach_inbound()
        counts = gate.statistics()
        metrics.frames_in.labels("placed").inc(counts.placed)
        metrics.frames_in.labels("late").inc(counts.late)
        metrics.frames_in.labels("padded").inc(counts.padded_ms / 20)
