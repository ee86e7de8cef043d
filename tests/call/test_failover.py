"""From model to model in mid-call: in the tenant's order, at once, and never to those that fail for everyone."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing

from engine.call.circuits import CALLS, PAUSES_S, Circuits
from engine.call.outcome import Reason
from engine.call.record import CallRecord
from engine.call.renewal import SHORTEST_S
from engine.errors import ModelBusy, ModelClosed, ModelLost, ModelRefused
from engine.messages import ResumeHandle, SessionExpiring
from engine.metrics import Metrics
from engine.model.provider import AudioDelta, TranscriptDelta
from tests.call.caller import PARKING, TENANT, FakeCarrier, OnCall, on_call
from tests.call.model import CAPABILITIES, FakeModel, Session, Step, says

Clock = trio.testing.MockClock
GEMINI, OPENAI, LOCAL = "gemini-live", "openai-realtime", "local"
APOLOGY = TENANT.script.apology


def cut_off(session: Session) -> Sequence[Step]:
    """The beginning of an answer, and the end of the session."""
    return [TranscriptDelta("You can"), AudioDelta(b"\x20" * 800), ModelClosed("gone", code=1011)]


def gone_for_good(session: Session) -> Sequence[Step]:
    session.model.refusals += [ModelRefused("gone")] * 100
    return cut_off(session)


def models(*given: FakeModel) -> dict[str, FakeModel]:
    """The three, some of them as given."""
    known = {model.name: model for model in given}
    return {name: known.get(name, FakeModel(name)) for name in (GEMINI, OPENAI, LOCAL)}


@asynccontextmanager
async def on_three(*given: FakeModel, **changes: Any) -> AsyncIterator[tuple[OnCall, dict[str, FakeModel]]]:
    known = models(*given)
    async with on_call(known[GEMINI], providers=known, **changes) as call:
        yield call, known


def served_by(call: OnCall) -> list[str]:
    return [moment.text for moment in call.record.timeline if moment.kind == "model"]


def failing(*names: str) -> Circuits:
    circuits = Circuits(Metrics(), names)
    for name in names:
        for number in range(CALLS):
            circuits.begin(name, f"CA-other{number}", 0.0).ended(ModelRefused("no"), 0.0, 0.0)
    return circuits


async def test_a_chain_of_models_that_are_lost_for_good_goes_down_the_tenants_order(autojump_clock: Clock) -> None:
    first, second = FakeModel(GEMINI, answer=gone_for_good, hears=[PARKING]), FakeModel(OPENAI, answer=gone_for_good)
    async with on_three(first, second) as (call, known):
        for sessions in (1, 2, 3):
            await call.until(lambda at=sessions: call.record.sessions == at)  # type: ignore[misc]
            await call.quiet()
            await call.say()
        await call.quiet()
        await call.hang_up()
    assert served_by(call) == [GEMINI, OPENAI, LOCAL]
    scripted = [utterance.text for utterance in call.record.utterances if utterance.role == "script"]
    assert scripted == [APOLOGY, APOLOGY], "one sentence at each step"
    told = known[LOCAL].sessions[0].setup
    assert told.handle is None
    assert [item.text for item in told.history if item.role == "caller"] == [PARKING]
    assert len(known[LOCAL].sessions[0].commits) == 1


async def test_a_model_that_is_lost_twice_in_a_row_is_followed_by_the_next(autojump_clock: Clock) -> None:
    async with on_three(FakeModel(GEMINI, answer=cut_off)) as (call, known):
        for sessions in (1, 2, 3):
            await call.until(lambda at=sessions: call.record.sessions == at)  # type: ignore[misc]
            await call.quiet()
            await call.say()
        await call.hang_up()
    assert served_by(call) == [GEMINI, GEMINI, OPENAI]
    assert len(known[GEMINI].sessions) == 2, "it is not even tried a third time"
    assert known[LOCAL].sessions == []


async def test_who_lost_the_call_twice_is_gone_back_to_where_all_others_fail(autojump_clock: Clock) -> None:
    def answer(session: Session) -> Sequence[Step]:
        return cut_off(session) if len(session.model.sessions) <= 2 else says("Back again.")

    first = FakeModel(GEMINI, answer=answer)
    others = [FakeModel(name, refusals=[ModelRefused("down")] * 100) for name in (OPENAI, LOCAL)]
    async with on_three(first, *others) as (call, _):
        for sessions in (1, 2, 3):
            await call.until(lambda at=sessions: call.record.sessions == at)  # type: ignore[misc]
            await call.quiet()
            await call.say()
        await call.quiet()
        await call.hang_up()
    assert served_by(call) == [GEMINI] * 3
    assert call.record.transcript()[-1]["text"] == "Back again."


async def test_there_is_no_way_back_to_an_earlier_model_while_later_ones_serve(autojump_clock: Clock) -> None:
    first = FakeModel(GEMINI, refusals=[ModelRefused("no")])
    async with on_three(first, FakeModel(OPENAI, answer=cut_off)) as (call, _):
        for sessions in (1, 2, 3):
            await call.until(lambda at=sessions: call.record.sessions == at)  # type: ignore[misc]
            await call.quiet()
            await call.say()
        await call.hang_up()
    assert served_by(call) == [OPENAI, OPENAI, LOCAL], "though the first would take it by now"
    assert first.sessions == []


async def test_a_call_does_not_wait_for_a_model_that_fails_for_everyone(autojump_clock: Clock) -> None:
    slow = FakeModel(GEMINI, opens_after_s=100.0)
    async with on_three(slow, circuits=failing(GEMINI)) as (call, _):
        await call.until(lambda: call.record.floor == "agent", within_s=0.1)
        await call.hang_up()
    assert served_by(call) == [OPENAI]
    assert "script" not in call.kinds()


async def test_where_all_fail_for_everyone_they_are_tried_all_the_same(autojump_clock: Clock) -> None:
    circuits = failing(GEMINI, OPENAI, LOCAL)
    async with on_three(FakeModel(GEMINI, refusals=[ModelRefused("no")]), circuits=circuits) as (call, _):
        await call.quiet()
        await call.hang_up()
        assert served_by(call) == [OPENAI]
        assert circuits.lets_through(OPENAI, trio.current_time()), "it has spoken"
        assert not circuits.lets_through(GEMINI, trio.current_time())


async def test_a_model_that_fails_for_everyone_is_not_tried_afresh_in_mid_call(autojump_clock: Clock) -> None:
    circuits = Circuits(Metrics(), [GEMINI])

    def answer(session: Session) -> Sequence[Step]:
        for number in range(CALLS):
            now = trio.current_time()
            circuits.begin(GEMINI, f"CA-other{number}", now).ended(ModelRefused("no"), 0.0, now)
        return [ResumeHandle("h1"), *cut_off(session)]

    async with on_three(FakeModel(GEMINI, answer=answer), circuits=circuits) as (call, known):
        await call.quiet()
        await call.say()
        await call.until(lambda: call.record.sessions == 2)
        await call.hang_up()
    assert served_by(call) == [GEMINI, OPENAI]
    assert len(known[GEMINI].sessions) == 1


async def test_one_call_at_a_time_tries_a_model_that_failed_for_everyone(autojump_clock: Clock) -> None:
    circuits = failing(GEMINI)
    await trio.sleep(PAUSES_S[0])
    tries = FakeModel(GEMINI, opens_after_s=1.0)
    async with on_three(tries, circuits=circuits) as (one, _):
        await one.until(lambda: circuits.parts(trio.current_time())[f"model {GEMINI}"] == "being tried")
        async with on_three(tries, circuits=circuits) as (other, _):
            await other.quiet()
            assert served_by(other) == [OPENAI]
            await other.hang_up()
        await one.quiet()
        assert served_by(one) == [GEMINI]
        await one.hang_up()
    assert circuits.lets_through(GEMINI, trio.current_time())


@pytest.mark.parametrize(("refusal", "opens"), [(ModelRefused("down"), True), (ModelBusy("full"), False)])
async def test_a_full_house_is_no_reason_to_pass_a_model_over(
    refusal: ModelLost, opens: bool, autojump_clock: Clock
) -> None:
    circuits = Circuits(Metrics())
    full = FakeModel(LOCAL, refusals=[refusal])
    async with on_three(full, circuits=circuits, tenant=TENANT.model_copy(update={"models": (LOCAL, GEMINI)})) as (
        call,
        _,
    ):
        for number in range(CALLS - 1):
            now = trio.current_time()
            circuits.begin(LOCAL, f"CA-other{number}", now).ended(refusal, 0.0, now)
        await call.quiet()
        await call.hang_up()
    assert served_by(call) == [GEMINI]
    assert circuits.lets_through(LOCAL, trio.current_time()) is not opens


async def test_a_session_that_expires_is_not_followed_by_a_model_that_fails_for_everyone(autojump_clock: Clock) -> None:
    circuits = Circuits(Metrics(), [GEMINI])
    async with on_three(circuits=circuits) as (call, known):
        await call.quiet()
        await trio.sleep(SHORTEST_S)
        for number in range(CALLS):
            now = trio.current_time()
            circuits.begin(GEMINI, f"CA-other{number}", now).ended(ModelRefused("no"), 0.0, now)
        first = call.session
        first.emit([SessionExpiring(50.0)])
        await call.until(lambda: first.closed)
        await call.hang_up()
    assert len(known[GEMINI].sessions) == 1
    assert len(known[OPENAI].sessions) == 1
    assert call.record.provider == OPENAI
    assert "model_lost" not in call.kinds()


async def test_a_handle_is_never_given_to_a_model_that_hands_out_none(autojump_clock: Clock) -> None:
    """It would be taken for the conversation, which then nobody would be told."""
    forgetful = FakeModel(OPENAI, capabilities=replace(CAPABILITIES, resume=False), answer=cut_off, hears=[PARKING])
    tenant = TENANT.model_copy(update={"models": (OPENAI,)})
    async with on_call(forgetful, tenant=tenant) as call:
        await call.quiet()
        call.record.handle = "of another model, come late"
        await call.say()
        await call.until(lambda: call.record.sessions == 2)
        await call.hang_up()
    assert forgetful.sessions[1].setup.handle is None
    assert [item.text for item in forgetful.sessions[1].setup.history][:2] == ["Hello.", PARKING]


@pytest.mark.parametrize("resumes", [True, False])
async def test_a_call_that_comes_back_after_its_line_broke_goes_on_with_the_model_it_had(
    resumes: bool, autojump_clock: Clock
) -> None:
    def left(record: CallRecord) -> None:
        record.provider, record.handle = OPENAI, "h1"
        record.caller_said(1, PARKING)

    had = FakeModel(OPENAI, capabilities=replace(CAPABILITIES, resume=resumes))
    async with on_three(had, before=left) as (call, known):
        await call.until(lambda: call.record.sessions == 1)
        await call.hang_up()
    assert known[GEMINI].sessions == []
    assert had.sessions[0].setup.handle == ("h1" if resumes else None)
    assert [item.text for item in had.sessions[0].setup.history] == ([] if resumes else [PARKING])


async def test_whoever_kept_the_caller_waiting_at_the_start_and_then_refused_is_not_asked_again_at_once(
    autojump_clock: Clock,
) -> None:
    slow = FakeModel(GEMINI, opens_after_s=3.0, refusals=[ModelRefused("no")])
    async with on_three(slow) as (call, _):
        await call.until(lambda: call.record.sessions == 1)
        await call.hang_up()
    assert served_by(call) == [OPENAI]


async def test_a_caller_who_chose_a_person_in_vain_is_not_given_back_to_a_model(autojump_clock: Clock) -> None:
    down = FakeModel(GEMINI, refusals=[ModelRefused("down")] * 1000)
    tenant = TENANT.model_copy(update={"models": (GEMINI,)})
    async with on_call(down, tenant=tenant, carrier=FakeCarrier(fails=True)) as call:
        offered = TENANT.script.offer_person
        await call.until(lambda: any(one.text == offered for one in call.record.utterances), within_s=60)
        call.rig.phone.key("2")
        await call.until(lambda: call.record.utterances[-1].text == TENANT.script.no_person)
        down.refusals.clear()
        outcome = await call.end()
    assert down.sessions == []
    assert outcome.reason is Reason.SCRIPT_ENDED
