"""The actor of a model session: uplink messages to the stream, the stream's events to the call, and a watchdog.

Theory of operation.  Three tasks share one ``_Session``.  *Up* takes turn commands and windows in order.  *Down* reads
the stream without pause and hands on what it says; every send of it waits, as its readers always drain.  *Watch*
sleeps until the next instant at which the model would be slow or lost; whoever makes a debt earlier than that moves
its deadline instead of waking it.

A *response* is what the model says under one generation, from its first sound to the end of its turn.  After an
interruption nothing more of it is passed on, and the end of its turn, which may come late, answers for nothing else.
"""

from collections.abc import AsyncGenerator, Callable
from math import inf

import trio

from engine.errors import MisuseError, ModelClosed, ModelGarbled, ModelLost, ModelStalled
from engine.messages import (
    AgentTranscript,
    CallerAudio,
    CommitTurn,
    EndUtterance,
    FloorEvent,
    OpenTurn,
    PlayAudio,
    PlayoutCommand,
    ReportHeard,
    ResponseFinished,
    ResponseInterrupted,
    ResponseStarted,
    Speak,
    ToolCallRequested,
    ToolCallsCancelled,
    ToolResult,
    Uplink,
)
from engine.model.liveness import Liveness, Lost, Slow
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    Interrupted,
    ModelStream,
    Nonsense,
    StreamEvent,
    TranscriptDelta,
    TurnComplete,
)
from engine.model.stream import ABNORMAL


class _Session:
    """What the three tasks share."""

    def __init__(
        self,
        stream: ModelStream,
        inbox: trio.MemorySendChannel[FloorEvent],
        playout: trio.MemorySendChannel[PlayoutCommand],
        next_generation: Callable[[], int],
        liveness: Liveness,
        on_slow: Callable[[], None] | None,
    ) -> None:
        self._stream = stream
        self._inbox = inbox
        self._playout = playout
        self._next_generation = next_generation
        self._liveness = liveness
        self._on_slow = on_slow
        self._slow_told = False
        self._nap = trio.CancelScope()
        self._turn_id: int | None = None  # the caller's open turn
        self._generation: int | None = None  # of the response whose turn has not ended
        self._ended = False  # all of that response has been passed on
        self._paused = False  # it waits for a tool: what it says then is a response of its own
        self._stale = False  # it was interrupted: the next end of a turn is its own
        self._muted = False  # and nothing new has been asked for, so any sound is its own too

    # --- up ----------------------------------------------------------------------------------------------------

    async def up(self, uplink: trio.MemoryReceiveChannel[Uplink]) -> None:
        """Pass on what the call says, until it closes its end."""
        async for message in uplink:
            match message:
                case CallerAudio():
                    await self._stream.send_audio(message)
                case OpenTurn(turn_id):
                    self._turn_id = turn_id
                    self._liveness.turn_opened()
                    await self._stream.open_turn()
                case CommitTurn():
                    await self._commit(message)
                case Speak():
                    self._asked()
                    await self._stream.speak(message)
                case ToolResult():
                    self._liveness.tool_answered(message.call_id, trio.current_time())
                    self._new_wait()
                    await self._stream.send_tool_result(message)
                case ReportHeard():
                    await self._stream.report_heard(message)

    async def _commit(self, commit: CommitTurn) -> None:
        if commit.turn_id != self._turn_id:
            raise MisuseError(f"turn {commit.turn_id} is committed while {self._turn_id} is open")
        self._turn_id = None
        self._asked()
        await self._stream.commit_turn(commit)

    def _asked(self) -> None:
        # Before sending: the answer may be read before the task that sent runs again.
        self._muted = False
        self._liveness.committed(trio.current_time())
        self._new_wait()

    def _new_wait(self) -> None:
        self._slow_told = False
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
            case AudioDelta(mulaw):
                await self._on_audio(mulaw)
            case TranscriptDelta(delta):
                if not self._muted:
                    await self._inbox.send(AgentTranscript(None if self._paused else self._generation, delta))
            case GenerationComplete():
                self._liveness.generation_complete()
                await self._end_utterance()
            case TurnComplete(reason):
                await self._on_turn_complete(reason)
            case Interrupted():
                await self._on_interrupted()
            case Nonsense():
                self._liveness.nonsense(trio.current_time())
                self._judge()
            case _:
                if isinstance(event, ToolCallRequested):
                    self._liveness.tool_pending(event.call_id)
                    # The caller may hear a filler meanwhile: what comes after it must not belong to what came before.
                    await self._end_utterance()
                    self._paused = self._generation is not None
                elif isinstance(event, ToolCallsCancelled):
                    self._liveness.tools_cancelled(event.call_ids)
                await self._inbox.send(event)

    async def _on_audio(self, mulaw: bytes) -> None:
        if self._muted or not mulaw:
            return
        now = trio.current_time()
        self._liveness.sound(now)
        if self._generation is None or self._ended:  # a late piece after the end is a response of its own: it is heard
            self._generation = self._next_generation()
            self._ended = self._paused = self._stale = False
            self._plan()
            await self._inbox.send(ResponseStarted(self._generation, now))
        await self._playout.send(PlayAudio(self._generation, mulaw))

    async def _on_turn_complete(self, reason: str) -> None:
        stale, self._stale, self._muted, self._paused = self._stale, False, False, False
        if not stale:
            self._liveness.turn_complete()
        await self._end_utterance()
        generation, self._generation = self._generation, None
        if generation is not None or not stale:  # one interrupted before its first sound ended with that
            await self._inbox.send(ResponseFinished(generation, reason))

    async def _on_interrupted(self) -> None:
        self._liveness.interrupted()
        self._stale = self._muted = True
        await self._end_utterance()
        await self._inbox.send(ResponseInterrupted(self._generation))

    async def _end_utterance(self) -> None:
        if self._generation is not None and not self._ended:
            self._ended = True
            await self._playout.send(EndUtterance(self._generation))

    # --- watch -------------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Say once per wait that the model is slow; raise when it is lost."""
        while True:
            self._judge()
            with trio.CancelScope() as self._nap:
                self._plan()
                await trio.sleep_forever()

    def _plan(self) -> None:
        """Let the watchdog wake when the verdict could change; a debt paid meanwhile makes it wake once for nothing."""
        deadline = self._liveness.next_deadline(trio.current_time())
        self._nap.deadline = inf if deadline is None else deadline

    def _judge(self) -> None:
        match self._liveness.verdict(trio.current_time()):
            case Lost("garbled", why):
                raise ModelGarbled(why)
            case Lost(_, why):
                raise ModelStalled(why)
            case Slow() if not self._slow_told:
                self._slow_told = True
                if self._on_slow is not None:
                    self._on_slow()
            case _:
                pass


async def run_session(
    *,
    stream: ModelStream,
    uplink: trio.MemoryReceiveChannel[Uplink],
    inbox: trio.MemorySendChannel[FloorEvent],
    playout: trio.MemorySendChannel[PlayoutCommand],
    next_generation: Callable[[], int],
    liveness: Liveness,
    on_slow: Callable[[], None] | None,
) -> None:
    """Run one session over an open stream until the uplink is closed, the call's readers are gone, or it is lost.

    Closes its three channel ends, not the stream.

    Args:
        stream: as ``ModelProvider.open_stream`` hands it out.
        uplink: turn commands and windows, in order.
        inbox: gets what the model says and does. Waits while full.
        playout: gets the model's sound. Waits while full.
        next_generation: numbers the call's utterances.
        liveness: judges this session; used by nobody else.
        on_slow: called once per wait for an answer when it has become long; must not block.

    Raises:
        ModelLost: always one plain exception, though several tasks may fail at once: the one that tells most.
        MisuseError: a turn was opened or committed against the rules (in an exception group, as a bug of ours).
    """
    async with uplink, inbox, playout:
        session = _Session(stream, inbox, playout, next_generation, liveness, on_slow)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.down)
                nursery.start_soon(session.watch)
                await session.up(uplink)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            lost, other = group.split(ModelLost)
            # A closed channel end of a reader: the call is over, and its own tree says why.
            if other is not None and other.split(trio.BrokenResourceError)[1] is not None:
                raise
            if lost is not None:
                raise _most_telling(lost) from None


def _most_telling(group: BaseExceptionGroup[ModelLost]) -> ModelLost:
    """Of failures that came together: a refusal, else a close code, else anything but "the connection ended"."""
    return max(
        _leaves(group),
        key=lambda lost: (not lost.resumable, lost.code not in {None, ABNORMAL}, not isinstance(lost, ModelClosed)),
    )


def _leaves(group: BaseExceptionGroup[ModelLost]) -> list[ModelLost]:
    leaves: list[ModelLost] = []
    for member in group.exceptions:
        leaves += _leaves(member) if isinstance(member, BaseExceptionGroup) else [member]
    return leaves
