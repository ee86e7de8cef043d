"""What the tasks of a model session do: up what the call says, down what the model says, and a watchdog.

Theory of operation.  Three tasks share one ``SessionTasks``.  *Up* takes turn commands and windows in order.  *Down*
reads the stream without pause and hands on what it says.  *Watch* sleeps until the next instant at which something is
due about what the model owes (``liveness``): company for the caller, asking once more, giving the model up.  Whoever
makes a debt earlier than that moves its deadline instead of waking it.

What the model says passes through ``voice``, what it was asked is kept by ``replay``, how much it may say is bounded
by ``runaway``.
"""

from collections.abc import AsyncGenerator, Callable
from math import inf

import trio

from engine.errors import MisuseError, ModelClosed
from engine.messages import (
    CallerAudio,
    CallerTranscript,
    CommitTurn,
    FloorEvent,
    OpenTurn,
    ReportHeard,
    Speak,
    ToolCallRequested,
    ToolCallsCancelled,
    ToolResult,
    TurnReplayed,
    Uplink,
)
from engine.model.liveness import Liveness, Slow
from engine.model.losses import stop_if, stop_if_lost
from engine.model.passing import pass_on
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    Interrupted,
    ModelStream,
    Nonsense,
    StreamEvent,
    TextDelta,
    TranscriptDelta,
    TurnComplete,
)
from engine.model.replay import AskInWriting, AskWithAudio, OwedTurn
from engine.model.runaway import Bounds
from engine.model.stream import ABNORMAL
from engine.model.voice import Voice


class SessionTasks:
    """What the three tasks share."""

    def __init__(
        self,
        stream: ModelStream,
        inbox: trio.MemorySendChannel[FloorEvent],
        voice: Voice,
        liveness: Liveness,
        on_slow: Callable[[], None] | None,
    ) -> None:
        self._stream = stream
        self._inbox = inbox
        self._voice = voice
        self._liveness = liveness
        self._on_slow = on_slow
        self._owed = OwedTurn()
        self._bounds = Bounds()
        self._turn_id: int | None = None  # the caller's open turn
        self._calls: set[str] = set()  # every tool call of this session
        self._commands = trio.Lock()  # what the call says, and what is asked again, each whole
        self._nap = trio.CancelScope()
        self._wait = 0.0  # since when; what was done about it:
        self._company = self._asks = 0

    # --- up ----------------------------------------------------------------------------------------------------

    def take(self, message: Uplink) -> bool:
        """What belongs to an open turn, if the stream takes it at once; while ``up`` has nothing to do."""
        if self._turn_id is None:
            return False
        if isinstance(message, CallerAudio):
            if not self._stream.send_audio_now(message):
                return False
            self._owed.window(message)
            return True
        if not isinstance(message, CommitTurn) or message.turn_id != self._turn_id or self._commands.locked():
            return False
        if not self._stream.commit_turn_now(message):
            return False
        self._committed(message)
        return True

    async def up(self, uplink: trio.MemoryReceiveChannel[Uplink]) -> None:
        """Pass on what the call says, until it closes its end."""
        async for message in uplink:
            if isinstance(message, CallerAudio) and self._turn_id is not None:
                self._owed.window(message)
                await self._stream.send_audio(message)  # nothing is asked again while a turn is open
            else:
                async with self._commands:
                    await self._command(message)

    async def _command(self, message: Uplink) -> None:
        # What changes is noted before sending: the answer may be read before the task that sent runs again.
        match message:
            case CallerAudio():
                await self._stream.send_audio(message)
            case OpenTurn(turn_id):
                self._turn_id = turn_id
                self._owed.opened(turn_id)
                self._liveness.turn_opened()
                self._voice.opened()
                await self._stream.open_turn()
            case CommitTurn(turn_id=turn_id):
                if turn_id != self._turn_id:
                    raise MisuseError(f"turn {turn_id} is committed while {self._turn_id} is open")
                self._committed(message)
                await self._stream.commit_turn(message)
            case Speak():
                self._owed.spoke(message)
                self._voice.opened()
                self._asked()
                await self._stream.speak(message)
            case ToolResult():
                if self._liveness.tool_answered(message.call_id, trio.current_time()):
                    self._owed.told(message)
                self._plan()
                await self._stream.send_tool_result(message)
            case ReportHeard():
                await self._stream.report_heard(self._voice.placed(message))

    def _committed(self, commit: CommitTurn) -> None:
        self._turn_id = None
        self._owed.committed(commit)
        self._asked()

    def _asked(self) -> None:
        self._voice.asked()
        self._bounds.asked()
        self._liveness.committed(trio.current_time())
        self._plan()

    # --- down --------------------------------------------------------------------------------------------------

    async def down(self) -> None:
        """Pass on what the model says, until the stream raises."""
        events = self._stream.events()
        try:
            async for event in events:
                await self._on_event(event)
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()
        raise ModelClosed("the model's events just stopped", code=ABNORMAL)

    async def _on_event(self, event: StreamEvent) -> None:
        match event:
            case AudioDelta():
                await self._on_audio(event)
            case TranscriptDelta(delta):
                if self._voice.is_heard:
                    stop_if(self._bounds.text(delta))
                    await self._voice.text(delta)
            case GenerationComplete():
                self._liveness.generation_complete()
                await self._voice.end_utterance()
            case TurnComplete(reason):
                if self._voice.answers:
                    self._liveness.turn_complete()
                    self._owed.paid()
                await self._voice.turn_complete(reason)
            case Interrupted():
                await self._on_interrupted(trio.current_time())
            case TextDelta():
                raise MisuseError("a session in writing has no voice beside it")
            case Nonsense():
                self._liveness.nonsense(trio.current_time())
                stop_if_lost(self._liveness.verdict(trio.current_time()))
            case ToolCallRequested():
                await self._on_tool_call(event)
            case _:
                if isinstance(event, ToolCallsCancelled):
                    self._liveness.tools_cancelled(event.call_ids)
                    self._plan()
                elif isinstance(event, CallerTranscript):
                    self._owed.understood(event.text)
                await pass_on(self._inbox, event)

    async def _on_audio(self, audio: AudioDelta) -> None:
        if not audio.mulaw or not self._voice.is_heard:
            return
        now = trio.current_time()
        self._liveness.sound(now)
        stop_if(self._bounds.sound(audio.mulaw))
        if self._voice.begins:
            self._owed.paid()
            self._plan()
        await self._voice.sound(audio, now)

    async def _on_interrupted(self, now: float) -> None:
        by_us = self._turn_id is not None or self._voice.is_interrupted_by_us(now)
        broken_off = not by_us and self._voice.is_heard and self._liveness.owes_rest
        self._liveness.interrupted()
        if broken_off:
            self._liveness.broken_off(now)
            self._owed.broken_off()
        elif self._voice.is_first_try(now) and not self._liveness.owes_answer:
            self._liveness.committed(now)  # what seemed to be the answer was not: that one is still to come
        await self._voice.interrupted(now)
        self._plan()

    async def _on_tool_call(self, call: ToolCallRequested) -> None:
        if call.call_id in self._calls:
            return  # said twice: it is being done, and answered, once
        self._calls.add(call.call_id)
        stop_if(self._bounds.call())
        if not self._voice.is_second:  # else nothing waits for it but the model; the ledger knows that it was done
            self._liveness.tool_pending(call.call_id)
            self._owed.paid()
            await self._voice.pause()
        await pass_on(self._inbox, call)

    # --- watch -------------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Keep the caller company and ask the model again as it becomes due; raise when the model is lost."""
        while True:
            await self._judge()
            with trio.CancelScope() as self._nap:
                self._plan()
                await trio.sleep_forever()

    def _plan(self) -> None:
        """Let the watchdog wake when the verdict could change; a debt paid meanwhile makes it wake once for nothing."""
        deadline = self._liveness.next_deadline(trio.current_time())
        self._nap.deadline = inf if deadline is None else deadline

    async def _judge(self) -> None:
        verdict = self._liveness.verdict(trio.current_time())
        stop_if_lost(verdict)
        if not isinstance(verdict, Slow):
            return
        if verdict.since != self._wait:
            self._wait, self._company, self._asks = verdict.since, 0, 0
        if verdict.company > self._company:
            self._company = verdict.company
            await self._voice.pause()  # a response that hangs goes on, if it does, after what the caller hears now
            if self._on_slow is not None:
                self._on_slow()
        if verdict.asks > self._asks:
            self._asks = verdict.asks
            async with self._commands:
                # While it was waited for, the answer may have begun, or the caller.
                if self._liveness.owes_answer and isinstance(self._liveness.verdict(trio.current_time()), Slow):
                    await self._ask_again()

    async def _ask_again(self) -> None:
        match self._owed.next_try():
            case AskWithAudio(windows, commit):
                self._voice.asking_again()
                await self._stream.open_turn()
                for window in windows:
                    await self._stream.send_audio(window)
                self._voice.asked_again(trio.current_time())
                await self._stream.commit_turn(commit)
                await pass_on(self._inbox, TurnReplayed(commit.turn_id, "audio"))
            case AskInWriting(speak, how):
                self._voice.asking_again()
                self._voice.asked_again(trio.current_time())
                await self._stream.speak(speak)
                await pass_on(self._inbox, TurnReplayed(speak.turn_id, how))
