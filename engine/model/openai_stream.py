"""One open OpenAI Realtime session: the service detects speech, and every answer is asked for.

A turn goes up as sound; then, at the commit, what the service has not taken for an item by itself becomes one, the
notes follow as an item of their own, and a response is asked for. Commands and the reader put what they decide into
one outbox in the order in which they decide it, and whoever put something there sees it sent.
"""

import itertools
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import trio

from engine.errors import MisuseError, ModelProtocolFault
from engine.log import get_logger
from engine.messages import (
    CallerAudio,
    CommitTurn,
    Notes,
    ReportHeard,
    Speak,
    ToolCallsCancelled,
    ToolResult,
)
from engine.model.openai_errors import BENIGN, name_of
from engine.model.openai_events import Downlink
from engine.model.openai_responses import Responses
from engine.model.openai_said import Said, Shorten
from engine.model.openai_setup import modalities
from engine.model.openai_words import CallerWords
from engine.model.provider import Nonsense, StreamEvent
from engine.model.reading import Reading
from engine.model.setup import notes_text
from engine.model.stream import ModelSocket
from engine.wire import openai_realtime as codec
from engine.wire import openai_realtime_events as wire

SAY_THE_REST: Final = (
    "The caller could not hear the end of what you wrote. "
    "Say exactly these words now, and nothing before or after them:"
)

log = get_logger("model.openai")


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """Counts of one stream. ``windows_outside_turn``: not sent; ``errors``: survived, by the service's codes."""

    windows: int
    windows_outside_turn: int
    messages: int
    nonsense: int
    errors: dict[str, int]


class OpenAIStream:
    """One open session; made by ``OpenAIRealtimeProvider.open_stream``, used by one session actor."""

    def __init__(self, socket: ModelSocket, tenant_id: str) -> None:
        self._socket = socket
        self._tenant_id = tenant_id
        self._turn_open = False
        self._turn_id = 0  # of what was asked last
        self._outbox: deque[bytes] = deque()
        self._sending = trio.Lock()
        self._numbers = itertools.count(1)
        self._responses = Responses(self._outbox)
        self._said = Said()
        self._words = CallerWords()
        self._downlink = Downlink(self._outbox, self._responses, self._said, self._words)
        self._ready: deque[StreamEvent] = deque()
        self._windows = self._outside = self._messages = self._nonsense = 0

    async def open_turn(self) -> None:
        """The caller began: a running response is stopped, and no result of a tool is waited for any more."""
        if self._turn_open:
            raise MisuseError("a turn begins while a turn is open")
        self._turn_open = True
        self._words.turn_opened()
        self._responses.stop()
        if given_up := self._responses.give_up_calls():
            # Told with what the service says next. That is in time: nothing is owed before this turn is committed.
            self._ready.append(ToolCallsCancelled(given_up))
        await self._send()

    async def send_audio(self, window: CallerAudio) -> None:
        """A window of the open turn; one that comes while none is open is counted and dropped."""
        if not self._turn_open:
            self._outside += 1
            return
        self._windows += 1
        if window.mulaw:
            self._words.sound_sent()
            await self._send(codec.append(window.mulaw))

    def send_audio_now(self, window: CallerAudio) -> bool:  # noqa: ARG002
        """See ``ModelStream``: never."""
        return False

    async def commit_turn(self, commit: CommitTurn) -> None:
        """Notes, then the request for a response.

        Raises:
            MisuseError: no turn is open, or the outcome holds another tenant's passages.
        """
        outcome = commit.outcome
        if not self._turn_open:
            raise MisuseError(f"turn {commit.turn_id} is committed but none is open")
        if isinstance(outcome, Notes) and any(note.tenant_id != self._tenant_id for note in outcome.passages):
            raise MisuseError("a passage of another tenant reached a model session")
        self._turn_open = False
        if self._words.to_be_taken:
            self._outbox.append(codec.commit(event_id=self._new_id("commit")))
        await self._ask(commit.turn_id, notes_text(outcome, secrets.token_hex(4)))

    def commit_turn_now(self, commit: CommitTurn) -> bool:  # noqa: ARG002
        """See ``ModelStream``: never."""
        return False

    async def speak(self, speak: Speak) -> None:
        """An instruction that the caller does not hear, then the request for a response; stops a running one."""
        if self._turn_open:
            raise MisuseError("an instruction to speak begins while a turn is open")
        self._responses.stop()
        await self._ask(speak.turn_id, speak.instruction)

    async def send_tool_result(self, result: ToolResult) -> None:
        """Answer a call; with the last of its response the model goes on, unless the caller has spoken since."""
        said = json.dumps(dict(result.response), ensure_ascii=False, default=str)
        if self._responses.is_known(result.call_id):
            output = codec.tool_output(result.call_id, said, event_id=self._new_id("output"))
            self._outbox.append(output)
            self._responses.answered(result.call_id)
        else:
            self._tell(f"[result of the tool {result.name}, called earlier] {said}")
        await self._send()

    async def report_heard(self, heard: ReportHeard) -> None:
        """Take what nobody heard out of the conversation."""
        for mend in self._said.cut(heard.at_ms, heard.heard_ms):
            event_id = self._new_id("heard")
            if isinstance(mend, Shorten):
                self._outbox.append(codec.truncate(mend.item_id, mend.heard_ms, event_id=event_id))
            else:
                self._outbox.append(codec.delete(mend.item_id, event_id=event_id))
        await self._send()

    async def heard_only(self, text: str) -> None:
        """See ``WritingStream``: the last response's items are replaced, at their place, by one of what was heard."""
        written = self._said.take_written()
        if written and text:
            self._outbox.append(codec.message_item("assistant", text, item_id=self._new_id("heard"), after=written[-1]))
        for item_id in written:
            self._outbox.append(codec.delete(item_id, event_id=self._new_id("delete")))
        await self._send()

    async def speak_yourself(self, unsaid: str) -> None:
        """See ``WritingStream``: a response still being written is stopped, and given again as sound."""
        self._outbox.append(codec.session_update({"output_modalities": modalities("audio")}))
        was_writing = self._responses.stop(quietly=True)
        if unsaid:
            await self._ask(self._turn_id, f'{SAY_THE_REST} "{unsaid}"')
        elif was_writing:
            await self._ask(self._turn_id, None)
        else:
            await self._send()

    def events(self) -> AsyncIterator[StreamEvent]:
        """What comes back, until ``ModelClosed`` (or what else ``ModelSocket.receive`` raises)."""
        return Reading(self._next)

    def statistics(self) -> StreamStatistics:
        """A snapshot."""
        return StreamStatistics(
            self._windows, self._outside, self._messages, self._nonsense, dict(self._downlink.errors)
        )

    async def _ask(self, turn_id: int, told: str | None) -> None:
        """Tell the model something, if there is something, and ask for a response."""
        self._turn_id = turn_id
        self._downlink.asking([] if told is None else [self._tell(told)])
        self._responses.want(turn_id)
        await self._send()

    def _tell(self, text: str) -> str:
        item_id = self._new_id("told")
        self._outbox.append(codec.message_item("system", text, item_id=item_id))
        return item_id

    def _new_id(self, what: str) -> str:
        return f"{what}_{next(self._numbers)}"

    async def _send(self, message: bytes | None = None) -> None:
        """Empty the outbox in order. What another task is sending for us meanwhile, we wait for."""
        if message is not None:
            self._outbox.append(message)
        async with self._sending:
            while self._outbox:
                await self._socket.send(self._outbox.popleft())

    async def _next(self) -> StreamEvent:
        while not self._ready:
            await self._receive()
        return self._ready.popleft()

    async def _receive(self) -> None:
        """Queue the next message's events; a message that cannot be used is one ``Nonsense``."""
        message = await self._socket.receive()
        self._messages += 1
        try:
            event = codec.decode(message)
        except ModelProtocolFault as fault:
            self._nonsense += 1
            self._ready.append(Nonsense(str(fault)))
            return
        if event is None:
            return
        if isinstance(event, wire.ErrorSaid):
            self._log_once(event.error)
        self._ready.extend(self._downlink.take(event))
        if self._outbox:
            await self._send()

    def _log_once(self, error: wire.ErrorDetail) -> None:
        name = name_of(error)
        if name not in BENIGN and name not in self._downlink.errors:
            log.warning("the model's service complains", code=name, detail=(error.message or "")[:200])
