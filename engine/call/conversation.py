"""The turn-keeper: holds the floor together with one model session, and drives the turn table.

Everything that happens to a call reaches it through the one inbox, one event at a time; what it decides goes out as
turn commands (uplink), playout commands, queries and tool calls. It judges nothing about the model's health: the
session raises when the model is lost, and the supervisor gives the floor to the script.
"""

import math

import trio

from engine.call.agent_speech import AgentSpeech
from engine.call.channels import Filler, FloorEnds
from engine.call.deadlines import Deadlines
from engine.call.desk import CallDesk, ConversationEnd, SessionOver
from engine.call.question import Question
from engine.call.record import CallRecord
from engine.call.tool_calls import ToolCalls
from engine.call.turn import Cue, Do, Phase, TurnTable
from engine.errors import ModelStalled
from engine.fallback.prompts import Prompts
from engine.messages import (
    AgentTranscript,
    CallerTranscript,
    Cut,
    CutPlayout,
    FloorEvent,
    KeyPressed,
    Notes,
    NothingFound,
    OpenTurn,
    Query,
    ReportHeard,
    ResponseFinished,
    ResponseInterrupted,
    ResponseStarted,
    ResumeHandle,
    SessionExpiring,
    Skipped,
    Speak,
    SpeechEnded,
    SpeechStarted,
    TimedOut,
    ToolCallRequested,
    ToolCallsCancelled,
    ToolResult,
    ToolStarted,
    Uplink,
    UsageReported,
    UtteranceCleared,
    UtterancePlayed,
    WordsHeard,
)
from engine.metrics import Metrics
from engine.tenants.tenant import Tenant

STILL_THERE = "The caller has been silent for a while. Ask briefly whether they are still there."


class Conversation:
    """One tenure of the floor by one model session."""

    def __init__(
        self,
        *,
        tenant: Tenant,
        record: CallRecord,
        ends: FloorEnds,
        uplink: trio.MemorySendChannel[Uplink],
        prompts: Prompts,
        desk: CallDesk,
        metrics: Metrics,
    ) -> None:
        self._tenant = tenant
        self._record = record
        self._ends = ends
        self._uplink = uplink
        self._prompts = prompts
        self._desk = desk
        self._metrics = metrics
        self._filler = Filler(ends, record, metrics)
        self._tools = ToolCalls(tenant, record, ends, uplink, prompts, self._filler)
        self._table = TurnTable()
        self._question = self._question_of_turn()
        self._speech = AgentSpeech(record)
        self._nudged = False
        self._deadlines = Deadlines()

    async def run(self, opening: str) -> ConversationEnd:
        """Let the model speak first (``opening`` instructs it), then converse until the call or the session ends.

        Raises:
            ModelStalled: the model ended two turns in a row without a sound.
        """
        await self._speak_first(opening)
        while True:
            event: FloorEvent | None = None
            self._deadlines.entered(self._table.phase, trio.current_time())
            with trio.move_on_at(self._next_deadline()):
                event = await self._ends.inbox.receive()
            now = trio.current_time()
            if event is not None:
                await self._on_event(event, now)
            else:
                await self._on_time(now)
            if (end := self._end(now)) is not None:
                return end

    def say_filler(self) -> None:
        """The model is slow: say that we are still there. A plain call, for the session's watchdog."""
        if self._table.phase is Phase.THINKING:
            self._filler.say(self._tenant.script.filler, self._prompts.filler)

    async def _on_time(self, now: float) -> None:
        if self._table.phase is Phase.HOLDING and now >= self._question.deadline:
            await self._advance(Cue.BUDGET_SPENT, now)
        elif now >= self._tools.company_at:
            self._tools.keep_company(now, aloud=self._table.phase is Phase.THINKING)
        elif self._deadlines.turn_is_too_long(now):
            self._record.note(now, "endless", "the caller's line never pauses")
            await self._advance(Cue.CALLER_ENDED, now)
        elif self._deadlines.silence_is_too_long(now):
            self._record.note(now, "silence")
            if self._deadlines.has_asked_enough:
                self._desk.request_end("the caller is silent")
            else:
                await self._speak_first(STILL_THERE)

    # --- events ------------------------------------------------------------------------------------------------

    async def _on_event(self, event: FloorEvent, now: float) -> None:
        match event:
            case SpeechStarted():
                await self._advance(Cue.CALLER_STARTED, now)
            case SpeechEnded(at, _, speech_ms):
                self._speech.awaited_since(at)
                self._record.note(now, "speech", speech_ms=round(speech_ms))
                await self._advance(Cue.CALLER_ENDED, now)
            case CallerTranscript(text, final):
                await self._on_caller_text(text, now, final=final)
            case WordsHeard(turn_id, text) if turn_id == self._question.turn_id:
                await self._on_caller_text(text, now, by_listener=True)
            case Notes() | NothingFound() | TimedOut() | Skipped():
                self._question.answer(event)
                if self._table.phase is Phase.HOLDING and self._question.outcome is not None:
                    await self._advance(Cue.NOTES_READY, now)
            case ResponseStarted() | AgentTranscript() | ResponseFinished() | ResponseInterrupted():
                await self._on_response(event, now)
            case UtterancePlayed() | UtteranceCleared():
                await self._on_playback(event, now)
            case ToolCallRequested() | ToolCallsCancelled() | ToolStarted() | ToolResult():
                await self._tools.on_event(event, self._question.turn_id, now)
                await self._all_heard(now)
            case ResumeHandle(handle):
                self._record.handle = handle
            case SessionExpiring(time_left_s):
                self._record.note(now, "expiring", time_left_s=time_left_s)
                self._deadlines.expiring(time_left_s, now)
            case KeyPressed(digit):
                self._record.note(now, "key", digit)
            case UsageReported(tokens):
                self._record.used(now, tokens)

    async def _on_caller_text(self, text: str, now: float, *, final: bool = False, by_listener: bool = False) -> None:
        if self._table.phase in {Phase.LISTENING, Phase.HOLDING}:
            if (query := self._question.hear(text, by_listener=by_listener)) is not None:
                self._ask(query)
            if self._table.phase is Phase.HOLDING and self._question.outcome is not None:
                await self._advance(Cue.NOTES_READY, now)
        elif final and text.strip():
            # The provider's own final text may come only after the commit; it is the better record.
            self._question.text = text.strip()
        if final and text.strip():
            self._record.caller_said(self._question.turn_id, text.strip())
            self._record.note(now, "caller", text.strip(), turn=self._question.turn_id)

    async def _on_response(
        self, event: ResponseStarted | AgentTranscript | ResponseFinished | ResponseInterrupted, now: float
    ) -> None:
        match event:
            case ResponseStarted(generation, at):
                self._nudged = False
                waited_s = self._speech.started(generation, self._question.turn_id, at)
                response_ms = None
                if self._table.phase is Phase.THINKING and waited_s is not None:
                    self._metrics.response.observe(waited_s)
                    response_ms = round(1000 * waited_s)
                self._record.note(now, "response", generation=generation, response_ms=response_ms)
                await self._advance(Cue.RESPONSE_STARTED, now)
            case AgentTranscript(generation, delta):
                self._speech.text(generation, delta, self._question.turn_id)
            case ResponseFinished(generation, reason):
                self._speech.finished(generation)
                if generation is None and not self._tools.pending:
                    self._record.note(now, "unanswered", reason)
                    await self._advance(Cue.RESPONSE_EMPTY, now)
                await self._all_heard(now)
            case ResponseInterrupted(generation):
                self._speech.interrupted()
                self._record.note(now, "interrupted", generation=generation)

    async def _on_playback(self, event: UtterancePlayed | UtteranceCleared, now: float) -> None:
        match event:
            case UtterancePlayed(generation):
                if text := self._record.text_of(generation):
                    self._record.note(now, "agent", text, generation=generation)
            case UtteranceCleared(generation, heard_ms, queued_ms):
                if self._speech.is_unheard(generation):
                    self._record.note(
                        now, "cut", self._record.text_of(generation), heard_ms=round(heard_ms), of_ms=round(queued_ms)
                    )
                    await self._uplink.send(ReportHeard(generation, heard_ms))
        self._speech.left(event.generation)
        await self._all_heard(now)

    # --- what the table says -----------------------------------------------------------------------------------

    async def _advance(self, cue: Cue, now: float) -> None:
        for do in self._table.advance(cue):
            match do:
                case Do.CUT:
                    # All that was begun until now: fillers too, and what the session began without our knowing it yet.
                    through = self._ends.next_generation()
                    self._speech.cut(through)
                    await self._ends.playout.send(CutPlayout(through, Cut.NOW))
                case Do.OPEN_TURN:
                    self._question = self._new_question()
                    await self._uplink.send(OpenTurn(self._question.turn_id))
                    self._ends.gate.open(self._question.turn_id)
                case Do.KEEP_OPEN:
                    self._question.keep_open()
                case Do.ASK_NOTES:
                    if (query := self._question.ask(now)) is not None:
                        self._ask(query)
                    if self._question.outcome is not None:
                        await self._advance(Cue.NOTES_READY, now)
                case Do.COMMIT | Do.COMMIT_WITHOUT:
                    await self._commit(now)
                case Do.NUDGE:
                    await self._nudge()
        if self._table.floor is not self._record.floor:
            self._record.floor = self._table.floor
            self._record.note(now, "floor", self._table.floor)

    async def _commit(self, now: float) -> None:
        commit = self._question.commit()
        self._ends.gate.close()
        self._nudged = False
        self._speech.asked()
        await self._uplink.send(commit)
        self._metrics.turns.labels(type(commit.outcome).__name__.lower()).inc()
        self._record.retrieved(now, self._question.text, commit.outcome, self._question.held_ms(now))

    async def _nudge(self) -> None:
        if self._nudged:
            raise ModelStalled("the model ended its turn twice without a sound")
        self._nudged = True
        await self._uplink.send(Speak(self._question.turn_id, "Please answer the caller's last words now."))

    async def _speak_first(self, opening: str) -> None:
        self._table.advance(Cue.SPOKE_FIRST)
        self._speech.asked()
        await self._uplink.send(Speak(self._question.turn_id, opening))

    async def _all_heard(self, now: float) -> None:
        if self._speech.is_over and not self._tools.pending:
            await self._advance(Cue.ALL_HEARD, now)

    # --- small ones --------------------------------------------------------------------------------------------

    def _new_question(self) -> Question:
        self._record.turns += 1
        return self._question_of_turn()

    def _question_of_turn(self) -> Question:
        budget_s = self._tenant.timing.retrieval_budget_ms / 1000
        return Question(self._tenant.id, self._record.turns, budget_s, listening=self._ends.listening)

    def _ask(self, query: Query) -> None:
        try:
            self._ends.queries.send_nowait(query)
        except trio.WouldBlock:
            # The retriever is behind or restarting; the turn's budget stands in for it.
            self._metrics.dropped_messages.labels("queries").inc()

    def _next_deadline(self) -> float:
        budget = self._question.deadline if self._table.phase is Phase.HOLDING else math.inf
        return min(budget, self._deadlines.next(), self._tools.company_at)

    def _end(self, now: float) -> ConversationEnd | None:
        quiet = self._table.phase is Phase.QUIET
        if (wish := self._desk.wish) is not None:
            self._deadlines.wished(now)
            if quiet or self._deadlines.wish_is_due(now):
                self._desk.wish = None
                return wish
        if self._deadlines.expiry_is_due(now) or (quiet and self._deadlines.is_expiring):
            return SessionOver()
        return None
