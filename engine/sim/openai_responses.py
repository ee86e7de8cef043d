"""Which responses there are: one at a time in the conversation, begun and cancelled; and which turn each belongs to."""

from collections.abc import Mapping
from typing import Any, Literal

import trio

from engine.sim import openai_events as events
from engine.sim.brain import HeardTurn
from engine.sim.model_record import Commit, Note, Spoken
from engine.sim.moods import LosesToolResult
from engine.sim.openai_config import Wanted
from engine.sim.openai_items import Item, answer_of, heard_turn, history_of
from engine.sim.openai_record import ResponseRecord, Told
from engine.sim.openai_response import Response, Turn, begin, break_off
from engine.sim.openai_schema import Refused
from engine.sim.openai_speech import give
from engine.sim.openai_stage import OpenStage
from engine.sim.openai_told import item_of


class Responses:
    """The responses of one session."""

    def __init__(self, stage: OpenStage) -> None:
        self._stage = stage
        self._active: Response | None = None
        self._aside: dict[str, Response] = {}
        self._turn: Turn | None = None
        self._told_before = (0, 0)
        self._lost = False  # a result that nobody took note of: nothing follows it

    async def create(self, given: Mapping[str, Any] | None, by: Literal["client", "server"]) -> None:
        """Begin a response.

        Raises:
            Refused: the conversation has one already, or this one cannot be.
        """
        wanted = self._stage.config.wanted(given)
        if wanted.in_conversation and (active := self._running()) is not None:
            raise Refused(
                f"Conversation already has an active response in progress: {active.id}. "
                "Wait until the response is finished before creating a new one.",
                "conversation_already_has_active_response",
                blame=active.asked.by == "client",  # one that came by itself could not be foreseen
            )
        items = self._context(wanted)
        if wanted.in_conversation and self._lost and not any(item.fresh for item in items):
            self._lost = False
            return
        asked_at = self._ask(wanted, items, by)
        turn = await self._turn_of(wanted, items, asked_at)
        if turn is not None:
            await self._begin(Response(asked_at.response_id, wanted, turn, asked_at), items)

    async def create_by_itself(self) -> None:
        """The service answers what was said, unless a response is running already."""
        if self._running() is None:
            await self.create(None, by="server")

    async def interrupt(self, reason: str) -> None:
        """Cancel what is being said in the conversation, if anything is."""
        active = self._running()
        if active is not None and active.phase == "running":
            await break_off(active, self._stage, reason)

    async def cancel(self, response_id: str | None) -> None:
        """The client wants no more of it.

        Raises:
            Refused: there is nothing (any more) to cancel.
        """
        active = self._running() if response_id is None else self._find(response_id)
        if active is None or active.phase != "running":
            raise Refused("Cancellation failed: no active response found", "response_cancel_not_active", blame=False)
        await break_off(active, self._stage, "client_cancelled")

    async def tell_of_phantom(self) -> None:
        """A response that nobody has heard of was interrupted (in a bad mood)."""
        asked = ResponseRecord(
            trio.current_time(), self._stage.turn, self._stage.new_id("resp"), "server", False, (), ""
        )
        turn = Turn(self._stage.turn, HeardTurn(None), Spoken(self._stage.turn, ""))
        phantom = Response(asked.response_id, self._stage.config.wanted(), turn, asked)
        details = {"type": "cancelled", "reason": "turn_detected"}
        await self._stage.emit(events.response_event("done", phantom.as_json(self._stage, "cancelled", details)))

    # --- what comes of calls -----------------------------------------------------------------------------------------

    def loses(self, result: Item) -> bool:
        """Whether this result is not taken note of (in a bad mood)."""
        self._lost = self._stage.mood(LosesToolResult) is not None
        if self._lost:
            self._stage.note("lost", result.call_id)
        return self._lost

    def answered(self, result: Item) -> None:
        """A result came, and is in the conversation."""
        answer = answer_of(result)
        self._stage.record.tool_answers.append(answer)
        self._stage.note("tool_answer", f"{answer.name} {answer.call_id}")
        asked = self._turn is not None and any(
            item.kind == "call" and item.call_id == result.call_id and not item.by_client
            for item in self._stage.conversation.items
        )
        if asked and self._turn is not None and result.call_id not in self._turn.calls | self._turn.wrong_calls:
            self._stage.record.late_answers += 1

    # --- one response ------------------------------------------------------------------------------------------------

    def _running(self) -> Response | None:
        if self._active is not None and self._active.phase == "over":
            self._active = None
        return self._active

    def _find(self, response_id: str) -> Response | None:
        active = self._running()
        return active if active is not None and active.id == response_id else self._aside.get(response_id)

    def _context(self, wanted: Wanted) -> list[Item]:
        """What the model is told. Input of its own is all new to it."""
        conversation = self._stage.conversation
        if wanted.input is None:
            if wanted.in_conversation:
                conversation.freshen()
            return list(conversation.items)
        return [
            conversation.find(given["id"], "reference")
            if given["type"] == "item_reference"
            else item_of(given, self._stage)
            for given in wanted.input
        ]

    def _ask(self, wanted: Wanted, items: list[Item], by: Literal["client", "server"]) -> ResponseRecord:
        """Put it on record, before anything is done about it."""
        context = tuple(Told(item.id, item.kind, item.text, item.fresh) for item in items)
        goes_on = _goes_on(items) and self._turn is not None and wanted.in_conversation
        asked = ResponseRecord(
            trio.current_time(),
            self._stage.turn + (not goes_on and wanted.in_conversation),
            self._stage.new_id("resp"),
            by,
            goes_on,
            context,
            wanted.instructions,
            wanted.metadata,
        )
        self._stage.record.responses.append(asked)
        return asked

    async def _turn_of(self, wanted: Wanted, items: list[Item], asked: ResponseRecord) -> Turn | None:
        """The turn that is to be answered, new or going on; None: it stays without an answer."""
        if not wanted.in_conversation:
            heard = heard_turn(items, wanted)
            return Turn(asked.turn, heard, Spoken(asked.turn, ""))
        if asked.goes_on and self._turn is not None:
            results = [item for item in items if item.fresh and item.kind == "result"]
            self._turn.results += [answer_of(item) for item in results if item.call_id in self._turn.calls]
            _stale(items)
            return self._turn
        self._turn = await self._new_turn(wanted, items)
        return self._turn

    async def _new_turn(self, wanted: Wanted, items: list[Item]) -> Turn | None:
        stage = self._stage
        stage.turn += 1
        heard = heard_turn(items, wanted)
        fresh = [item for item in items if item.fresh]
        notes = _notes(fresh, wanted)
        audio_ms = sum(item.audio_ms for item in fresh if item.kind == "caller")
        spoke = any(item.kind == "caller" for item in fresh)
        transcript = heard.transcript if spoke else None
        commit = Commit(trio.current_time(), stage.turn, transcript, notes, audio_ms)
        stage.record.commits.append(commit)
        stage.note("commit", f"{transcript!r} notes={len(notes)} in_activity={commit.notes_in_activity}")
        stage.record.history[:] = history_of(items)
        _stale(items)
        await stage.take_turn_moods()
        if stage.stay_silent():
            return None
        spoken = Spoken(stage.turn, "")
        stage.record.spoken.append(spoken)
        return Turn(stage.turn, heard, spoken)

    async def _begin(self, response: Response, items: list[Item]) -> None:
        counts = [item.tokens for item in items]
        response.context = (sum(text for text, _ in counts), sum(sound for _, sound in counts))
        response.cached = (
            min(self._told_before[0], response.context[0]),
            min(self._told_before[1], response.context[1]),
        )
        self._told_before = response.context
        if response.wanted.in_conversation:
            self._active = response
        else:
            self._aside[response.id] = response
        await begin(response, self._stage)
        self._stage.nursery.start_soon(self._respond, response)

    async def _respond(self, response: Response) -> None:
        with response.scope:
            await give(response, self._stage, self._stage.house.manner)
        self._aside.pop(response.id, None)


def _goes_on(items: list[Item]) -> bool:
    """Whether results of calls are all that the caller's side brought: notes may have come with them."""
    fresh = {item.kind for item in items if item.fresh}
    return "result" in fresh and not fresh & {"caller", "user"}


def _notes(fresh: list[Item], wanted: Wanted) -> tuple[Note, ...]:
    """Texts for this turn; in time are those that came when the caller's words were there."""
    words_at = max((item.arrived for item in fresh if item.kind == "caller"), default=0)
    notes = [Note(item.text, "item", item.arrived > words_at) for item in fresh if item.kind == "system"]
    if wanted.own_instructions:
        notes.append(Note(wanted.own_instructions, "instructions", in_activity=True))
    return tuple(notes)


def _stale(items: list[Item]) -> None:
    for item in items:
        item.fresh = False
