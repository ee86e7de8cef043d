"""Exactly one end per call, however many lines it had and whoever says that it is over."""

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.call.outcome import Reason
from engine.call.switchboard import MAY_COME_BACK_S
from engine.call.switchboard_types import EndState
from engine.errors import StoreUnavailable
from tests.call.desk import Leg, open_desk

Clock = trio.testing.MockClock
Patch = pytest.MonkeyPatch


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in MAY_COME_BACK_S])
async def test_a_call_that_was_meant_to_end_leaves_its_end_at_once(
    reason: Reason, monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take()
        assert leg.record is not None
        leg.record.keep_message(b"\x01" * 800)
        leg.record.caller_said(1, "hello")
        await desk.end(leg, reason)
        (end,) = desk.left()
        assert (end.tenant_id, end.call_sid, end.outcome_reason) == ("acme", "CA1", str(reason))
        assert end.outcome_class == str(leg.outcome.outcome)
        assert [message.mulaw for message in end.messages] == [b"\x01" * 800]
        assert end.document["timeline"][-1]["kind"] == "ended"
        assert end.document["transcript"][0]["text"] == "hello"
        assert desk.services.metrics.calls.labels(leg.outcome.outcome, reason)._value.get() == 1


async def test_of_a_call_whose_end_is_kept_only_how_it_ended_is_remembered(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take()
        record = leg.record
        assert record is not None
        record.caller_said(1, "hello")
        await desk.end(leg, Reason.AGENT_ENDED)
        entry = desk.board._entries.get("CA1")
        assert entry is not None
        assert entry.record is record
        desk.board.end_is_kept("CA1")
        assert entry.record is not None
        assert entry.record is not record
        assert (entry.record.utterances, entry.record.timeline) == ([], [])
        assert desk.board.end_reason("CA1") is EndState.ENDED
        again = await desk.take()  # against all expectation
        assert again.record is not None
        assert again.record.next_generation() > record.generation
        await desk.end(again, Reason.AGENT_ENDED)
        assert desk.reasons() == [("CA1", "agent_ended")]


@pytest.mark.parametrize("reason", list(MAY_COME_BACK_S))
async def test_a_line_that_broke_is_waited_for_and_then_the_call_is_over(
    reason: Reason, monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take()
        await desk.end(leg, reason)
        await trio.sleep(MAY_COME_BACK_S[reason] - 0.1)
        assert desk.left() == []
        await trio.sleep(0.2)
        assert desk.reasons() == [("CA1", str(reason))]


@pytest.mark.parametrize("pause_s", [0.0, 0.9, 5.9])
@pytest.mark.parametrize("reason", list(MAY_COME_BACK_S))
async def test_a_call_that_comes_back_leaves_one_end_its_last(
    reason: Reason, pause_s: float, monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take()
        await desk.end(leg, reason)
        await trio.sleep(pause_s)
        back = await desk.take(attempt=1)
        assert back.record is leg.record
        assert back.record is not None
        assert back.record.outcome is None
        assert desk.tasks() == 0
        assert desk.board.end_reason("CA1") is EndState.LIVE
        await trio.sleep(300)
        assert desk.left() == []
        await desk.end(back, Reason.AGENT_ENDED)
        await trio.sleep(300)
        assert desk.reasons() == [("CA1", "agent_ended")]
        lines = [moment for moment in desk.kept[0].document["timeline"] if moment["kind"] == "line"]
        assert [moment["facts"]["attempt"] for moment in lines] == [0, 1]


async def test_a_call_that_comes_back_in_the_very_instant_its_line_is_gone_leaves_one_end(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    """The new stream waits for the old line to let go, and runs on before anything else has had its turn."""
    for _ in range(8):  # trio shuffles who runs first
        async with open_desk(monkeypatch) as desk:
            leg = await desk.take()
            back = Leg("CA1", leg.tenant, 1)

            async def follow(desk=desk, leg=leg, back=back) -> None:  # type: ignore[no-untyped-def]
                await leg.left.wait()
                await desk._serve(back)

            desk.nursery.start_soon(follow)
            await trio.testing.wait_all_tasks_blocked()
            desk.board.carrier_says_ended("CA1", "a recovered stream has come")
            await trio.sleep(200)
            assert desk.left() == []
            await desk.end(back, Reason.AGENT_ENDED)
            await trio.sleep(200)
            assert desk.reasons() == [("CA1", "agent_ended")]


# --- the carrier says so ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("call status completed", "caller_hung_up"),
        ("call status failed", "carrier_ended"),
        ("call status busy", "carrier_ended"),
    ],
)
async def test_a_call_status_ends_the_line_and_the_call_at_once(
    why: str, reason: str, monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take()
        desk.board.carrier_says_ended("CA1", why)
        desk.board.carrier_says_ended("CA1", "stream error")  # what comes later changes nothing
        await leg.left.wait()
        assert leg.told[0].detail == why
        assert desk.reasons() == [("CA1", reason)]


async def test_word_of_the_stream_ends_the_line_and_the_call_may_come_back(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take()
        desk.board.carrier_says_ended("CA1", "stream error")
        await leg.left.wait()
        assert [lost.reason for lost in leg.told] == ["broken"]
        await trio.sleep(1)
        assert desk.board.end_reason("CA1") is EndState.LOST
        assert desk.left() == []
        back = await desk.take(attempt=1)
        await desk.end(back, Reason.AGENT_ENDED)
        assert desk.reasons() == [("CA1", "agent_ended")]


async def test_a_call_status_ends_the_waiting_for_a_recovery(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with open_desk(monkeypatch) as desk:
        await desk.end(await desk.take(), Reason.LINE_BROKEN)
        desk.board.carrier_says_ended("CA1", "stream error")
        await trio.sleep(1)
        assert desk.left() == []
        desk.board.carrier_says_ended("CA1", "call status completed")
        await trio.sleep(0.1)
        assert desk.reasons() == [("CA1", "line_broken")]
        await trio.sleep(300)
        assert len(desk.left()) == 1


async def test_word_of_an_unknown_call_is_of_no_interest(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with open_desk(monkeypatch) as desk:
        desk.board.carrier_says_ended("CA9", "call status completed")
        desk.board.ring("CA8", "acme", "", "")
        desk.board.carrier_says_ended("CA8", "call status no-answer")
        await trio.sleep(1)
        assert desk.left() == []


# --- the process ends ------------------------------------------------------------------------------------------------


async def test_a_shutdown_wraps_up_the_calls_that_wait_for_a_recovery(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        await desk.end(await desk.take("CA1"), Reason.LINE_BROKEN)
        await desk.end(await desk.take("CA2"), Reason.LINE_SILENT)
        desk.running.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(desk.reasons()) == [("CA1", "line_broken"), ("CA2", "line_silent")]


async def test_a_call_that_is_cancelled_with_the_process_leaves_its_end_too(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take()
        desk.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await leg.left.wait()
        assert desk.reasons() == [("CA1", "drained")]
        assert desk.left()[0].outcome_class == "server"
        assert desk.board.statistics().calls_now == 0
        assert desk.board.end_reason("CA1") is EndState.LOST  # so that the carrier brings it to another worker


async def test_an_outcome_decided_before_the_process_ends_stays(monkeypatch: Patch, autojump_clock: Clock) -> None:
    async with open_desk(monkeypatch) as desk:
        leg = await desk.take()
        assert leg.record is not None
        leg.record.outcome = leg.outcome.of(Reason.TRANSFERRED)
        desk.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await leg.left.wait()
        assert desk.reasons() == [("CA1", "transferred")]


@pytest.mark.parametrize("failure", [StoreUnavailable("away"), OSError("gone"), ValueError("a bug")], ids=repr)
async def test_a_ledger_that_cannot_forget_a_call_harms_no_other(
    failure: Exception, monkeypatch: Patch, autojump_clock: Clock
) -> None:
    failures = [failure] * 3
    forgotten: list[str] = []
    async with open_desk(monkeypatch) as desk:

        async def forget_call(tenant_id: str, call_sid: str) -> None:
            if failures:
                raise failures.pop()
            forgotten.append(call_sid)

        monkeypatch.setattr(desk.services.ledger, "forget_call", forget_call)
        other = await desk.take("CA2")
        await desk.end(await desk.take("CA1"), Reason.SCRIPT_ENDED)
        assert not other.over.is_set()
        await trio.sleep(30)
        await desk.end(other, Reason.SCRIPT_ENDED)
        await trio.sleep(30)
        assert [sid for sid, _ in desk.reasons()] == ["CA1", "CA2"]
    assert forgotten == ([] if isinstance(failure, ValueError) else ["CA1", "CA2"])


async def test_ends_that_nobody_can_keep_are_counted_and_harm_no_call(
    monkeypatch: Patch, autojump_clock: Clock
) -> None:
    async with open_desk(monkeypatch, ends_queued=1) as desk:
        for number in range(3):
            await desk.end(await desk.take(f"CA{number}"), Reason.AGENT_ENDED)
        assert desk.services.metrics.dropped_messages.labels("wrap_up")._value.get() == 2
        assert desk.reasons() == [("CA0", "agent_ended")]


REASONS = [Reason.LINE_BROKEN, Reason.CALLER_HUNG_UP, Reason.AGENT_ENDED]
STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "end", "status", "stream", "wait"]), st.sampled_from(["CA1", "CA2"])),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, reasons=st.lists(st.sampled_from(REASONS), min_size=8, max_size=8))
def test_whatever_happens_to_lines_each_call_leaves_exactly_one_end(
    steps: list[tuple[str, str]], reasons: list[Reason], monkeypatch: Patch
) -> None:
    async def main() -> None:
        live: dict[str, Leg] = {}
        closed: set[str] = set()  # ended on purpose, or waited for in vain: such a call does not come back
        served: set[str] = set()
        outcomes = iter(reasons * 2)
        async with open_desk(monkeypatch) as desk:
            for what, sid in steps:
                if what == "take" and sid not in live and sid not in closed:
                    live[sid] = await desk.take(sid)
                    served.add(sid)
                elif what == "end" and sid in live:
                    reason = next(outcomes)
                    await desk.end(live.pop(sid), reason)
                    if reason is Reason.AGENT_ENDED:
                        closed.add(sid)
                elif what in {"status", "stream"}:
                    desk.board.carrier_says_ended(sid, "call status completed" if what == "status" else "stream error")
                    if sid in live:
                        await live.pop(sid).left.wait()
                    await trio.testing.wait_all_tasks_blocked()
                    if what == "status" and sid in served:
                        closed.add(sid)
                elif what == "wait":
                    await trio.sleep(300)
                    closed |= served - set(live)
                ends = [end.call_sid for end in desk.left()]
                assert len(ends) == len(set(ends))
                assert not set(ends) & set(live)
                assert desk.board.statistics().calls_now == len(live)
            for leg in live.values():
                await desk.end(leg, Reason.AGENT_ENDED)
            desk.running.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert sorted(end.call_sid for end in desk.left()) == sorted(served)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
