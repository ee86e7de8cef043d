"""When the caller begins and stops speaking, from one judgement per 20 ms frame.

    state     | frame                                                        | next     | event
    ----------+--------------------------------------------------------------+----------+---------------------
    quiet     | loud, and enough loud ones within twice the onset time       | speaking | Onset(first of them)
    quiet     | any other                                                    | quiet    |
    speaking  | loud, and another loud one among the two before              | speaking | (the pause is over)
    speaking  | the pause has lasted endpointing, no loud one in the last 3  | quiet    | Endpoint
    speaking  | any other                                                    | speaking | (the pause grows)

*Loud* is voiced and above ``min_level_dbfs``. *Enough* is ``onset_ms``, or ``barge_in_ms`` while the agent speaks, so
that a backchannel or an echo of the agent does not take the floor so easily. A lone loud frame in a pause is a click or
a false alarm of the detector (3 % of silent frames): if it put the endpoint off, most endpoints would be late.

Everything is counted in frames, which is media time: a burst after a gap in delivery counts for what it holds.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

from engine.audio.g711 import FRAME_MS
from engine.audio.vad import FAINTEST_SPEECH_DBFS
from engine.errors import MisuseError

_RECENT: Final = 0b111  # this frame and the two before it


@dataclass(frozen=True, slots=True)
class Onset:
    """The caller began to speak; ``at`` is the instant of the first loud frame, before it was certain."""

    at: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The caller is done.

    Attributes:
        at: instant of the last loud frame.
        decided_at: instant of the frame that completed the silence.
        speech_ms: media time from the first loud frame to the last, both included.
    """

    at: float
    decided_at: float
    speech_ms: float


SpeechEvent: TypeAlias = Onset | Endpoint


@dataclass(frozen=True, slots=True)
class SpeechStatistics:
    """What a detector has seen. ``too_faint`` frames were voiced, but below the level asked for."""

    frames: int
    loud: int
    too_faint: int
    onsets: int
    endpoints: int
    speech_ms: int


class SpeechDetector:
    """One caller's endpointing and barge-in, a plain call per frame.

    Args:
        endpointing_ms: how long a pause ends the caller's speech; 60 ms is the least that has an effect.
        onset_ms: how much speech makes an onset.
        barge_in_ms: the same while the agent speaks.
        min_level_dbfs: fainter frames are not the caller's speech, whatever the detector says.

    Raises:
        MisuseError: a time that is not positive.
    """

    def __init__(
        self,
        endpointing_ms: int = 500,
        onset_ms: int = 60,
        barge_in_ms: int = 200,
        min_level_dbfs: float = FAINTEST_SPEECH_DBFS,
    ) -> None:
        self._endpointing, self._onset, self._barge_in = map(_frames, (endpointing_ms, onset_ms, barge_in_ms))
        self._min_level_dbfs = min_level_dbfs
        longest = 2 * max(self._onset, self._barge_in)
        self._mask = (1 << longest) - 1
        self._instants: deque[float] = deque(maxlen=longest)
        self._history = 0  # one bit per frame, the newest lowest: was it loud?
        self._speaking = False
        self._length = self._pause = 0  # frames since the onset's first one; of them, how many the pause has
        self._last_loud_at = 0.0
        self._frames = self._loud = self._too_faint = self._onsets = self._endpoints = self._speech_ms = 0

    @property
    def is_speaking(self) -> bool:
        """Whether the caller has begun and not ended."""
        return self._speaking

    def push(self, voiced: bool, level_dbfs: float, at: float, *, agent_speaking: bool) -> SpeechEvent | None:  # noqa: FBT001 - the detector's verdict is what is pushed
        """Judge the next 20 ms.

        Args:
            voiced: what the voice activity detector says.
            level_dbfs: how loud the frame is.
            at: the frame's instant, kept for the events.
            agent_speaking: whether the caller can hear the agent now.
        """
        loud = voiced and level_dbfs >= self._min_level_dbfs
        self._frames += 1
        self._loud += loud
        self._too_faint += voiced and not loud
        self._history = (self._history << 1 | loud) & self._mask
        self._instants.append(at)
        if self._speaking:
            return self._continue(at, loud=loud)
        return self._look_for_onset(self._barge_in if agent_speaking else self._onset) if loud else None

    def statistics(self) -> SpeechStatistics:
        """Counts since the beginning."""
        return SpeechStatistics(
            self._frames, self._loud, self._too_faint, self._onsets, self._endpoints, self._speech_ms
        )

    def _look_for_onset(self, enough: int) -> Onset | None:
        window = self._history & ((1 << 2 * enough) - 1)
        if window.bit_count() < enough:
            return None
        self._speaking, self._pause = True, 0
        self._length = window.bit_length()
        self._last_loud_at = self._instants[-1]
        self._onsets += 1
        return Onset(self._instants[-self._length])

    def _continue(self, at: float, *, loud: bool) -> Endpoint | None:
        self._length += 1
        if loud and (self._history & _RECENT).bit_count() > 1:
            self._pause = 0
            self._last_loud_at = at
            return None
        self._pause += 1
        if self._pause < self._endpointing or self._history & _RECENT:
            return None
        speech_ms = (self._length - self._pause) * FRAME_MS
        self._speaking, self._history = False, 0
        self._endpoints += 1
        self._speech_ms += speech_ms
        return Endpoint(self._last_loud_at, at, float(speech_ms))


def _frames(ms: int) -> int:
    if ms <= 0:
        raise MisuseError(f"a time of {ms} ms cannot be waited for")
    return -(-ms // FRAME_MS)
