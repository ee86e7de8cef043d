"""What a simulated model writes down of its caller: while they speak, when they pause, when they go on after a pause.

A flush (``audioStreamEnd``, or a pause that was detected) ends the piece that was being said, often in the middle of a
sentence. Whoever goes on soon goes on with the same sentence, so the next piece is understood together with the one
before it.
"""

from dataclasses import dataclass, field

import numpy as np
import trio
from numpy.typing import NDArray

from engine.sim.ear import Ear

GOES_ON_WITHIN_S = 1.2


@dataclass(slots=True)
class Activity:
    """What came in since speech began: caller audio at 16 kHz, and the last interim transcript.

    Attributes:
        before: the piece that this one goes on with, and what was written down of it.
    """

    interim_at: float
    interim: str = ""
    audio: list[NDArray[np.int16]] = field(default_factory=list)
    before: NDArray[np.int16] | None = None
    written: str = ""

    @property
    def pcm(self) -> NDArray[np.int16]:
        """All of the audio."""
        return np.concatenate(self.audio) if self.audio else np.zeros(0, np.int16)


class Scribe:
    """Writes down one session's pieces."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._flushed: tuple[float, NDArray[np.int16], str] | None = None

    def begin(self) -> Activity:
        """Speech begins."""
        activity = Activity(trio.current_time())
        if self._flushed is not None and activity.interim_at - self._flushed[0] <= GOES_ON_WITHIN_S:
            _, activity.before, activity.written = self._flushed
        self._flushed = None
        return activity

    def interim(self, activity: Activity) -> str | None:
        """What is understood so far of this piece; None where that is nothing new."""
        text = self._new_words(activity, self._ear.partial(_joined(activity))) or self._ear.partial(activity.pcm)
        if not text or text == activity.interim:
            return None
        activity.interim = text
        return text

    def final(self, activity: Activity, *, flushed: bool) -> str | None:
        """What this piece said; ``flushed``: it may go on."""
        pcm = activity.pcm
        if not len(pcm):
            return None
        whole = _joined(activity)
        text = self._new_words(activity, self._ear.hear(whole)) or self._ear.hear(pcm) or activity.interim
        if flushed:
            self._flushed = trio.current_time(), whole, f"{activity.written} {text}".strip()
        return text

    def _new_words(self, activity: Activity, whole: str | None) -> str | None:
        if activity.before is None or not whole or not whole.startswith(activity.written):
            return None
        return whole.removeprefix(activity.written).strip()


def _joined(activity: Activity) -> NDArray[np.int16]:
    return activity.pcm if activity.before is None else np.concatenate((activity.before, activity.pcm))
