"""The turn-keeper: holds the floor together with one model session, and drives the turn table.

Everything that happens to a call reaches it through the one inbox, one event at a time; what it decides goes out as
turn commands (uplink), playout commands, queries and tool calls. It judges nothing about the model's health: the
session raises when the model is lost, and the supervisor gives the floor to the script.
"""

import math

import trio

from engine.call.agent_speech import AgentSpeech
from engine.call.channels import Filler, FloorEnds
from engine.call.company import Company
from engine.call.deadlines import Deadlines
from engine.call.desk import CallDesk, Wish
from engine.call.noted import note
from engine.call.opening import STILL_THERE, TIME_IS_UP, Instruction, rest_of_answer
from engine.call.question import Question
from engine.call.questions import Questions
from engine.call.record import CallRecord
from engine.call.session_link import SessionLink
from engine.call.tool_calls import ToolCalls
from engine.call.turn import Cue, Do, Phase, TurnTable
from engine.fallback.prompts import Prompts
from engine.messages import (
    AgentTranscript,
    CallerTranscript,
    Cut,
    CutPlayout,
    FloorEvent,
    Notes,
    NothingFound,
    OperatorActed,
    ReportHeard,
    ResponseFinished,
    ResponseInterrupted,
    ResponseStarted,
    SessionExpiring,
    Skipped,
    SpeechEnded,
    SpeechStarted,
    TimedOut,
    ToolCallRequested,
    ToolCallsCancelled,
    ToolResult,
    ToolStarted,
    TurnReplayed,
    Uplink,
    UtteranceCleared,
    UtterancePlayed,
    WordsHeard,
)
from engine.metrics import Metrics
from engine.shortcut import SendEnd
from engine.tenants.tenant import Tenant


class Conversation:
    """One tenure of the floor by one model session."""

    def __init__(
        self,
        *,
        tenant: Tenant,
        record: CallRecord,
        ends: FloorEnds,
        uplink: SendEnd[Uplink],
        prompts: Prompts,
        desk: CallDesk,
        metrics: Metrics,
    ) -> None:
        self._record, self._ends = record, ends
        self.link = SessionLink(uplink, ends.gate)
        self._desk, self._metrics = desk, metrics
        self._company = Company(tenant, prompts, Filler(ends, record, metrics))
        self.tools = ToolCalls(tenant, record, ends, self.link, self._company)
        self._table = TurnTable()
        self.questions = Questions(tenant, record, ends, metrics)
        self._speech = AgentSpeech(record)
        self._deadlines = Deadlines(record.started_at + 60.0 * tenant.quotas.longest_call_minutes)
        self._stepped = trio.lowlevel.ParkingLot()

    async def run(self, opening: Instruction) -> Wish:
        """Let the model speak first (``opening`` instructs it), then converse until the call is to end.

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
            self._stepped.unpark_all()
            if (end := self._wish(now)) is not None:
                return end

    def say_filler(self) -> None:
        """The model is slow, or stops in mid-answer: say something. A plain call, for the session's watchdog."""
        if self._table.phase in {Phase.THINKING, Phase.SPEAKING}:
            self._company.keep(begins=self._table.phase is Phase.THINKING)

    # --- a successor of the session ---------------------------------------------------------------------------

    @property
    def owes_nothing(self) -> bool:
        """Nothing is expected of the session: another one could go on in its place, now."""
        if self._table.phase is Phase.SPEAKING:
            return self._speech.is_generated and not self.tools.pending
        return self._table.phase is not Phase.THINKING and not self.tools.pending

    async def wait_owes_nothing(self) -> None:
        """See ``owes_nothing``."""
        while not self.owes_nothing:
            await self._stepped.park()

    @property
    def open_turn(self) -> int | None:
        """The caller's turn that has not been committed."""
        return self._question.turn_id if self._table.phase in {Phase.LISTENING, Phase.HOLDING} else None

    def go_on_with(self, uplink: SendEnd[Uplink]) -> None:
        """Another session serves from here on, and says what is owed: the caller hears nothing of it. A plain call."""
        self.link.tie_to(uplink, open_turn=self.open_turn)
        self.tools.forget_session()
        if not self.owes_nothing:
            self._speech.asked()
            self.link.speak_at_once(self._question.turn_id, rest_of_answer(self._record))

    async def _on_time(self, now: float) -> None:
        if self._table.phase is Phase.HOLDING and now >= self._question.deadline:
            await self._advance(Cue.BUDGET_SPENT, now)
        elif now >= self.tools.company_at:
            self.tools.keep_company(now, aloud=self._table.phase is Phase.THINKING)
        elif self._deadlines.call_is_too_long(now):
            self._desk.request_end("the call has lasted as long as it may")
            if self._table.phase is Phase.QUIET:
                await self._speak_first(TIME_IS_UP)
        elif self._deadlines.turn_is_too_long(now):
            self._record.note(now, "endless", "the caller's line never pauses")
            await self._advance(Cue.CALLER_ENDED, now)
        elif self._deadlines.silence_is_too_long(now) and not self._ends.agent_sounding():
            self._record.note(now, "silence")
            if self._deadlines.has_asked_enough:
                self._desk.request_end("the caller is silent")
            else:
                await self._speak_first(STILL_THERE)

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
            case UtterancePlayed() | UtteranceCleared() | OperatorActed():
                await self._on_playback(event, now)
            case ToolCallRequested() | ToolCallsCancelled() | ToolStarted() | ToolResult():
                await self.tools.on_event(event, self._question.turn_id, now)
                await self._all_heard(now)
            case SessionExpiring(time_left_s):
                self._record.note(now, "expiring", time_left_s=time_left_s)
                self.link.expires_at(now + time_left_s)
            case TurnReplayed(turn_id, how):
                # The model owes an answer again: until it comes, no other session could go on in its place.
                self._record.note(now, "replayed", how, turn=turn_id)
                self._speech.asked()
                self._table.advance(Cue.SPOKE_FIRST)
            case _:
                note(self._record, event, now)

    async def _on_caller_text(self, text: str, now: float, *, final: bool = False, by_listener: bool = False) -> None:
        if self._table.phase in {Phase.LISTENING, Phase.HOLDING}:
            self.questions.hear(text, by_listener=by_listener)
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
                self.link.answered()
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
                if generation is None and not self.tools.pending:
                    self._record.note(now, "unanswered", reason)
                    await self._advance(Cue.RESPONSE_EMPTY, now)
                await self._all_heard(now)
            case ResponseInterrupted(generation):
                self._speech.interrupted()
                self._record.note(now, "interrupted", generation=generation)

    async def _on_playback(self, event: UtterancePlayed | UtteranceCleared | OperatorActed, now: float) -> None:
        match event:
            case OperatorActed(generation):
                self._deadlines.kept_company(now)
                self._speech.cut(generation)
            case UtterancePlayed(generation):
                if text := self._record.text_of(generation):
                    self._record.note(now, "agent", text, generation=generation)
            case UtteranceCleared(generation, heard_ms, queued_ms):
                if self._speech.is_unheard(generation):
                    self._record.note(
                        now, "cut", self._record.text_of(generation), heard_ms=round(heard_ms), of_ms=round(queued_ms)
                    )
                    await self.link.send(ReportHeard(generation, heard_ms))
        self._speech.left(event.generation)
        await self._all_heard(now)

    # --- what the table says -----------------------------------------------------------------------------------

    async def _advance(self, cue: Cue, now: float) -> None:
        for do in self._table.advance(cue):
            match do:
                case Do.CUT:
                    # All that was begun until now: fillers too, and what the session began without our knowing it yet.
                    self._speech.cut(through := self._ends.next_generation())
                    await self._ends.playout.send(CutPlayout(through, Cut.NOW))
                case Do.OPEN_TURN:
                    await self.link.open_turn(self.questions.next_turn())
                case Do.KEEP_OPEN:
                    self._question.keep_open()
                case Do.ASK_NOTES:
                    self.questions.ask(now)
                    if self._question.outcome is not None:
                        await self._advance(Cue.NOTES_READY, now)
                case Do.COMMIT | Do.COMMIT_WITHOUT:
                    await self._commit(now)
                case Do.NUDGE:
                    await self.link.nudge(self._question.turn_id)
        if self._table.floor is not self._record.floor:
            self._record.floor = self._table.floor
            self._record.note(now, "floor", self._table.floor)

    async def _commit(self, now: float) -> None:
        commit = self._question.commit()
        self._speech.asked()
        self._company.new_wait()
        await self.link.commit(commit)
        self._metrics.turns.labels(type(commit.outcome).__name__.lower()).inc()
        self._record.retrieved(now, self._question.text, commit.outcome, self._question.held_ms(now))

    async def _speak_first(self, opening: Instruction) -> None:
        self._table.advance(Cue.SPOKE_FIRST)
        self._speech.asked()
        await self.link.speak(self._question.turn_id, opening)

    async def _all_heard(self, now: float) -> None:
        if self._speech.is_over and not self.tools.pending:
            await self._advance(Cue.ALL_HEARD, now)

    @property
    def _question(self) -> Question:
        return self.questions.current

    def _next_deadline(self) -> float:
        budget = self._question.deadline if self._table.phase is Phase.HOLDING else math.inf
        return min(budget, self._deadlines.next(), self.tools.company_at)

    def _wish(self, now: float) -> Wish | None:
        if (wish := self._desk.wish) is not None:
            self._deadlines.wished(now)
            if self._table.phase is Phase.QUIET or self._deadlines.wish_is_due(now):
                self._desk.wish = None
                return wish
        return None
