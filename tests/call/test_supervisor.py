"""The tree: what each failure means for its call, and that it means nothing for any other."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import trio
import trio.testing

from engine.call.outcome import OutcomeClass, Reason
from engine.messages import Notes, Passage, TimedOut, ToolCallRequested
from engine.model.provider import AudioDelta, TranscriptDelta
from engine.retrieval.lexical import MemorySearch
from engine.store.memory_ledger import MemoryLedger
from engine.tools import answers
from engine.tools.catalog import Catalog
from engine.tools.context import Tool, ToolContext
from tests.call.caller import PARKING, TENANT, on_call
from tests.call.floor import LOOK
from tests.call.model import FakeModel, Session, Step, says
from tests.telephony.parts import LevelVad

Clock = trio.testing.MockClock


async def test_a_caller_who_hangs_up_ends_the_call_well(autojump_clock: Clock) -> None:
    async with on_call(FakeModel(hears=[PARKING])) as call:
        await call.quiet()
        await call.say()
        await call.quiet()
        outcome = await call.hang_up()
    assert (outcome.outcome, outcome.reason) == (OutcomeClass.SUCCESS, Reason.CALLER_HUNG_UP)
    assert call.record.outcome is outcome
    (commit,) = call.model.sessions[0].commits
    assert isinstance(commit.outcome, Notes)
    assert [line["text"] for line in call.record.transcript()] == ["Hello.", PARKING, "An answer."]
    assert len(call.session.heard) >= 8 * 600
    assert call.services.metrics.total(call.services.metrics.crashes) == 0


async def test_a_line_that_breaks_is_the_callers_side(autojump_clock: Clock) -> None:
    async with on_call() as call:
        await call.quiet()
        call.rig.phone.close(1001)
        outcome = await call.end()
    assert (outcome.outcome, outcome.reason) == (OutcomeClass.CLIENT, Reason.LINE_BROKEN)


async def test_words_that_the_caller_did_not_hear_are_not_on_record(autojump_clock: Clock) -> None:
    long_answer = "one two three four five six seven eight nine ten"
    async with on_call(FakeModel(answer=lambda session: says(long_answer, 10_000))) as call:
        await call.quiet()
        await call.say()
        await call.until(lambda: call.record.floor == "agent")
        await trio.sleep(4.5)
        await call.hang_up()
    (answer,) = [line for line in call.record.transcript() if line["turn"] == 1]
    assert answer["text"] == "one two three four"
    assert answer["cut"]


# --- the phone's side crashes ----------------------------------------------------------------------------------------


class BrokenVad(LevelVad):
    """Fails at the first sound."""

    def is_speech(self, pcm: bytes) -> bool:
        if super().is_speech(pcm):
            raise ZeroDivisionError("a bug in the detector")
        return False


async def test_a_crash_on_the_media_plane_ends_its_own_call_alone(autojump_clock: Clock) -> None:
    async with on_call() as other, on_call(new_vad=BrokenVad) as call:
        await call.quiet()
        call.speaking = True
        outcome = await call.end()
        assert (outcome.outcome, outcome.reason) == (OutcomeClass.SERVER, Reason.CRASHED)
        assert "a bug in the detector" in outcome.detail
        await other.say()
        await other.quiet()
        assert len(other.session.commits) == 1
        assert (await other.hang_up()).reason is Reason.CALLER_HUNG_UP


async def test_a_crash_of_egress_ends_the_call_with_an_outcome_and_a_count(autojump_clock: Clock) -> None:
    wrong = AudioDelta(cast("Any", "not bytes"))
    async with on_call(FakeModel(answer=lambda session: [wrong])) as call:
        await call.quiet()
        await call.say()
        outcome = await call.end()
    assert (outcome.outcome, outcome.reason) == (OutcomeClass.SERVER, Reason.CRASHED)
    assert call.crashes("call") == 1


async def test_whatever_watches_a_call_and_fails_ends_that_call_only(autojump_clock: Clock) -> None:
    def observe(call_sid: str, moment: object) -> None:
        raise ZeroDivisionError("a bug in whoever watches")

    async with on_call(observe=observe) as call:
        assert (await call.end()).reason is Reason.CRASHED
        assert call.crashes("call") == 1


# --- the slow lane crashes -------------------------------------------------------------------------------------------


class CrashingSearch(MemorySearch):
    """A bug, not a peer that fails, for as many searches as told."""

    crashes = 1

    async def search(self, tenant_id: str, text: str, *, limit: int) -> list[Passage]:
        await trio.lowlevel.checkpoint()
        if self.crashes:
            self.crashes -= 1
            raise ZeroDivisionError("a bug in the search")
        return await super().search(tenant_id, text, limit=limit)


async def test_a_retriever_that_crashes_is_restarted_and_the_call_goes_on(autojump_clock: Clock) -> None:
    search = CrashingSearch([TENANT])
    search.crashes = 4  # more than there are pauses
    async with on_call(FakeModel(hears=[PARKING] * 6), search=search) as call:
        await call.quiet()
        for _ in range(6):
            await call.say()
            await call.quiet()
            await trio.sleep(2.5)
        await call.hang_up()
    outcomes = [type(commit.outcome) for commit in call.session.commits]
    assert outcomes[0] is TimedOut
    assert outcomes[-1] is Notes
    assert call.crashes("retriever") == 4
    assert len(call.model.sessions) == 1


class CrashingLedger(MemoryLedger):
    """As above, for claims."""

    crashes = 1

    async def claim(self, *args: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if self.crashes:
            self.crashes -= 1
            raise ZeroDivisionError("a bug in the ledger")
        return await super().claim(*args)


async def test_a_tool_executor_that_crashes_answers_what_it_had_and_is_restarted(autojump_clock: Clock) -> None:
    def answer(session: Session) -> Sequence[Step]:
        return [ToolCallRequested(f"c{len(session.commits)}", "opening_hours", {})]

    async with on_call(FakeModel(answer=answer), ledger=CrashingLedger()) as call:
        await call.quiet()
        for _ in range(2):
            await call.say()
            await call.quiet()
        await call.hang_up()
    first, second = call.session.results
    assert (first.call_id, second.call_id) == ("c1", "c2")
    assert first.response["status"] != "ok"
    assert second.response["status"] == "ok"
    assert call.crashes("tools") == 1


async def test_an_answer_that_goes_on_after_a_tool_and_its_filler_is_heard_whole(autojump_clock: Clock) -> None:
    """The filler is an utterance of its own; what the model says after it must not be taken for what came before it."""

    async def look(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        await trio.sleep(2)
        return answers.ok("blue")

    tenant = TENANT.model_copy(update={"tools": (LOOK,)})
    before: list[Step] = [TranscriptDelta("Sure."), AudioDelta(b"\x21" * 800), 1.0, ToolCallRequested("c1", "look", {})]
    after = says("It is blue.", byte=0x22)
    model = FakeModel(answer=lambda session: before, after_tool=lambda session: after)
    async with on_call(model, tenant=tenant, catalog=Catalog([Tool(LOOK, look)])) as call:
        await call.quiet()
        await call.say()
        await call.quiet()
        heard = call.rig.phone.sound()
        await call.hang_up()
    assert call.kinds().count("filler") == 1
    assert (heard.count(0x21), heard.count(0x22)) == (800, 8 * 400)
    assert [line["text"] for line in call.record.transcript()] == ["Hello.", "Sure.", "It is blue."]
