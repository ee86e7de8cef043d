"""Calls are served whatever becomes of the live store: it is waited for a moment, and caught up with."""

from typing import Any

import pytest
import trio
import trio.testing

from engine.call.elsewhere import CLAIM_S, RECOVERY_S, SKIPPED_S
from engine.call.outcome import Reason
from engine.call.sweep import LEFT_AFTER_S
from engine.errors import StoreUnavailable
from tests.call.two_desks import recover, said, spoke, two

Clock = trio.testing.MockClock
Patch = pytest.MonkeyPatch


async def test_a_stream_waits_for_its_claim_a_moment_only_and_is_written_behind_all_the_same(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with two(monkeypatch) as (a, b, live):
        live.slow_s = 2.0
        began = trio.current_time()
        leg = await a.take(token="t0")
        while leg.record is None:
            await trio.sleep(0.01)
        assert trio.current_time() - began <= CLAIM_S + 0.02
        live.slow_s = 0.0
        await spoke(leg, "Is there parking?")
        await trio.sleep(6)
        assert await recover(b) == 1
        back = await b.take(attempt=1, token="t1")
        assert back.record is not None
        assert [one.text for one in back.record.utterances] == ["Is there parking?"]


async def test_a_call_that_was_taken_while_the_store_was_away_is_claimed_when_it_is_back(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with two(monkeypatch) as (a, b, live):
        live.away = True
        leg = await a.take(token="t0")
        await spoke(leg, "Is there parking?")
        live.away = False
        await trio.sleep(6)
        assert await recover(b) == 1
        back = await b.take(attempt=1, token="t1")
        assert back.record is not None
        assert [one.text for one in back.record.utterances] == ["Is there parking?"]


async def test_what_was_said_elsewhere_comes_late_but_comes(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with two(monkeypatch) as (a, b, live):
        await spoke(await a.take(token="t0"), "Is there parking?")
        live.slow_s = 3.0
        began = trio.current_time()
        await recover(b)
        assert trio.current_time() - began <= 2 * RECOVERY_S + 0.01
        back = await b.take(attempt=1, token="t1")
        while back.record is None:
            await trio.sleep(0.01)
        back.record.caller_said(7, "Hello?")
        live.slow_s = 0.0
        await trio.sleep(20)
        assert [one.text for one in back.record.utterances] == ["Is there parking?", "Hello?"]
        await b.end(back, Reason.AGENT_ENDED)
        b.board.end_is_kept("CA1")
        await trio.sleep(300)
        assert a.left() == []
        assert said(b) == ["Is there parking?", "Hello?"]


async def test_new_calls_do_not_wait_again_and_again_for_a_store_that_hangs(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with two(monkeypatch) as (a, _, live):
        live.slow_s = 60.0

        async def waited(*, patient: bool) -> float:
            began = trio.current_time()
            await a.board.look_up("CA9", "acme", within_s=0.3, patient=patient)
            return trio.current_time() - began

        assert await waited(patient=False) == pytest.approx(0.3)
        assert await waited(patient=False) == 0
        assert await waited(patient=True) == pytest.approx(0.3), "a call that has lost its stream is worth it"
        await trio.sleep(SKIPPED_S + 0.1)
        assert await waited(patient=False) == pytest.approx(0.3)


async def test_calls_are_served_and_ended_without_any_store(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with two(monkeypatch) as (a, _, live):
        live.away = True
        leg = await a.take(token="t0")
        assert leg.record is not None
        await a.end(leg, Reason.LINE_BROKEN)
        assert await recover(a) == 1
        back = await a.take(attempt=1, token="t1")
        assert back.record is leg.record
        await a.end(back, Reason.AGENT_ENDED)
        assert a.reasons() == [("CA1", "agent_ended")]
        dropped = await a.take("CA2", token="t2")
        a.board.move_all()
        await dropped.left.wait()
        assert ("CA2", "drained") in a.reasons(), "nobody else can know of it"


async def test_a_store_that_was_away_for_all_is_no_reason_to_end_calls_that_live(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with two(monkeypatch) as (a, b, live):
        legs = [await a.take("CA1", token="t0"), await b.take("CA2", token="t1")]
        await trio.sleep(60)
        keep_many = live.keep_many

        async def away(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("away")

        monkeypatch.setattr(live, "keep_many", away)
        await trio.sleep(3 * LEFT_AFTER_S)
        monkeypatch.setattr(live, "keep_many", keep_many)
        await trio.sleep(3 * LEFT_AFTER_S)
        assert [leg.told for leg in legs] == [[], []]
        assert (a.left(), b.left()) == ([], [])
