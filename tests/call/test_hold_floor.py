"""Who holds the floor of a whole call, one after the other, and how a call ends that was meant to."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing

from engine.call.carrier_end import GOODBYE_PATIENCE_S, TRANSFER_PATIENCE_S
from engine.call.outcome import OutcomeClass, Reason
from engine.errors import ModelClosed, ModelRefused
from engine.messages import ResumeHandle, ToolCallRequested
from tests.call.caller import PARKING, TENANT, FakeCarrier, on_call
from tests.call.model import FakeModel, Session, Step, says

Clock = trio.testing.MockClock


# --- the call ends on purpose ----------------------------------------------------------------------------------------


def wishes(name: str, **arguments: Any) -> FakeModel:
    return FakeModel(answer=lambda session: [ToolCallRequested("c1", name, arguments)])


@pytest.mark.parametrize("fails", [False, True])
async def test_an_agent_that_ends_the_call_has_said_goodbye_and_then_the_carrier_is_told(
    fails: bool, autojump_clock: Clock
) -> None:
    carrier = FakeCarrier(fails=fails)
    async with on_call(wishes("end_call", reason="all done"), carrier=carrier) as call:
        await call.quiet()
        await call.say()
        outcome = await call.end()
    assert (outcome.reason, outcome.detail) == (Reason.AGENT_ENDED, "all done")
    assert carrier.ended == ["CA1"]
    assert call.record.transcript()[-1]["text"] == "It is done."
    assert not call.record.transcript()[-1]["cut"]


async def test_without_a_carrier_to_tell_the_call_ends_all_the_same(autojump_clock: Clock) -> None:
    async with on_call(wishes("end_call")) as call:
        await call.quiet()
        await call.say()
        assert (await call.end()).reason is Reason.AGENT_ENDED


async def test_a_transfer_is_decided_before_the_carrier_is_asked(autojump_clock: Clock) -> None:
    """The stream's stop may come before the answer to our request; it must not look like a caller who hung up."""
    carrier = FakeCarrier()
    async with on_call(wishes("transfer_call"), carrier=carrier) as call:
        carrier.on_redirect = call.rig.phone.stop
        await call.quiet()
        await call.say()
        outcome = await call.end()
    assert (outcome.reason, outcome.detail) == (Reason.TRANSFERRED, "Ann")
    assert carrier.ended == []
    ((call_sid, twiml),) = carrier.redirected
    assert call_sid == "CA1"
    assert "+15550100200" in twiml


async def test_a_transfer_that_the_carrier_will_not_do_leaves_the_caller_with_us(autojump_clock: Clock) -> None:
    async with on_call(wishes("transfer_call"), carrier=FakeCarrier(fails=True)) as call:
        await call.quiet()
        await call.say()
        await call.until(lambda: call.record.floor == "script")
        assert call.record.outcome is None
        await call.until(lambda: "script" in call.kinds())
        assert call.record.utterances[-1].text == TENANT.script.no_person
        assert (await call.hang_up()).reason is Reason.CALLER_HUNG_UP


async def test_a_carrier_that_does_not_answer_a_transfer_leaves_nobody_in_silence(autojump_clock: Clock) -> None:
    async with on_call(wishes("transfer_call"), carrier=FakeCarrier(answers_after_s=60.0)) as call:
        await call.quiet()
        await call.say()
        await call.until(lambda: "transfer" in call.kinds())
        asked_at = trio.current_time()
        await call.until(lambda: "transfer_failed" in call.kinds())
        assert trio.current_time() - asked_at < TRANSFER_PATIENCE_S + 0.1
        await call.until(lambda: call.record.floor == "script")
        said = [moment for moment in call.record.timeline if moment.kind == "filler"]
        assert [moment.text for moment in said] == list(TENANT.script.company)
        assert (await call.hang_up()).reason is Reason.CALLER_HUNG_UP


async def test_a_carrier_that_does_not_answer_a_goodbye_is_left_to_notice_the_end_of_the_stream(
    autojump_clock: Clock,
) -> None:
    async with on_call(wishes("end_call", reason="all done"), carrier=FakeCarrier(answers_after_s=60.0)) as call:
        await call.quiet()
        await call.say()
        await call.until(lambda: call.record.outcome is not None)
        decided_at = trio.current_time()
        outcome = await call.end()
        assert trio.current_time() - decided_at < GOODBYE_PATIENCE_S + 0.5
    assert outcome.reason is Reason.AGENT_ENDED


# --- the model is lost -----------------------------------------------------------------------------------------------


async def test_a_lost_model_is_followed_by_the_script_and_its_successor_resumes(autojump_clock: Clock) -> None:
    def answer(session: Session) -> Sequence[Step]:
        if len(session.model.sessions) == 1:
            return [ResumeHandle("h1"), ModelClosed("gone", code=1011)]
        return says("Here again.")

    async with on_call(FakeModel(answer=answer)) as call:
        await call.quiet()
        await call.say()
        await call.until(lambda: call.record.sessions == 2)
        await call.until(lambda: call.record.floor == "nobody")
        await call.hang_up()
    assert [session.setup.handle for session in call.model.sessions] == [None, "h1"]
    assert [facts["kind"] for facts in call.moments("model_lost")] == ["closed"]
    assert [utterance.role for utterance in call.record.utterances][:2] == ["agent", "script"]


async def test_a_model_that_is_gone_for_good_is_followed_by_its_other_endpoint(autojump_clock: Clock) -> None:
    def answer(session: Session) -> Sequence[Step]:
        session.model.refusals += [ModelRefused("gone")] * 100
        return [ResumeHandle("h1"), ModelClosed("gone", code=1011)]

    first, backup = FakeModel(answer=answer), FakeModel("gemini-live-backup")
    async with on_call(first, providers={model.name: model for model in (first, backup)}) as call:
        await call.quiet()
        await call.say()
        await call.until(lambda: bool(backup.sessions))
        await call.until(lambda: call.record.floor == "nobody")
        await call.say()
        await call.until(lambda: len(backup.sessions[0].commits) == 1)
        await call.hang_up()
    (session,) = backup.sessions
    assert session.setup.handle is None, "a handle is its own provider's"
    assert [item.text for item in session.setup.history][:1] == ["Hello."]
    assert call.record.provider == "gemini-live-backup"


async def test_a_call_whose_first_model_refuses_begins_with_its_other_endpoint(autojump_clock: Clock) -> None:
    first, backup = FakeModel(refusals=[ModelRefused("quota")] * 100), FakeModel("gemini-live-backup")
    async with on_call(first, providers={model.name: model for model in (first, backup)}) as call:
        await call.quiet()
        await call.hang_up()
    assert [item.role for item in call.record.utterances] == ["agent"], "the script was not needed"


async def test_a_handle_that_is_refused_for_good_is_forgotten_and_the_transcript_takes_its_place(
    autojump_clock: Clock,
) -> None:
    model = FakeModel(hears=[PARKING])

    def answer(session: Session) -> Sequence[Step]:
        model.refusals.append(ModelRefused("bad handle", resumable=False))
        return [ResumeHandle("h1"), ModelClosed("gone", code=1011)]

    model.answer = answer
    async with on_call(model) as call:
        await call.quiet()
        await call.say()
        await call.until(lambda: call.record.sessions == 2)
        await call.hang_up()
    fresh = call.model.sessions[-1].setup
    assert fresh.handle is None
    assert [(item.role, item.text) for item in fresh.history] == [("agent", "Hello."), ("caller", PARKING)]


async def test_a_model_that_opens_too_slowly_leaves_the_greeting_to_the_script_and_takes_over_later(
    autojump_clock: Clock,
) -> None:
    async with on_call(FakeModel(opens_after_s=3.0)) as call:
        await call.until(lambda: call.record.floor == "script", within_s=1.3)
        await call.until(lambda: call.record.sessions == 1)
        await call.quiet()
        await call.hang_up()
    assert call.record.utterances[0].text == TENANT.greeting
    assert len(call.model.sessions) == 1


async def test_a_tenant_without_a_model_is_served_by_the_script(autojump_clock: Clock) -> None:
    async with on_call(providers={}) as call:
        await call.until(lambda: call.record.floor == "script", within_s=0.1)
        outcome = await call.end()
    assert (outcome.outcome, outcome.reason) == (OutcomeClass.UPSTREAM, Reason.SCRIPT_ENDED)
