"""Two switchboards over one live store: whose a call is, what travels with it, and who ends it."""

import pytest
import trio
import trio.testing

from engine.call.moves import INVITED_S
from engine.call.outcome import Reason
from engine.call.sweep import LEFT_AFTER_S, LOOK_EVERY_S, WELL_FOR_S
from engine.call.switchboard_types import EndState
from engine.store.live_calls import ClaimRefused
from tests.call.desk import open_desk
from tests.call.two_desks import recover, said, spoke, two

Clock = trio.testing.MockClock
Patch = pytest.MonkeyPatch


async def test_a_call_goes_on_at_another_worker_and_ends_there_once(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with two(monkeypatch) as (a, b, _):
        leg = await a.take(token="t0")
        await spoke(leg, "Is there parking?")
        await b.board.look_up("CA1", "acme", within_s=0.3, patient=False)
        assert b.board.end_reason("CA1") is EndState.LIVE
        assert await recover(b) == 1
        assert b.board.end_reason("CA1") is EndState.LOST
        back = await b.take(attempt=1, token="t1")
        await trio.sleep(2)
        assert [lost.reason for lost in leg.told] == ["moved"]
        assert back.record is not None
        assert back.record is not leg.record
        assert (back.record.caller, back.record.utterances[0].text) == ("+15550100001", "Is there parking?")
        await spoke(back, "And on Sundays?", 2)
        await b.end(back, Reason.AGENT_ENDED)
        b.board.end_is_kept("CA1")
        await trio.sleep(300)
        assert a.left() == []
        assert a.board.end_reason("CA1") is EndState.UNKNOWN
        assert said(b) == ["Is there parking?", "And on Sundays?"]


async def test_a_call_that_has_moved_is_not_ended_by_what_its_old_line_still_decides(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with two(monkeypatch) as (a, b, _):
        leg = await a.take(token="t0")
        await spoke(leg, "Is there parking?")
        monkeypatch.setattr(leg, "end", leg.told.append)
        await recover(b)
        back = await b.take(attempt=1, token="t1")
        await trio.sleep(2)
        assert [lost.reason for lost in leg.told] == ["moved"]
        await a.end(leg, Reason.AGENT_ENDED)
        await trio.sleep(1)
        assert a.left() == []
        assert a.board.statistics().calls_now == 0
        await b.end(back, Reason.CALLER_HUNG_UP)
        await trio.sleep(10)
        assert b.reasons() == [("CA1", "caller_hung_up")]


async def test_attempts_are_counted_over_all_workers(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with two(monkeypatch) as (a, b, _):
        leg = await a.take(token="t0")
        await trio.sleep(1)
        await a.end(leg, Reason.LINE_BROKEN)
        assert [await recover(desk) for desk in (b, a, b, b)] == [1, 2, 3, 4]


async def test_a_line_that_broke_at_one_worker_is_taken_over_by_another_and_waited_for_there(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with two(monkeypatch) as (a, b, _):
        leg = await a.take(token="t0")
        await spoke(leg, "Is there parking?")
        await a.end(leg, Reason.LINE_BROKEN)
        await recover(b)
        await trio.sleep(INVITED_S - 1)
        assert (a.left(), b.left(), a.tasks(), b.tasks()) == ([], [], 0, 1)
        await trio.sleep(2)
        assert a.left() == []
        assert b.reasons() == [("CA1", "line_broken")]
        assert said(b) == ["Is there parking?"]


async def test_a_call_that_was_taken_in_the_last_moment_is_not_ended_by_who_waited(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with two(monkeypatch) as (a, b, live):
        leg = await a.take(token="t0")
        await spoke(leg, "Is there parking?")
        await a.end(leg, Reason.LINE_BROKEN)
        await trio.sleep(19.99)
        await live.claim("acme", "CA1", "b")  # too short before its patience ends to have been told otherwise
        await trio.sleep(5)
        assert a.left() == []
        assert b.left() == []


async def test_a_token_opens_one_stream_at_one_of_the_workers(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with two(monkeypatch) as (a, b, _):
        leg = await a.take(token="t0")
        assert (await b.take(token="t0")).refused is ClaimRefused.USED
        assert (await b.take(token="t1")).refused is ClaimRefused.LIVE
        await trio.sleep(5)
        assert leg.told == []
        assert b.left() == []


@pytest.mark.parametrize(
    ("reason", "stands"),
    [
        (Reason.AGENT_ENDED, EndState.ENDED),
        (Reason.CALLER_HUNG_UP, EndState.ENDED),
        (Reason.TRANSFERRED, EndState.TRANSFERRING),
        (Reason.LINE_BROKEN, EndState.LOST),
    ],
)
async def test_how_a_call_ended_is_known_at_every_worker(
    reason: Reason, stands: EndState, monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with two(monkeypatch) as (a, b, _):
        await a.end(await a.take(token="t0"), reason)
        await trio.sleep(1)
        await b.board.look_up("CA1", "acme", within_s=1.0)
        assert b.board.end_reason("CA1") is stands
        await trio.sleep(60)
        a.board.end_is_kept("CA1")
        await trio.sleep(1)
        await b.board.look_up("CA1", "acme", within_s=1.0)
        assert b.board.end_reason("CA1") is stands
        await b.board.look_up("CA2", "acme", within_s=1.0)
        assert b.board.end_reason("CA2") is EndState.UNKNOWN


@pytest.mark.parametrize("broken", [False, True])
async def test_the_carriers_word_ends_a_call_at_whichever_worker_it_is(
    broken: bool, monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with two(monkeypatch) as (a, b, _):
        leg = await a.take(token="t0")
        await trio.sleep(1)
        if broken:
            await a.end(leg, Reason.LINE_SILENT)
        b.board.carrier_says_ended("CA1", "call status completed", tenant_id="acme")
        await trio.sleep(2.5)
        assert a.reasons() == [("CA1", "line_silent" if broken else "caller_hung_up")]
        assert b.left() == []


async def test_a_worker_that_is_shut_down_ends_no_call_that_may_come_back(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with two(monkeypatch) as (a, b, _):
        live = await a.take("CA1", token="t0")
        broken = await a.take("CA2", token="t1")
        await spoke(live, "Is there parking?")
        await spoke(broken, "Who are you?")
        await a.end(broken, Reason.LINE_BROKEN)
        a.board.move_all()
        await live.left.wait()
        a.running.cancel()
        await a.board.flush()
        assert a.left() == []
        assert await recover(b) == 1
        back = await b.take(attempt=1, token="t2")
        assert back.record is not None
        assert back.record.utterances[0].text == "Is there parking?"
        await trio.sleep(LEFT_AFTER_S + WELL_FOR_S + 3 * LOOK_EVERY_S)
        assert b.reasons() == [("CA2", "line_broken")], "nobody asked for it: swept; the other one is live"
        assert [line["text"] for line in b.left()[0].document["transcript"]] == ["Who are you?"]
        await b.end(back, Reason.AGENT_ENDED)
        assert sorted(b.reasons()) == [("CA1", "agent_ended"), ("CA2", "line_broken")]


async def test_a_call_that_was_decided_to_end_is_not_moved(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with two(monkeypatch) as (a, _, _live):
        leg = await a.take(token="t0")
        assert leg.record is not None
        leg.record.outcome = leg.outcome.of(Reason.TRANSFERRED)
        a.board.move_all()
        await trio.sleep(1)
        assert leg.told == []


async def test_without_a_store_that_others_see_a_worker_that_goes_ends_its_calls(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take(token="t0")
        desk.board.move_all()
        await leg.left.wait()
        assert desk.reasons() == [("CA1", "drained")]
