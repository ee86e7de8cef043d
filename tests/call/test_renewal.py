"""A session that must end is followed by another one in mid-conversation, and the caller hears nothing of it."""

import dataclasses
from collections.abc import Sequence

import trio
import trio.testing

from engine.call.renewal import MARGIN_S, SHORTEST_S
from engine.errors import ModelClosed, ModelRefused
from engine.messages import ResumeHandle, SessionExpiring
from tests.call.caller import PARKING, OnCall, on_call
from tests.call.model import CAPABILITIES, FakeModel, Session, Step, says

Clock = trio.testing.MockClock


def unheard_of(call: OnCall) -> None:
    """No script, no loss, no apology."""
    assert "script" not in call.kinds()
    assert "model_lost" not in call.kinds()


async def test_a_session_that_expires_is_followed_by_a_fresh_one_that_knows_the_conversation(
    autojump_clock: Clock,
) -> None:
    async with on_call(FakeModel(hears=[PARKING])) as call:
        await call.quiet()
        await call.say()
        await trio.sleep(SHORTEST_S)
        first = call.session
        first.emit([ResumeHandle("h1"), SessionExpiring(50.0)])
        await call.until(lambda: first.closed)
        second = call.session
        assert second.setup.handle is None
        assert [item.text for item in second.setup.history] == ["Hello.", PARKING, "An answer."]
        assert call.record.handle is None
        await call.say()
        await call.until(lambda: len(second.commits) == 1)
        await trio.sleep(2)
        await call.hang_up()
    unheard_of(call)
    assert len(first.commits) == 1
    assert call.record.sessions == 2
    assert second.spoke == [], "it goes on; it does not greet"


async def test_what_the_caller_is_saying_is_told_to_the_successor_from_its_beginning(autojump_clock: Clock) -> None:
    async with on_call(FakeModel()) as call:
        await call.quiet()
        await trio.sleep(SHORTEST_S)
        first = call.session
        call.speaking = True
        await trio.sleep(2.0)
        first.emit([SessionExpiring(50.0)])
        await call.until(lambda: first.closed)
        await trio.sleep(1.0)
        call.speaking = False
        await call.until(lambda: len(call.session.commits) == 1)
        second = call.session
        await call.hang_up()
    assert first.commits == []
    assert (second.opened, second.commits[0].turn_id) == (1, 1)
    assert second.heard.startswith(first.heard), "not one window is missing"
    assert len(second.heard) >= 8 * 3000
    unheard_of(call)


async def test_an_answer_that_is_owed_is_waited_for(autojump_clock: Clock) -> None:
    def answer(session: Session) -> Sequence[Step]:
        return [SessionExpiring(50.0), 1.0, *says("Late, but here.")]

    async with on_call(FakeModel(answer=answer)) as call:
        await call.quiet()
        await trio.sleep(SHORTEST_S)
        await call.say()
        await call.until(lambda: call.record.sessions == 2)
        await trio.sleep(1)  # it is still being heard
        await call.hang_up()
    assert "Late, but here." in [line["text"] for line in call.record.transcript()]
    assert not any(line["cut"] for line in call.record.transcript())
    unheard_of(call)


async def test_our_own_clock_renews_a_connection_whose_provider_says_nothing(autojump_clock: Clock) -> None:
    limited = dataclasses.replace(CAPABILITIES, connection_limit_s=MARGIN_S + 20.0)
    async with on_call(FakeModel(capabilities=limited)) as call:
        await call.quiet()
        for _ in range(5):
            await trio.sleep(10)
            await call.say()
        await call.hang_up()
    assert len(call.model.sessions) == 3
    unheard_of(call)


async def test_a_successor_that_missed_an_answer_is_let_go(autojump_clock: Clock) -> None:
    async with on_call(FakeModel()) as call:
        await call.quiet()
        await trio.sleep(SHORTEST_S)
        call.model.opens_after_s = 1.5
        first = call.session
        first.emit([SessionExpiring(50.0)])
        await call.say(600)  # asked and answered before the successor is open
        await call.until(lambda: first.closed)
        stale, second = call.model.sessions[1:]
        assert stale.closed
        assert len(second.setup.history) > len(stale.setup.history)
        await call.hang_up()
    assert len(first.commits) == 1
    unheard_of(call)


async def test_refused_successors_are_followed_by_others_until_one_is_open(autojump_clock: Clock) -> None:
    async with on_call(FakeModel()) as call:
        await call.quiet()
        await trio.sleep(SHORTEST_S)
        call.model.refusals += [ModelRefused("busy"), ModelRefused("busy")]
        first = call.session
        first.emit([SessionExpiring(50.0)])
        await call.until(lambda: first.closed)
        await call.hang_up()
    assert len(call.moments("model_refused")) == 2
    unheard_of(call)


async def test_an_answer_that_outlasts_its_session_is_finished_by_the_one_that_stood_by(
    autojump_clock: Clock,
) -> None:
    def answer(session: Session) -> Sequence[Step]:
        if len(session.model.sessions) == 1:
            half = says("The first half of it", ms=2000)[:2]
            return [SessionExpiring(2.5), *half, 2.0, ModelClosed("deadline", code=1011)]
        return says("and the rest.")

    async with on_call(FakeModel(hears=[PARKING], answer=answer)) as call:
        await call.quiet()
        await trio.sleep(SHORTEST_S)
        await call.say()
        await call.until(lambda: call.record.sessions == 2)
        second = call.session
        await call.until(lambda: call.record.floor == "nobody")
        await call.say()
        await trio.sleep(2)
        await call.hang_up()
    (rest,) = second.spoke
    assert "The first half of it" in rest.instruction
    assert PARKING in rest.instruction, "it may have been opened before that was asked"
    assert len(second.commits) == 1, "and it goes on with the conversation"
    unheard_of(call)


async def test_a_session_that_ends_before_it_answers_leaves_the_caller_no_longer_wait_in_silence(
    autojump_clock: Clock,
) -> None:
    def answer(session: Session) -> Sequence[Step]:
        if len(session.model.sessions) == 1:
            return [SessionExpiring(2.5), 0.4, ModelClosed("deadline", code=1011)]
        return [1.0, *says("At last.")]

    async with on_call(FakeModel(hears=[PARKING], answer=answer)) as call:
        await call.quiet()
        await trio.sleep(SHORTEST_S)
        await call.say()
        await call.until(lambda: call.record.sessions == 2)
        (ended,) = (moment.at_ms for moment in call.record.timeline if moment.kind == "handover")
        company = [moment.at_ms for moment in call.record.timeline if moment.kind == "filler"]
        await call.until(lambda: call.record.floor == "nobody")
        await call.hang_up()
    assert company == [ended], "the watch begins anew with the session, the caller's wait does not"
    unheard_of(call)


async def test_a_successor_that_was_still_being_opened_when_all_was_lost_is_not_kept_open(
    autojump_clock: Clock,
) -> None:
    async with on_call(FakeModel()) as call:
        await call.quiet()
        await trio.sleep(SHORTEST_S)
        call.model.opens_after_s = 3.0
        call.session.emit([SessionExpiring(1.0), 0.5, ModelClosed("too late", code=1011)])
        await call.until(lambda: call.record.sessions == 2)
        await trio.sleep(5)
        assert [session.closed for session in call.model.sessions].count(False) == 1
        await call.hang_up()


async def test_a_session_that_ends_before_its_successor_is_there_is_lost_like_any_other(autojump_clock: Clock) -> None:
    async with on_call(FakeModel()) as call:
        await call.quiet()
        await trio.sleep(SHORTEST_S)
        call.model.refusals += [ModelRefused("busy")] * 3
        call.session.emit([SessionExpiring(0.1), 0.1, ModelClosed("too late", code=1011)])
        await call.until(lambda: "model_lost" in call.kinds())
        await call.until(lambda: call.record.sessions == 2)
        await call.hang_up()
    assert "script" in call.kinds()
