"""Who may come in, how each call stands, and drain."""

import pytest
import trio
import trio.testing

from engine.call.entries import REMEMBERED_CALLS, REMEMBERED_S
from engine.call.outcome import Reason
from engine.call.switchboard import Switchboard
from engine.call.switchboard_types import Admission, EndState
from tests.call.desk import OTHER, TENANT, open_desk

Clock = trio.testing.MockClock
Patch = pytest.MonkeyPatch


async def test_a_worker_takes_as_many_calls_as_it_may(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with open_desk(monkeypatch, max_calls=2) as desk:
        legs = [await desk.take(sid, OTHER) for sid in ("CA1", "CA2")]
        assert desk.board.admission(OTHER) is Admission.FULL
        await desk.end(legs[0], Reason.AGENT_ENDED)
        assert desk.board.admission(OTHER) is Admission.ADMITTED
        await desk.end(legs[1], Reason.AGENT_ENDED)
        assert desk.board._admissions.statistics().on_line == 0


async def test_a_tenant_takes_as_many_calls_as_its_quota_allows_and_harms_no_other(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        legs = [await desk.take(sid) for sid in ("CA1", "CA2", "CA3")]
        assert desk.board.admission(TENANT) is Admission.TENANT_FULL
        assert desk.board.admission(OTHER) is Admission.ADMITTED
        await desk.end(legs[1], Reason.LINE_BROKEN)
        assert desk.board.admission(TENANT) is Admission.ADMITTED


async def test_a_draining_worker_takes_nobody_and_finishes_what_it_has(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take()
        desk.board.begin_drain()
        desk.board.begin_drain()
        assert desk.board.admission(OTHER) is Admission.DRAINING
        assert desk.board.statistics().draining
        assert desk.board.end_reason("CA1") is EndState.LIVE
        await desk.end(leg, Reason.AGENT_ENDED)
        assert desk.reasons() == [("CA1", "agent_ended")]


async def test_the_statistics_tell_who_is_on_the_line(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take()
        await desk.take("CA2", OTHER)
        await trio.sleep(5)
        seen = desk.board.statistics()
        assert (seen.calls_now, seen.capacity, seen.draining) == (2, 10, False)
        assert [(call.call_sid, call.tenant_id, call.age_s, call.floor) for call in seen.calls] == [
            ("CA1", "acme", 5.0, "nobody"),
            ("CA2", "bakery", 5.0, "nobody"),
        ]
        assert desk.services.metrics.calls_now._value.get() == 2
        await desk.end(leg, Reason.AGENT_ENDED)
        assert desk.services.metrics.calls_now._value.get() == 1


async def test_a_call_that_rings_twice_is_one_call(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with open_desk(monkeypatch) as desk:
        desk.board.ring("CA1", "acme", "+15550100001", "+15550100100")
        assert await desk.board.take_over("CA1") == 1
        desk.board.ring("CA1", "acme", "+15550100002", "+15550100100")
        assert await desk.board.take_over("CA1") == 2
        leg = await desk.take()
        assert leg.record is not None
        assert leg.record.caller == "+15550100001"
        assert leg.record.started_at == trio.current_time()


async def test_an_attempt_of_a_call_that_never_rang_here_is_its_first(monkeypatch: Patch) -> None:
    async with open_desk(monkeypatch) as desk:
        assert [await desk.board.take_over("CA9"), await desk.board.take_over("CA9")] == [1, 1]


@pytest.mark.parametrize("reason", list(Reason))
async def test_how_a_call_stands_follows_from_its_outcome(
    reason: Reason, monkeypatch: Patch, autojump_clock: Clock
) -> None:
    on_purpose = {Reason.AGENT_ENDED, Reason.MESSAGE_TAKEN, Reason.SCRIPT_ENDED, Reason.CALLER_HUNG_UP}
    async with open_desk(monkeypatch) as desk:
        assert desk.board.end_reason("CA1") is EndState.UNKNOWN
        desk.board.ring("CA1", "acme", "", "")
        assert desk.board.end_reason("CA1") is EndState.UNKNOWN
        leg = await desk.take()
        assert desk.board.end_reason("CA1") is EndState.LIVE
        await desk.end(leg, reason)
        expected = EndState.ENDED if reason in on_purpose else EndState.LOST
        assert desk.board.end_reason("CA1") is (EndState.TRANSFERRING if reason is Reason.TRANSFERRED else expected)


async def test_a_call_that_is_being_transferred_is_known_before_its_line_has_gone(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take()
        assert leg.record is not None
        leg.record.outcome = leg.outcome.of(Reason.TRANSFERRED)
        assert desk.board.end_reason("CA1") is EndState.TRANSFERRING


# --- memory ----------------------------------------------------------------------------------------------------------


def remembered(board: Switchboard) -> list[str]:
    return board._entries.sids()


async def test_calls_that_only_rang_are_forgotten_the_oldest_first(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with open_desk(monkeypatch) as desk:
        for number in range(REMEMBERED_CALLS + 3):
            desk.board.ring(f"CA{number}", "acme", "", "")
        held = remembered(desk.board)
        assert len(held) == REMEMBERED_CALLS
        assert held[0] == "CA3"
        await trio.sleep(REMEMBERED_S + 1)
        desk.board.ring("CAlast", "acme", "", "")
        assert remembered(desk.board) == ["CAlast"]


async def test_a_long_call_does_not_keep_all_later_ones_in_memory(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with open_desk(monkeypatch) as desk:
        await desk.take("CAlong")
        for number in range(REMEMBERED_CALLS + 3):
            desk.board.ring(f"CA{number}", "acme", "", "")
        assert len(remembered(desk.board)) <= REMEMBERED_CALLS + 1
        await trio.sleep(REMEMBERED_S + 1)
        desk.board.ring("CAlast", "acme", "", "")
        assert sorted(remembered(desk.board)) == ["CAlast", "CAlong"]
        assert desk.board.end_reason("CAlong") is EndState.LIVE


async def test_how_a_long_call_ended_is_known_for_a_while(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take("CAlong")
        await trio.sleep(REMEMBERED_S + 1)
        await desk.end(leg, Reason.AGENT_ENDED)
        desk.board.ring("CAnext", "acme", "", "")
        assert desk.board.end_reason("CAlong") is EndState.ENDED
        await trio.sleep(REMEMBERED_S + 1)
        desk.board.ring("CAlast", "acme", "", "")
        assert desk.board.end_reason("CAlong") is EndState.UNKNOWN


async def test_a_long_call_that_breaks_is_remembered_from_then_on(monkeypatch: Patch, autojump_clock: Clock) -> None:
    """Its age counts from when it was last on the line: else nothing of it would be there to recover."""
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take("CAlong")
        await trio.sleep(REMEMBERED_S + 1)
        await desk.end(leg, Reason.LINE_BROKEN)
        desk.board.ring("CAnext", "acme", "", "")
        back = await desk.take("CAlong", attempt=1)
        assert back.record is leg.record
        await desk.end(back, Reason.AGENT_ENDED)
        assert desk.reasons() == [("CAlong", "agent_ended")]
