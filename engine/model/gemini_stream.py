"""One open Gemini Live session: the client says where a turn begins and ends, and that is what grounds every answer.

With manual activity detection the service answers on ``activityEnd`` and on nothing else, so a turn goes up as
``activityStart``, sound, then the notes as text *inside* the open activity, and ``activityEnd`` last. Text that came
later would be about the next turn; text outside an activity would be a turn of its own.
"""

import json
import secrets
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

import trio

from engine.audio import g711
from engine.errors import MisuseError, ModelClosed, ModelProtocolFault
from engine.messages import CallerAudio, CommitTurn, Notes, ReportHeard, Speak, ToolResult
from engine.model.ahead import Ahead
from engine.model.gemini_events import Downlink, joined
from engine.model.gemini_sound import CallerSound
from engine.model.provider import AudioDelta, Interrupted, Nonsense, StreamEvent
from engine.model.reading import Reading
from engine.model.setup import notes_text
from engine.model.stream import ModelSocket
from engine.wire import gemini_live as codec
from engine.wire.gemini_live_events import CallsCancelled, Event

# Close codes by which the service refuses what we sent (1007: an argument or the context; 1008: an unknown model,
# handle or call): the same again cannot help, a fresh session may.
UNRESUMABLE = frozenset({1007, 1008})


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """Counts of one stream. ``windows_outside_turn``: not sent, since the service ignores sound outside a turn."""

    windows: int
    windows_outside_turn: int
    messages: int
    nonsense: int


class GeminiStream:
    """One open session; made by ``GeminiLiveProvider.open_stream``, used by one session actor."""

    def __init__(self, socket: ModelSocket, tenant_id: str, *, input_hz: int = g711.SAMPLE_RATE_HZ) -> None:
        self._socket = socket
        self._tenant_id = tenant_id
        self._turn_open = False
        self._downlink = Downlink()
        self._ready: deque[StreamEvent] = deque()
        self._end: ModelClosed | None = None  # to be told after what is ready
        self._ahead = Ahead()
        self._pause = trio.CancelScope()  # of the reader, while enough is ahead
        self._sound = CallerSound(input_hz)
        self._cancelled: set[str] = set()
        self._late: list[str] = []  # results that the model no longer waited for
        self._windows = self._outside = self._messages = self._nonsense = 0

    async def open_turn(self) -> None:
        """The caller began; a running response is interrupted by it."""
        self._open("a turn")
        self._sound.reset()
        self._downlink.turn_opened()
        await self._socket.send(codec.activity_start())

    async def send_audio(self, window: CallerAudio) -> None:
        """A window of the open turn; one that comes while none is open is counted and dropped."""
        if not self._turn_open:
            self._outside += 1
            return
        self._windows += 1
        if window.mulaw:
            await self._socket.send(self._sound.message(window.mulaw))

    def send_audio_now(self, window: CallerAudio) -> bool:
        """See ``ModelStream``; of an open turn only."""
        if not self._turn_open or not window.mulaw or not self._socket.can_send_now:
            return False
        self._windows += 1
        self._socket.send_now(self._sound.message(window.mulaw))
        return True

    async def commit_turn(self, commit: CommitTurn) -> None:
        """Notes, then the end of the activity.

        Raises:
            MisuseError: no turn is open, or the outcome holds another tenant's passages.
        """
        for message in self._commitment(commit):
            await self._socket.send(message)

    def commit_turn_now(self, commit: CommitTurn) -> bool:
        """See ``ModelStream``."""
        if not self._socket.can_send_now:
            return False
        self._socket.send_now(*self._commitment(commit))
        return True

    def _commitment(self, commit: CommitTurn) -> list[bytes]:
        """End the turn, and what says so."""
        outcome = commit.outcome
        if not self._turn_open:
            raise MisuseError(f"turn {commit.turn_id} is committed but none is open")
        if isinstance(outcome, Notes) and any(note.tenant_id != self._tenant_id for note in outcome.passages):
            raise MisuseError("a passage of another tenant reached a model session")
        texts = (*self._late, notes_text(outcome, secrets.token_hex(4)))
        self._late.clear()
        self._downlink.turn_committed()
        self._turn_open = False
        return [*(codec.text_message(text) for text in texts if text is not None), codec.activity_end()]

    async def speak(self, speak: Speak) -> None:
        """A turn of text alone, which the model answers by speaking."""
        self._open("an instruction to speak")
        await self._socket.send(codec.activity_start())
        await self._socket.send(codec.text_message(speak.instruction))
        self._turn_open = False
        await self._socket.send(codec.activity_end())

    async def send_tool_result(self, result: ToolResult) -> None:
        """Answer a call. For a cancelled one nobody waits: what came of it is told along with the next turn."""
        if result.call_id in self._cancelled:
            self._cancelled.discard(result.call_id)
            said = json.dumps(dict(result.response), ensure_ascii=False, default=str)
            self._late.append(f"[result of the tool {result.name}, called before the caller spoke again] {said}")
            return
        await self._socket.send(codec.tool_response(result.call_id, result.name, result.response))

    async def report_heard(self, heard: ReportHeard) -> None:  # noqa: ARG002
        """Nothing: this service cannot be told; it remembers all that it sent."""
        await trio.lowlevel.checkpoint()

    def events(self) -> AsyncIterator[StreamEvent]:
        """What comes back, until ``ModelClosed`` (or what else ``ModelSocket.receive`` raises)."""
        return Reading(self._next)

    def statistics(self) -> StreamStatistics:
        """A snapshot."""
        return StreamStatistics(self._windows, self._outside, self._messages, self._nonsense)

    def _open(self, what: str) -> None:
        if self._turn_open:
            raise MisuseError(f"{what} begins while a turn is open")
        self._turn_open = True
        self._ahead.stopped()
        self._pause.cancel()

    async def _next(self) -> StreamEvent:
        while not self._ready:
            if self._end is not None:
                raise self._end
            if not self._turn_open and (pause_s := self._ahead.pause_s(trio.current_time())):
                await self._rest(pause_s)
            await self._receive()
        return self._ready.popleft()

    async def _rest(self, seconds: float) -> None:
        """Let more come, unless a turn opens meanwhile; then read it without a second wait."""
        if self._socket.can_take_in:
            with trio.CancelScope(deadline=trio.current_time() + seconds) as self._pause:
                await trio.sleep_forever()
            self._socket.take_in()

    async def _receive(self) -> None:
        """Queue the events of the next messages; a message that cannot be used is one ``Nonsense``."""
        try:
            messages = [await self._socket.receive(), *self._socket.waiting()]
        except ModelClosed as closed:
            raise ModelClosed(str(closed), code=closed.code, resumable=closed.code not in UNRESUMABLE) from closed
        self._messages += len(messages)
        said: list[Event | Nonsense] = []
        for message in messages:
            try:
                said.extend(codec.decode(message))
            except ModelProtocolFault as fault:
                self._nonsense += 1
                said.append(Nonsense(str(fault)))
        try:
            for event in said if len(said) == 1 else joined(said):
                self._take(event)
        except ModelClosed as closed:
            self._end = closed

    def _take(self, event: Event | Nonsense) -> None:
        if isinstance(event, Nonsense):
            self._ready.append(event)
            return
        if isinstance(event, CallsCancelled):
            self._cancelled.update(event.call_ids)
        for told in self._downlink.take(event):
            if isinstance(told, AudioDelta):
                self._ahead.sound(len(told.mulaw) / g711.SAMPLE_RATE_HZ, trio.current_time())
            elif isinstance(told, Interrupted):
                self._ahead.stopped()
            self._ready.append(told)
