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
from engine.audio.arrivals import FRAME_S, Arrivals
from engine.audio.echo import EchoGuard
from engine.audio.g711 import FRAME_BYTES, FRAME_MS
from engine.audio.jitter_buffer import JitterBuffer, JitterStatistics
from engine.audio.speech import Dismissal, Endpoint, Lull, Onset, SpeechDetector, SpeechEvent, Suspicion
from engine.audio.vad import FAINTEST_SPEECH_DBFS, SILENT_DBFS, Vad, is_faint, levels_dbfs
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
from engine.shortcut import SendEnd
from engine.telephony.line import MediaLine

TURN_WINDOWS = 300  # the longest turn, half a minute, in windows of 100 ms
FRAMES_TOGETHER = 5  # at most are read at once, where none but the last can make an event or a window whole: 100 ms
FRAMES_OVER_AGENT = 3  # while the agent sounds: keys, and marks that tell what was heard, come among the frames
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
        listener: SendEnd[ListenerInput] | None = None,
        hush: Hush | None = None,
        echo: EchoGuard | None = None,
    ) -> None:
        """Without ``hush`` the agent is never paused; without ``echo`` its voice may come back as the caller's."""
        self.tap: Callable[[bytes, float], None] | None = None
        """Told what was heard, where somebody records it."""
        self._hush = hush
        self._echo = echo
        self._may_pause = False
        self._hushed_at: float | None = None  # when the agent was made to pause, until it is known why
        self._opened_for = 0  # where the onset began that the last turn was opened for
        self._inbox = inbox
        self._listener = listener
        self._turn_id = 0
        self._uplink: SendEnd[Uplink] | None = None
        self._buffer = JitterBuffer()
        self.insert = self._buffer.insert
        """For the line: a media message came. The buffer's own, as it is called for every frame."""
        self._vad = vad
        self._detector = detector
        self._windows = windows
        self._arrivals = Arrivals()
        self._together = max(1, min(FRAMES_TOGETHER, windows.window_ms // FRAME_MS))
        self._agent_sounding = agent_sounding
        self._ahead = 1
        self._metrics = metrics
        # What went up of the turn, until it is answered: a successor may need it. The script's hold may be longer.
        self._turn: deque[bytes] = deque(maxlen=TURN_WINDOWS)
        self.refused_windows = 0

    # --- for the floor's holder --------------------------------------------------------------------------------

    def route_to(self, uplink: SendEnd[Uplink] | None, *, may_pause: bool = False) -> None:
        """From now on windows go here; the gate starts closed.

        ``may_pause``: this holder cuts what it says when the caller begins to speak, so the agent may be made to pause
        before that is certain.
        """
        self._windows.close()
        self._uplink = uplink
        self._may_pause = may_pause
        if self._hush is not None:
            self._hush.resume(trio.current_time())

    def reroute_to(self, uplink: SendEnd[Uplink]) -> None:
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

    def latest(self) -> bytes:
        """What the caller sent last, mu-law, 0.2 s or more of it once there were so many; for whoever looks."""
        return (self._turn[-1] if self._turn else b"") + self._windows.held()

    # --- for the line ------------------------------------------------------------------------------------------

    def pump(self, now: float) -> float:
        """Run every frame that is there (or overdue) through detector and windows; when the next can make an event.

        Until then nothing is gained by looking at frames one by one: the line may read several at a time.
        """
        frames = self._buffer.take(now)
        awaited = self._ahead
        begin = 0
        while begin < len(frames):
            end = begin + self._ahead
            # Together only where none but the last can make an event: what comes of it concerns all before it.
            self._hear(frames[begin:end], len(frames) - begin - 1, awaited - 1, now)
            self._ahead = self._frames_ahead()
            begin = end
        self._arrivals.came(len(frames), now)
        return self._arrivals.shortly_before(self._ahead)

    def statistics(self) -> JitterStatistics:
        """The jitter buffer's counts."""
        return self._buffer.statistics()

    def _since_onset_ms(self) -> int:
        """How far back the caller's speech reaches that has just begun; 0 where a turn has been opened for it."""
        began = self._detector.began
        if began == self._opened_for:
            return 0
        self._opened_for = began
        since_ms = (self._detector.frames - began) * FRAME_MS + BEFORE_ONSET_MS
        return since_ms if since_ms <= self._windows.keep_ms else 0

    def _frames_ahead(self) -> int:
        """How many frames may be looked at together, for nothing can come of any but the last."""
        to_window = -(-self._windows.missing // FRAME_BYTES)
        ahead = min(self._together, self._detector.frames_ahead, to_window)
        return FRAMES_OVER_AGENT if ahead > FRAMES_OVER_AGENT and self._agent_sounding() else ahead

    def _hear(self, frames: list[bytes], newer: int, awaited: int, now: float) -> None:
        """Run some frames through; ``newer`` ones came after the first and before now, of them ``awaited`` on time."""
        joined = b"".join(frames)
        if is_faint(joined):
            change: SpeechEvent | None = self._detector.push_quiet(len(frames), now)
        else:
            change = self._judge(joined, newer, awaited, now)
        if self.tap is not None:
            self.tap(joined, now)
        window = self._windows.push(joined)
        if window is not None:
            self._offer(window)
        if change is not None:
            self._changed(change, now)

    def _judge(self, joined: bytes, newer: int, awaited: int, now: float) -> SpeechEvent | None:
        """What frames that are not all faint tell, each in its turn."""
        detector = self._detector
        on_guard = self._echo if self._echo is not None and self._echo.is_on_guard(now) else None
        pcm = g711.decode(joined)
        samples = pcm.tobytes()
        change: SpeechEvent | None = None
        for number, level in enumerate(levels_dbfs(pcm)):
            begin = number * FRAME_BYTES
            voiced, asked = False, SILENT_DBFS
            if level >= FAINTEST_SPEECH_DBFS or not is_faint(joined[begin : begin + FRAME_BYTES]):
                voiced = self._vad.is_speech(samples[2 * begin : 2 * (begin + FRAME_BYTES)])
                if on_guard is not None:
                    learn = not detector.is_doubtful and not detector.is_speaking
                    voiced = on_guard.admits(level, detector.frames, now, learn=learn) and voiced
                    asked = level
                elif voiced:
                    asked = level
            # When it came, had it not waited for the others. What is older than that came in a burst, with the newest.
            at = now - min(newer - number, awaited) * FRAME_S
            # What the agent does matters only to whether this begins something.
            over_agent = voiced and not detector.is_speaking and self._agent_sounding()
            change = detector.push(voiced, asked, at, agent_speaking=over_agent)
        return change

    def _changed(self, change: SpeechEvent, now: float) -> None:
        match change:
            case Suspicion():
                if self._hush is not None and self._may_pause:
                    self._hush.pause(now)
                    self._hushed_at = now
            case Dismissal():
                self._hushed_at = None
                if self._hush is not None:
                    self._hush.resume(now)
            case Onset(at):
                if self._hush is not None and self._may_pause:
                    self._hush.hold(now)
                if self._hushed_at is not None:
                    self._metrics.barge_in.observe(self._hushed_at - at)
                    self._hushed_at = None
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
