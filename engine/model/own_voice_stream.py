"""One session of a model that writes and a voice that says it (``own_voice_duet``), as one ``ModelStream``.

Two tasks feed the duet: one reads the model, one runs the voice. What the session asks for is passed to the model; what
has to be said to the model because the voice was lost goes the same way, each whole.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import trio

from engine.errors import ModelClosed, ModelLost
from engine.log import get_logger
from engine.messages import CallerAudio, CommitTurn, ReportHeard, Speak, ToolResult
from engine.model.elevenlabs_synthesis import Synthesis
from engine.model.own_voice_duet import Duet, stale
from engine.model.provider import AudioDelta, StreamEvent, WritingStream
from engine.model.reading import Reading
from engine.model.stream import ABNORMAL

log = get_logger("model.own_voice")


class OwnVoiceStream:
    """One open session; made by ``OwnVoiceProvider.open_stream``, used by one session actor."""

    def __init__(self, on_lost: Callable[[str], None]) -> None:
        self._on_lost = on_lost
        self._inner: WritingStream | None = None
        self._duet = Duet(self._tell)
        self._settled = trio.Event()  # the voice is connected, or will not be
        self._commands = trio.Lock()
        self._ready: deque[StreamEvent] = deque()
        self._news = trio.Event()
        self._end: ModelLost | None = None

    # --- what the session says --------------------------------------------------------------------------------------

    async def open_turn(self) -> None:
        """See ``ModelStream``."""
        async with self._commands:
            unheard = await self._break_off()
            self._duet.response.is_callers_turn = True
            await self._model.open_turn()
            if unheard:
                await self._model.heard_only("")

    async def send_audio(self, window: CallerAudio) -> None:
        """See ``ModelStream``."""
        await self._model.send_audio(window)

    def send_audio_now(self, window: CallerAudio) -> bool:
        """See ``ModelStream``."""
        return self._model.send_audio_now(window)

    async def commit_turn(self, commit: CommitTurn) -> None:
        """See ``ModelStream``."""
        async with self._commands:
            await self._speak_itself()
            self._duet.response.asked()
            await self._model.commit_turn(commit)

    def commit_turn_now(self, commit: CommitTurn) -> bool:  # noqa: ARG002
        """See ``ModelStream``: never."""
        return False

    async def speak(self, speak: Speak) -> None:
        """See ``ModelStream``."""
        async with self._commands:
            await self._break_off()
            self._duet.response.asked()
            await self._model.speak(speak)

    async def send_tool_result(self, result: ToolResult) -> None:
        """See ``ModelStream``."""
        async with self._commands:
            self._duet.response.goes_on()
            await self._model.send_tool_result(result)

    async def report_heard(self, heard: ReportHeard) -> None:
        """Tell the model which words were heard, by what the voice said when."""
        async with self._commands:
            if heard.at_ms is None:
                await trio.lowlevel.checkpoint()
                return
            until_ms, own_ms = heard.at_ms + max(0.0, heard.heard_ms), self._duet.response.tape_ms
            if heard.at_ms < own_ms:
                words = self._duet.response.heard_until(min(until_ms, own_ms))
                if words is not None:
                    await self._model.heard_only(words)
            if self._duet.speaks_itself:
                began_ms = max(0.0, heard.at_ms - own_ms)
                await self._model.report_heard(
                    ReportHeard(heard.generation, max(0.0, until_ms - own_ms - began_ms), began_ms)
                )

    def events(self) -> AsyncIterator[StreamEvent]:
        """What comes of both, until the model is lost; that the voice is lost is no end."""
        return Reading(self._next)

    async def _next(self) -> StreamEvent:
        while not self._ready:
            if self._end is not None:
                raise self._end
            self._news = trio.Event()
            await self._news.wait()
        event = self._ready.popleft()
        if isinstance(event, AudioDelta):
            self._duet.response.sounds = True
        return event

    async def _break_off(self) -> bool:
        """With the lock held: see ``Duet.break_off``."""
        await self._speak_itself()
        self._ready = deque(event for event in self._ready if not stale(event))
        return self._duet.break_off()

    # --- the model --------------------------------------------------------------------------------------------------

    async def write_with(self, inner: WritingStream) -> None:
        """Begin: the model's session is open. Returns when the voice is connected, or has been given up."""
        self._inner = inner
        await self._settled.wait()
        async with self._commands:
            await self._say_rest()

    async def listen(self) -> None:
        """Take what the model does, until it is lost."""
        try:
            async for event in self._model.events():
                self._duet.take(event)
                if self._duet.lacks_voice:
                    async with self._commands:
                        await self._say_rest()
            self._ended(ModelClosed("the model's events just stopped", code=ABNORMAL))
        except ModelLost as lost:
            self._ended(lost)

    def _tell(self, event: StreamEvent) -> None:
        self._ready.append(event)
        self._news.set()

    def _ended(self, lost: ModelLost) -> None:
        self._end = self._end or lost
        self._news.set()

    @property
    def _model(self) -> WritingStream:
        assert self._inner is not None, "a stream is handed out when the model's session is open"
        return self._inner

    # --- the voice --------------------------------------------------------------------------------------------------

    async def speak_with(self, opening: AbstractAsyncContextManager[Synthesis]) -> None:
        """Connect to the voice and let it speak until it is lost."""
        try:
            async with opening as synthesis:
                self._duet.voice_ready(synthesis)
                self._settled.set()
                try:
                    await synthesis.run(self._duet.spoken)
                except ModelLost as lost:
                    await self._on_voice_lost(lost)  # before the connection is closed, which may take its time
        except ModelLost as lost:
            await self._on_voice_lost(lost)

    async def _on_voice_lost(self, lost: ModelLost) -> None:
        log.warning("a tenant's own voice was lost", kind=lost.kind, detail=str(lost), saying=self._duet.is_saying)
        self._on_lost(lost.kind)
        self._duet.voice_lost()
        self._settled.set()
        if self._inner is None:
            return
        try:
            async with self._commands:
                await self._say_rest()
        except ModelLost as gone:
            self._ended(gone)

    async def _say_rest(self) -> None:
        """With the lock held: where the voice is lost, let the model speak as soon as it has written what is to say."""
        if self._duet.lacks_voice and (rest := self._duet.rest()) is not None:
            await self._speak_itself(rest)

    async def _speak_itself(self, rest: str = "") -> None:
        """With the lock held: where the voice is lost, the model speaks from here on, beginning with this."""
        if self._duet.lacks_voice:
            self._duet.model_speaks()
            await self._model.speak_yourself(rest)
            self._duet.go_on()
