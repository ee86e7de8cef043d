"""The mouth of a local session: events on their way to whoever reads the stream, and what of them was said.

An *answer* is what follows one thing that was asked; its number goes stale when it is interrupted, and whoever was
rendering for it finds out when the rendering is done.
"""

from collections import deque

import trio

from engine.audio import g711
from engine.errors import ModelLost
from engine.messages import CallerTranscript, ReportHeard, ToolCallRequested
from engine.model.local_words import Piece, heard_of, sentences
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    Interrupted,
    StreamEvent,
    TranscriptDelta,
    TurnComplete,
)
from engine.speech.interface import Speech

BETWEEN_SENTENCES = g711.silence(260)  # each is rendered on its own, without the pause that follows it


class Mouth:
    """Says what it is told to, sentence by sentence."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech
        self._ready: deque[StreamEvent] = deque()
        self._readers = trio.lowlevel.ParkingLot()
        self._lost: ModelLost | None = None
        self._answer = 0
        self._running = False  # an answer was begun, and nobody has read its end
        self._end: TurnComplete | None = None  # of the running answer, once it is there
        self._said: list[Piece] = []  # of the last answer
        self._said_ms = 0.0  # of all answers
        self._goes_on = False  # what is said next follows a sentence of the same utterance
        self._sounded = False

    # --- what the session does ---------------------------------------------------------------------------------

    def begin(self) -> int:
        """Something was asked: the number of its answer."""
        self._answer += 1
        self._running, self._end, self._sounded, self._goes_on = True, None, False, False
        self._said.clear()
        return self._answer

    def go_on(self) -> int:
        """More comes of what was asked last: the number of its answer."""
        self._running, self._end = True, None
        return self._answer

    def is_current(self, answer: int) -> bool:
        """Whether anybody still wants it."""
        return answer == self._answer

    async def say(self, answer: int, text: str) -> bool:
        """Render and tell each sentence; False where the answer has gone stale meanwhile.

        Raises:
            ModelLost: it cannot be rendered.
        """
        for sentence in sentences(text):
            sound = await self._speech.say(sentence)
            if answer != self._answer:
                return False
            if not sound:
                continue
            pause, self._goes_on = BETWEEN_SENTENCES if self._goes_on else b"", True
            self._tell(AudioDelta(pause + sound, at_ms=self._said_ms))
            self._tell(TranscriptDelta(f"{sentence} "))
            lasts, pauses = ((len(part)) / g711.BYTES_PER_MS for part in (pause + sound, pause))
            self._said.append(Piece(sentence, self._said_ms, lasts, pauses))
            self._said_ms += self._said[-1].ms
        return True

    def understood(self, text: str, *, final: bool) -> None:
        """Tell what the caller said."""
        self._tell(CallerTranscript(text, final))

    def call(self, call: ToolCallRequested) -> None:
        """Ask for a tool. What is said after it is an utterance of its own."""
        self._tell(call)
        self._goes_on = False

    def finish(self) -> None:
        """The running answer is complete."""
        self._end = TurnComplete()
        self._tell(GenerationComplete())
        self._tell(self._end)

    def interrupt(self) -> bool:
        """Drop what is left of the running answer, if one is running; whether any of it had begun to sound."""
        sounded, self._answer = self._sounded, self._answer + 1
        if self._running:
            dropped = AudioDelta | TranscriptDelta | GenerationComplete
            kept = [one for one in self._ready if not isinstance(one, dropped) and one is not self._end]
            self._ready = deque(kept)
            self._running = False
            self._tell(Interrupted())
            self._tell(TurnComplete())
        return sounded

    def heard(self, report: ReportHeard) -> str:
        """The text of so much of the last answer."""
        return heard_of(self._said, report.at_ms or 0.0, report.heard_ms)

    # --- what the reader does ----------------------------------------------------------------------------------

    @property
    def lost(self) -> ModelLost | None:
        """Why nothing more will come."""
        return self._lost

    def fail(self, lost: ModelLost) -> None:
        """Nothing more will come, but what is there is still read."""
        self._lost = lost
        self._readers.unpark_all()

    async def next(self) -> StreamEvent:
        """What comes next; raises why the session was lost once there is nothing more."""
        while not self._ready:
            if self._lost is not None:
                raise self._lost
            await self._readers.park()
        event = self._ready.popleft()
        self._sounded |= isinstance(event, AudioDelta)
        if event is self._end:
            self._running = False
        return event

    def _tell(self, event: StreamEvent) -> None:
        self._ready.append(event)
        self._readers.unpark_all()
