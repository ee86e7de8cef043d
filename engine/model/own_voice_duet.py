"""PURE: a model that writes and a voice that says it, in step.

What the model does is taken in its order: text goes to the voice; what ends or interrupts a response (its end, a tool
call) waits until the voice has said what was written before it. Everything else passes at once.

| the voice  | text goes                    | the end of a response                                              |
|------------|------------------------------|--------------------------------------------------------------------|
| speaks     | to the voice                 | passes when the voice has said all                                 |
| is lost    | to the rest that is not said | is kept back: the model is told to speak, beginning with that rest |
| is no more | nowhere                      | passes, like the model's own sound                                 |
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol

from engine.messages import ToolCallRequested, ToolCallsCancelled
from engine.model.elevenlabs_utterance import Said, Spoken
from engine.model.own_voice_response import Response
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    Interrupted,
    StreamEvent,
    TextDelta,
    TranscriptDelta,
    TurnComplete,
)

_OF_A_RESPONSE: Final = (AudioDelta, TranscriptDelta, GenerationComplete)


class Mouth(Protocol):
    """What a duet needs of a voice (``Synthesis``); none of it waits."""

    def write(self, delta: str) -> None:
        """More text of the utterance, or the first of a new one."""

    def finish(self) -> None:
        """The utterance has all of its text."""

    def drop(self) -> None:
        """Say no more of it."""

    @property
    def busy(self) -> bool:
        """Something was written that has not been said to its end."""

    @property
    def unsaid(self) -> str:
        """What was written of it and has not come as sound."""


class _Voice(Enum):
    SPEAKS = auto()
    IS_LOST = auto()
    IS_NO_MORE = auto()


class Duet:
    """One session.

    Attributes:
        response: the one that is being said, or was last.

    Args:
        tell: gets what the session is to know, in order; must not block.
    """

    def __init__(self, tell: Callable[[StreamEvent], None]) -> None:
        self.response = Response()
        self._tell = tell
        self._voice = _Voice.SPEAKS
        self._mouth: Mouth | None = None
        self._line: deque[StreamEvent] = deque()  # of the model, in its order: text, and what waits for the voice

    # --- what the model does ----------------------------------------------------------------------------------------

    def take(self, event: StreamEvent) -> None:
        """The model does this."""
        match event:
            case TextDelta(delta):
                if not self.response.is_callers_turn and not self.speaks_itself:
                    self.response.write(delta)
                    self._line.append(event)
            case AudioDelta(mulaw, at_ms):
                self._tell(AudioDelta(mulaw, None if at_ms is None else at_ms + self.response.tape_ms))
            case Interrupted():
                if self.response.interrupted():
                    self._tell(event)  # by us: the voice has stopped already
                else:
                    self._line.append(event)
            case GenerationComplete() | TurnComplete() | ToolCallRequested():
                if isinstance(event, TurnComplete):
                    self.response.ended()
                self._line.append(event)
            case ToolCallsCancelled(call_ids):
                self._line = deque(one for one in self._line if not _is_call(one, call_ids))
                self._tell(event)
            case _:
                self._tell(event)
        self._advance()

    def _advance(self) -> None:
        while self._line and not self.lacks_voice:
            event = self._line[0]
            if isinstance(event, TextDelta):
                if self._mouth is not None and not self.speaks_itself:
                    self._mouth.write(event.delta)
            else:
                if self._mouth is not None and self.is_saying:
                    self._mouth.finish()
                    if self.is_saying:
                        return
                self._tell(event)
            self._line.popleft()

    def break_off(self) -> bool:
        """The response that is being said ends here, if there is one; whether the model is to forget it.

        A call that waited stands: the model asked for it in a response that was complete.
        """
        was_saying = self.is_saying or bool(self._line)
        if self._mouth is not None:
            self._mouth.drop()
        line, self._line = self._line, deque()
        for event in line:
            if isinstance(event, ToolCallRequested):
                self._tell(event)
        if was_saying and not self.response.under_way:  # the model has nothing to stop, so it will not say that it did
            self._tell(Interrupted())
            self._tell(TurnComplete())
        self.response.broken_off()
        return self._voice is _Voice.SPEAKS and self.response.is_unheard

    # --- what the voice does ----------------------------------------------------------------------------------------

    def voice_ready(self, mouth: Mouth) -> None:
        """It is connected."""
        self._mouth = mouth

    def spoken(self, spoken: Spoken) -> None:
        """It says this."""
        if self._voice is not _Voice.SPEAKS:
            return
        if isinstance(spoken, Said):
            self._tell(AudioDelta(spoken.mulaw, self.response.said(spoken.utterance, spoken.mulaw)))
        if spoken.text:
            self._tell(TranscriptDelta(spoken.text))
        if not isinstance(spoken, Said):
            self._advance()

    def voice_lost(self) -> None:
        """It cannot be had, or not any more."""
        self._voice = _Voice.IS_LOST
        if self._mouth is not None:
            self.response.rest = self._mouth.unsaid

    @property
    def is_saying(self) -> bool:
        """The voice has something to say."""
        return self._voice is _Voice.SPEAKS and self._mouth is not None and self._mouth.busy

    @property
    def lacks_voice(self) -> bool:
        """The voice is lost, and the model has not been told."""
        return self._voice is _Voice.IS_LOST

    @property
    def speaks_itself(self) -> bool:
        """The model has been told to speak."""
        return self._voice is _Voice.IS_NO_MORE

    def rest(self) -> str | None:
        """Where the voice is lost: what the model is to say at once; None while it has not written all of that.

        A response is not stopped in order to be said again, since it may have called a tool. Where it does, the rest
        is said with what comes of that.
        """
        while self._line:
            event = self._line[0]
            if isinstance(event, TextDelta):
                self.response.rest += event.delta
            elif isinstance(event, ToolCallRequested):
                self._tell(event)
            elif not self.response.rest.strip():
                return ""
            elif isinstance(event, TurnComplete):
                self._line.popleft()  # that of the rest comes instead
                return " ".join(self.response.rest.split())
            self._line.popleft()
        return "" if not self.response.under_way or self.response.is_blank else None

    def model_speaks(self) -> None:
        """The model is being told to speak."""
        self._voice = _Voice.IS_NO_MORE
        self.response.rest = ""

    def go_on(self) -> None:
        """It has been told: what waited passes."""
        self._advance()


def stale(event: StreamEvent) -> bool:
    """Whether nobody wants this any more once the response is broken off."""
    return isinstance(event, _OF_A_RESPONSE)


def _is_call(event: StreamEvent, call_ids: tuple[str, ...]) -> bool:
    return isinstance(event, ToolCallRequested) and event.call_id in call_ids
