"""When the caller begins and stops speaking, from one judgement per 20 ms frame.

    state     | frame                                                        | next     | event
    ----------+--------------------------------------------------------------+----------+---------------------
    quiet     | loud, and enough loud ones within twice the onset time       | speaking | Onset(first of them)
    quiet     | the agent speaks; ``suspect_ms`` of loud ones within twice   | doubtful | Suspicion
    quiet     | any other                                                    | quiet    |
    doubtful  | loud, and enough as above, or still after the onset time     | speaking | Onset(first of them)
    doubtful  | the line has been calm for 140 ms, or undecided for too long | quiet    | Dismissal
    doubtful  | any other                                                    | doubtful |
    speaking  | loud, and another loud one among the two before              | speaking | (the pause is over)
    speaking  | the pause has lasted endpointing, no loud one in the last 3  | quiet    | Endpoint
    speaking  | the pause has lasted ``LULL_MS``, less than endpointing      | speaking | Lull
    speaking  | any other                                                    | speaking | (the pause grows)

*Loud* is voiced and above ``min_level_dbfs``. *Enough* is ``onset_ms``, or ``barge_in_ms`` while the agent speaks, so
that a backchannel or an echo of the agent does not take the floor so easily. A lone loud frame in a pause is a click or
a false alarm of the detector (3 % of silent frames): if it put the endpoint off, most endpoints would be late.

A suspicion is for whoever can fall silent without losing anything: it comes after a tenth of a second where certainty
takes half a one. Calm are frames that are faint, voiced or not: "wait, sorry" is one burst, its s is sound. And two
short words ("no, stop") are longer than any backchannel, though they hold less loud sound: two thirds of the usual is
enough then. After an undecided suspicion (a rattling line) the next may come only when nothing was loud for 120 ms.

Everything is counted in frames, which is media time: a burst after a gap in delivery counts for what it holds.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

from engine.audio.g711 import FRAME_MS
from engine.audio.vad import FAINTEST_SPEECH_DBFS, SILENT_DBFS
from engine.errors import MisuseError

_RECENT: Final = 0b111  # this frame and the two before it
_CALM_FRAMES: Final = 7  # longer than what is silent inside a word
_CALM_BELOW_DB: Final = 8.0  # so far below the least level of speech: consonants are fainter than their vowels
_SETTLED: Final = 0b111111
_LULL_FRAMES: Final = 10
SUSPECT_MS: Final = 60
"""So much loud sound over the agent makes a suspicion; less is a click."""

UNDECIDED_MS: Final = 300
"""A suspicion that is no onset so long after it could have been one was about neither speech nor backchannel."""


@dataclass(frozen=True, slots=True)
class Onset:
    """The caller began to speak; ``at`` is the instant of the first loud frame, before it was certain."""

    at: float


LULL_MS: Final = 200
"""Longer than what is silent inside a word or between two: whoever writes down what was said can be asked for it."""


@dataclass(frozen=True, slots=True)
class Lull:
    """The caller pauses, and may be done; once in each pause."""


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


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The caller may be interrupting the agent: an ``Onset`` or a ``Dismissal`` follows."""


@dataclass(frozen=True, slots=True)
class Dismissal:
    """It was a backchannel, or a noise."""


SpeechEvent: TypeAlias = Onset | Endpoint | Suspicion | Dismissal | Lull


@dataclass(frozen=True, slots=True)
class SpeechStatistics:
    """What a detector has seen. ``too_faint`` frames were voiced, but below the level asked for."""

    frames: int
    loud: int
    too_faint: int
    onsets: int
    endpoints: int
    speech_ms: int
    suspicions: int = 0


class SpeechDetector:
    """One caller's endpointing and barge-in, a plain call per frame.

    Args:
        endpointing_ms: how long a pause ends the caller's speech; 60 ms is the least that has an effect.
        onset_ms: how much speech makes an onset.
        barge_in_ms: the same while the agent speaks.
        suspect_ms: how much of it makes a suspicion; None: nobody asks for suspicions.
        min_level_dbfs: fainter frames are not the caller's speech, whatever the detector says.

    Raises:
        MisuseError: a time that is not positive.
    """

    def __init__(
        self,
        endpointing_ms: int = 500,
        onset_ms: int = 60,
        barge_in_ms: int = 200,
        suspect_ms: int | None = None,
        min_level_dbfs: float = FAINTEST_SPEECH_DBFS,
    ) -> None:
        self._endpointing, self._onset, self._barge_in = map(_frames, (endpointing_ms, onset_ms, barge_in_ms))
        self._suspect = 0 if suspect_ms is None else _frames(suspect_ms)
        self._min_level_dbfs = min_level_dbfs
        self._soonest = min(self._onset, self._barge_in, self._suspect or self._onset)
        longest = 2 * max(self._onset, self._barge_in)
        self._mask = (1 << longest) - 1
        self._instants: deque[float] = deque(maxlen=longest)
        self._history = 0  # one bit per frame, the newest lowest: was it loud?
        self._speaking = False
        self._doubtful_for = 0  # frames; 0: not doubtful
        self._calm_for = 0  # of these, the last
        self._was_undecided = False  # the last suspicion was, and the line has not been calm since
        self._suspicions = 0
        self._began = 0  # number of the frame with which the last onset began
        self._length = self._pause = 0  # frames since the onset's first one; of them, how many the pause has
        self._last_loud_at = 0.0
        self._frames = self._loud = self._too_faint = self._onsets = self._endpoints = self._speech_ms = 0

    @property
    def is_speaking(self) -> bool:
        """Whether the caller has begun and not ended."""
        return self._speaking

    @property
    def is_doubtful(self) -> bool:
        """Whether a suspicion is neither confirmed nor dismissed; then the level of unvoiced frames matters too."""
        return self._doubtful_for > 0

    @property
    def frames(self) -> int:
        """How many were pushed."""
        return self._frames

    @property
    def frames_ahead(self) -> int:
        """How many frames must come, whatever is in them, before the next event is possible: at least one."""
        if self._doubtful_for:
            return 1
        if not self._speaking:
            return max(1, self._soonest - self._history.bit_count())
        lull = _LULL_FRAMES - self._pause
        return max(1, min(lull if lull > 0 else self._endpointing, self._endpointing - self._pause))

    @property
    def began(self) -> int:
        """How many had been pushed when the last onset's first loud frame came."""
        return self._began

    def push(self, voiced: bool, level_dbfs: float, at: float, *, agent_speaking: bool) -> SpeechEvent | None:  # noqa: FBT001 - the detector's verdict is what is pushed
        """Judge the next 20 ms.

        Args:
            voiced: what the voice activity detector says.
            level_dbfs: how loud the frame is; of an unvoiced one asked for only while ``is_doubtful``.
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
        change: SpeechEvent | None = None
        if loud:
            change = self._look_for_onset(self._barge_in if agent_speaking else self._onset)
        if change is None and self._doubtful_for:
            change = self._dismisses(level_dbfs)
        elif change is None and loud and agent_speaking and self._suspect:
            change = self._suspects()
        return change

    def push_quiet(self, count: int, at: float) -> Endpoint | Lull | Dismissal | None:
        """The same for frames in which nobody speaks, at most ``frames_ahead`` of them: what the last one brings."""
        self._frames += count
        self._history = (self._history << count) & self._mask
        self._instants.extend([at] * count)  # nobody will ask for these: an onset is a loud frame's
        change: Endpoint | Lull | Dismissal | None = None
        for _ in range(count if self._speaking or self._doubtful_for else 0):
            change = self._continue(at, loud=False) if self._speaking else self._dismisses(SILENT_DBFS)
        return change

    def statistics(self) -> SpeechStatistics:
        """Counts since the beginning."""
        return SpeechStatistics(
            self._frames,
            self._loud,
            self._too_faint,
            self._onsets,
            self._endpoints,
            self._speech_ms,
            self._suspicions,
        )

    def _look_for_onset(self, enough: int) -> Onset | None:
        window = self._history & ((1 << 2 * enough) - 1)
        if self._doubtful_for >= enough:
            enough = 2 * enough // 3
        if window.bit_count() < enough:
            return None
        self._speaking, self._pause = True, 0
        self._length = window.bit_length()
        self._last_loud_at = self._instants[-1]
        self._began = self._frames - self._length
        self._doubtful_for = 0
        self._onsets += 1
        return Onset(self._instants[-self._length])

    def _suspects(self) -> Suspicion | None:
        if self._was_undecided and (self._history >> 1) & _SETTLED:
            return None
        self._was_undecided = False
        if (self._history & ((1 << 2 * self._suspect) - 1)).bit_count() < self._suspect:
            return None
        self._doubtful_for, self._calm_for = 1, 0
        self._suspicions += 1
        return Suspicion()

    def _dismisses(self, level_dbfs: float) -> Dismissal | None:
        self._doubtful_for += 1
        self._calm_for = 0 if level_dbfs >= self._min_level_dbfs - _CALM_BELOW_DB else self._calm_for + 1
        self._was_undecided = self._doubtful_for > self._barge_in + UNDECIDED_MS // FRAME_MS
        if self._calm_for < _CALM_FRAMES and not self._was_undecided:
            return None
        self._doubtful_for = 0
        return Dismissal()

    def _continue(self, at: float, *, loud: bool) -> Endpoint | Lull | None:
        self._length += 1
        if loud and (self._history & _RECENT).bit_count() > 1:
            self._pause = 0
            self._last_loud_at = at
            return None
        self._pause += 1
        if self._pause < self._endpointing or self._history & _RECENT:
            return Lull() if self._pause == _LULL_FRAMES else None
        speech_ms = (self._length - self._pause) * FRAME_MS
        self._speaking, self._history = False, 0
        self._endpoints += 1
        self._speech_ms += speech_ms
        return Endpoint(self._last_loud_at, at, float(speech_ms))


def _frames(ms: int) -> int:
    if ms <= 0:
        raise MisuseError(f"a time of {ms} ms cannot be waited for")
    return -(-ms // FRAME_MS)
