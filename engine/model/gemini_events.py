"""What a Gemini Live server says -> what a stream says to its session. PURE.

Kept between events, and only here: the resampler of the running response, and the caller's words so far, which come
as deltas but are told as the whole text so far.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.errors import MisuseError, ModelClosed
from engine.messages import (
    CallerTranscript,
    ResumeHandle,
    SessionExpiring,
    ToolCallRequested,
    ToolCallsCancelled,
    UsageReported,
)
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    Interrupted,
    Nonsense,
    StreamEvent,
    TranscriptDelta,
    TurnComplete,
)
from engine.wire import gemini_live_events as wire

WAITING_FOR_INPUT = "WAITING_FOR_INPUT"
_INVALID_ARGUMENT = 400  # of an error frame: what we sent is the reason, so sending it again cannot help


def joined(events: Iterable[wire.Event | Nonsense]) -> Iterator[wire.Event | Nonsense]:
    """What was read at once, with all its sound, and all its text, between two other events made one.

    It is resampled, passed on and played out once. Sound goes first: between it and its text no order is promised.
    """
    pieces: list[bytes] = []
    text: list[str] = []
    rate_hz = 0
    for event in events:
        if isinstance(event, wire.ModelAudio) and (not pieces or event.rate_hz == rate_hz):
            pieces.append(event.pcm)
            rate_hz = event.rate_hz
        elif isinstance(event, wire.OutputTranscript):
            text.append(event.text)
        else:
            yield from _whole(pieces, rate_hz, text)
            pieces, text = [], []
            yield event
    yield from _whole(pieces, rate_hz, text)


def _whole(pieces: list[bytes], rate_hz: int, text: list[str]) -> Iterator[wire.Event]:
    if pieces:
        yield wire.ModelAudio(b"".join(pieces), rate_hz)
    if text:
        yield wire.OutputTranscript("".join(text))


class Downlink:
    """One session's events, in order."""

    def __init__(self) -> None:
        self._resampler: Resampler | None = None
        self._rate_hz = 0
        self._sounding = False  # the resampler still holds the end of something
        self._heard = ""  # the caller's words of this turn
        self._told = ""  # the same, as far as told as final
        self._committed = self._answered = False  # this turn: how far it is; what comes late of its words is final
        self._waiting = False  # the end of this turn has been told already

    def turn_opened(self) -> None:
        """The caller has begun anew: words from here on are of the new turn."""
        self._heard = self._told = ""
        self._committed = self._answered = False

    def turn_committed(self) -> None:
        """The next sound answers the caller's words."""
        self._committed = True

    def take(self, event: wire.Event) -> Iterator[StreamEvent]:
        """What this event means; mostly one event, sometimes none or several.

        Raises:
            ModelClosed: the service says that it cannot go on.
        """
        match event:
            case wire.ModelAudio():
                self._waiting = False
                yield from self._all_words()
                yield self._audio(event)
            case wire.OutputTranscript(text):
                yield TranscriptDelta(text)
            case wire.InputTranscript() | wire.InterimTranscript():
                yield self._words(event)
            case wire.GenerationComplete():
                yield from self._tail()
                yield GenerationComplete()
            case wire.TurnComplete() | wire.WaitingForInput():
                yield from self._all_words()
                yield from self._tail()
                yield from self._end(event)
            case wire.Interrupted():
                self._sounding = False
                if self._resampler is not None:
                    self._resampler.reset()
                yield Interrupted()
            case wire.ErrorFrame(code, message):
                raise ModelClosed(f"the service said: {code} {message}", resumable=code != _INVALID_ARGUMENT)
            case _:
                yield from _control(event)

    def _audio(self, audio: wire.ModelAudio) -> StreamEvent:
        if self._resampler is None or audio.rate_hz != self._rate_hz:
            try:
                self._resampler = Resampler(audio.rate_hz, g711.SAMPLE_RATE_HZ)
            except MisuseError as error:
                return Nonsense(str(error))
            self._rate_hz = audio.rate_hz
        self._sounding = True
        return AudioDelta(g711.encode(self._resampler.process(np.frombuffer(audio.pcm, "<i2"))))

    def _tail(self) -> Iterator[StreamEvent]:
        """The last milliseconds of a response, which its filter still holds."""
        if self._sounding and self._resampler is not None:
            yield AudioDelta(g711.encode(self._resampler.flush()))
        self._sounding = False

    def _words(self, event: wire.InputTranscript | wire.InterimTranscript) -> StreamEvent:
        if isinstance(event, wire.InterimTranscript):  # a guess that the next one replaces
            return CallerTranscript((self._heard + event.text).strip(), final=False)
        self._heard += event.text
        final = event.finished or self._answered
        if final:
            self._told = self._heard
        return CallerTranscript(self._heard.strip(), final=final)

    def _all_words(self) -> Iterator[StreamEvent]:
        """The model answers, so it has understood what it will: the service itself rarely says ``finished``."""
        if self._committed and not self._answered:
            self._answered = True
            if self._heard.strip() and self._heard != self._told:
                self._told = self._heard
                yield CallerTranscript(self._heard.strip(), final=True)

    def _end(self, event: wire.TurnComplete | wire.WaitingForInput) -> Iterator[StreamEvent]:
        told, self._waiting = self._waiting, isinstance(event, wire.WaitingForInput)
        if not told:
            yield TurnComplete(WAITING_FOR_INPUT if isinstance(event, wire.WaitingForInput) else event.reason)


def _control(event: wire.Event) -> Iterator[StreamEvent]:
    match event:
        case wire.FunctionCall(call_id, name, arguments):
            yield ToolCallRequested(call_id, name, arguments)
        case wire.CallsCancelled(call_ids):
            yield ToolCallsCancelled(call_ids)
        case wire.GoAway(time_left_s):
            yield SessionExpiring(time_left_s)
        case wire.ResumptionUpdate(handle, resumable=True) if handle:
            yield ResumeHandle(handle)
        case wire.Usage(tokens):
            yield UsageReported(tokens)
        case _:
            pass
