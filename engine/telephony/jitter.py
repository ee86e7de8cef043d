"""The jitter actor: owns a call's caller audio from frames by timestamp to windows for whoever holds the floor.

    frames ─► jitter buffer ─► speech detector ─► inbox (SpeechStarted, SpeechEnded)
                           └─► window builder ──► uplink (CallerAudio), while the gate is open

While the agent sounds, the first tenth of a second of what may be an interruption makes it pause in the same tick
(``Hush``), if the floor's holder wants that; only then it is found out whether it is one. An interruption is told as
``SpeechStarted``, and the holder cuts; after a mere "mm-hm" the agent goes on where it was. What may be an echo of the
agent (``audio/echo.py``) is nobody's speech.

The gate belongs to the floor's holder: it opens it when a turn opens (the pre-roll goes out first, so nothing of the
caller's first word is lost) and closes it when the turn is committed. Audio outside a turn is not sent anywhere.
Everything but ``run_jitter`` is called by the media plane or is a plain call of the floor's holder.
"""

from collections import deque
from collections.abc import Callable
from typing import NoReturn, Protocol

import trio

from engine.audio import g711
from engine.audio.echo import EchoGuard
from engine.audio.jitter_buffer import JitterBuffer, JitterStatistics
from engine.audio.speech import Dismissal, Endpoint, Lull, Onset, SpeechDetector, SpeechEvent, Suspicion
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
BEFORE_ONSET_MS = 200  # the model hears so much before the first loud frame: a word's soft beginning


class Hush(Protocol):
    """What the agent's playout offers to whoever hears the caller speak over it."""

    def pause(self, now: float) -> None:
        """Perhaps the caller interrupts."""

    def hold(self, now: float) -> None:
        """The caller does."""

    def resume(self, now: float) -> None:
        """The caller did not."""


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
        hush: Hush | None = None,
        echo: EchoGuard | None = None,
    ) -> None:
        """Without ``hush`` the agent is never paused; without ``echo`` its voice may come back as the caller's."""
        self._hush = hush
        self._echo = echo
        self._may_pause = False
        self._opened_for = 0  # where the onset began that the last turn was opened for
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

    def route_to(self, uplink: trio.MemorySendChannel[Uplink] | None, *, may_pause: bool = False) -> None:
        """From now on windows go here; the gate starts closed.

        ``may_pause``: this holder cuts what it says when the caller begins to speak, so the agent may be made to pause
        before that is certain.
        """
        self._windows.close()
        self._uplink = uplink
        self._may_pause = may_pause
        if self._hush is not None:
            self._hush.resume(trio.current_time())

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
            self._offer(self._windows.open(self._since_onset_ms()))

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

    def _since_onset_ms(self) -> int:
        """How far back the caller's speech reaches that has just begun; 0 where a turn has been opened for it."""
        began = self._detector.began
        if began == self._opened_for:
            return 0
        self._opened_for = began
        since_ms = (self._detector.frames - began) * g711.FRAME_MS + BEFORE_ONSET_MS
        return since_ms if since_ms <= self._windows.keep_ms else 0

    def _frame(self, frame: bytes, now: float) -> None:
        if is_faint(frame):
            change = self._detector.push(False, SILENT_DBFS, now, agent_speaking=False)
        else:
            pcm = g711.decode(frame)
            voiced = self._vad.is_speech(pcm.tobytes())
            # Asked only where it can matter: most frames are not speech.
            on_guard = self._echo is not None and self._echo.is_on_guard(now)
            level = level_dbfs(pcm) if voiced or on_guard else SILENT_DBFS
            if on_guard and not self._is_the_callers(level, now):
                voiced = False
            change = self._detector.push(voiced, level, now, agent_speaking=voiced and self._agent_sounding())
        window = self._windows.push(frame)
        if window is not None:
            self._offer(window)
        if change is not None:
            self._changed(change, now)

    def _is_the_callers(self, level: float, now: float) -> bool:
        detector = self._detector
        learn = not detector.is_doubtful and not detector.is_speaking
        return self._echo is None or self._echo.admits(level, detector.frames, now, learn=learn)

    def _changed(self, change: SpeechEvent, now: float) -> None:
        match change:
            case Suspicion():
                if self._hush is not None and self._may_pause:
                    self._hush.pause(now)
            case Dismissal():
                if self._hush is not None:
                    self._hush.resume(now)
            case Onset(at):
                if self._hush is not None and self._may_pause:
                    self._hush.hold(now)
                self._tell(SpeechStarted(at))
            case Lull():
                # Not only when the caller is done: what they said is to be known, and looked up, by then.
                self._flush()
            case Endpoint(at, decided_at, speech_ms):
                # The model gets all there is before anybody is told that the caller is done.
                self._flush()
                self._tell(SpeechEnded(at, decided_at, speech_ms))

    def _flush(self) -> None:
        rest = self._windows.flush()
        if rest is not None:
            self._offer(rest)
        if self._windows.is_open:
            self._let_listen(CallerPaused(self._turn_id))

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
