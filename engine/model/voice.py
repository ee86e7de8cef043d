"""What a model says, on its way to the call: whose generation it is, and what of it is passed on.

A *response* is what the model says under one generation, from its first sound to the end of its turn. What follows a
pause (a tool, a long silence in which the caller was kept company) is a response of its own. Not passed on are

* what comes of a response after it was interrupted;
* while an answer is being asked for once more, what comes of the first try;
* once such an answer is over, whatever comes unasked: it would be the same answer a second time.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto

import trio

from engine.messages import (
    AgentTranscript,
    Cut,
    CutPlayout,
    EndUtterance,
    FloorEvent,
    PlayAudio,
    PlayoutCommand,
    ReportHeard,
    ResponseFinished,
    ResponseInterrupted,
    ResponseStarted,
)
from engine.model.passing import pass_on
from engine.model.provider import AudioDelta
from engine.shortcut import SendEnd

_PLACES_KEPT = 32  # responses; one that is cut is among the newest few
_LATE_S = 1.0  # after asking again, an interruption of the first try may still be on its way for so long


class _Heard(Enum):
    YES = auto()
    NOT_AFTER_INTERRUPTION = auto()
    NOT_WHILE_ASKING = auto()
    NOT_TWICE = auto()


class Voice:
    """One session's responses. Every send of it waits, as its readers always drain."""

    def __init__(
        self,
        inbox: trio.MemorySendChannel[FloorEvent],
        playout: SendEnd[PlayoutCommand],
        next_generation: Callable[[], int],
    ) -> None:
        self._inbox = inbox
        self._playout = playout
        self._next_generation = next_generation
        self._heard = _Heard.YES
        self._places: deque[tuple[int, float | None]] = deque(maxlen=_PLACES_KEPT)  # where each generation began
        self._generation: int | None = None  # of the response whose turn has not ended
        self._ended = False  # all of that response has been passed on
        self._paused = False  # it waits for a tool: what it says then is a response of its own
        self._stale = False  # it was interrupted: the next end of a turn is its own
        self._asked_again = False  # the answer that is owed, or was given last, was asked for more than once
        self._ours_until = -math.inf  # an interruption that comes before this is our doing: we spoke last

    # --- what we do --------------------------------------------------------------------------------------------

    def opened(self) -> None:
        """The caller begins, or an instruction goes up: the service interrupts what is running."""
        self._ours_until = math.inf

    def asked(self) -> None:
        """Something new was asked: what comes from now on is heard."""
        self._heard = _Heard.YES
        self._asked_again = False

    def asking_again(self) -> None:
        """The same is being asked once more."""
        self._heard = _Heard.NOT_WHILE_ASKING
        self._asked_again = True
        self._ours_until = math.inf

    def asked_again(self, now: float) -> None:
        """It has been: what comes from now on is heard. Call before the last message of it goes up."""
        self._heard = _Heard.YES
        self._ours_until = now + _LATE_S

    # --- what the model does -----------------------------------------------------------------------------------

    @property
    def is_heard(self) -> bool:
        """Whether sound that comes now is passed on."""
        return self._heard is _Heard.YES

    @property
    def is_second(self) -> bool:
        """Whether what comes now is an answer that has been given already."""
        return self._heard is _Heard.NOT_TWICE

    @property
    def begins(self) -> bool:
        """Whether sound that comes now begins a response."""
        return self._generation is None or self._ended

    @property
    def answers(self) -> bool:
        """Whether the end of a turn that comes now is that of what was asked for."""
        return not self._stale and self._heard not in {_Heard.NOT_WHILE_ASKING, _Heard.NOT_TWICE}

    def is_interrupted_by_us(self, now: float) -> bool:
        """Whether an interruption that comes now is our doing."""
        return now <= self._ours_until

    def is_first_try(self, now: float) -> bool:
        """Whether an interruption that comes now is that of a first try, because the same was asked once more."""
        return self._asked_again and now <= self._ours_until

    async def sound(self, audio: AudioDelta, now: float) -> None:
        """More sound, where ``is_heard``. A late piece after the end is a response of its own: it is heard."""
        if self._generation is None or self._ended:
            self._generation = self._next_generation()
            self._places.append((self._generation, audio.at_ms))
            self._ended = self._paused = self._stale = False
            if not self._asked_again:  # else it may be the first try's, and be interrupted in a moment
                self._ours_until = -math.inf
            await pass_on(self._inbox, ResponseStarted(self._generation, now))
        await pass_on(self._playout, PlayAudio(self._generation, audio.mulaw))

    def placed(self, heard: ReportHeard) -> ReportHeard:
        """The same, with where the stream said that it began; without, where it is of another session."""
        return replace(
            heard, at_ms=next((at for generation, at in self._places if generation == heard.generation), None)
        )

    async def text(self, delta: str) -> None:
        """More text, where ``is_heard``."""
        await pass_on(self._inbox, AgentTranscript(None if self._paused else self._generation, delta))

    async def pause(self) -> None:
        """A tool is called. The caller may hear a filler: what comes after must not belong to what came before."""
        await self.end_utterance()
        self._paused = self._generation is not None

    async def end_utterance(self) -> None:
        """Nothing more of this generation."""
        if self._generation is not None and not self._ended:
            self._ended = True
            await pass_on(self._playout, EndUtterance(self._generation))

    async def turn_complete(self, reason: str) -> None:
        """The model's turn is over."""
        stale, self._stale = self._stale, False
        if self._heard in {_Heard.NOT_WHILE_ASKING, _Heard.NOT_TWICE}:
            return
        generation, self._generation, ended = self._generation, None, self._ended
        again = self._asked_again and generation is not None and not stale
        self._heard = _Heard.NOT_TWICE if again else _Heard.YES
        self._ended = self._paused = False
        if generation is not None and not ended:
            await pass_on(self._playout, EndUtterance(generation))
        # One interrupted before its first sound ended with that; of one that is asked for again, more is to come.
        if not stale or (generation is not None and not self._asked_again):
            await pass_on(self._inbox, ResponseFinished(generation, reason))

    async def interrupted(self, now: float) -> None:
        """The provider says that it stopped the running response.

        Sound of a first try that was taken for the answer is taken back: the answer comes after it.
        """
        first_try = self.is_first_try(now)
        self._ours_until = -math.inf
        self._stale = True
        if not self.is_heard:
            return
        if first_try and self._generation is None:
            return  # nobody heard of it, and what comes now is the answer
        self._heard = _Heard.NOT_AFTER_INTERRUPTION
        await self.end_utterance()
        if first_try and self._generation is not None:
            await pass_on(self._playout, CutPlayout(self._generation, Cut.NOW))
        await pass_on(self._inbox, ResponseInterrupted(self._generation))
