"""What is written behind: soon, together, never in the way; and what its answers mean."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from engine.call.entries import Entry
from engine.call.outcome import Outcome, Reason
from engine.call.record import CallRecord
from engine.call.write_behind import ALIVE_S, ASK_S, AT_ONCE, PACE_S, ROUND_S, WriteBehind
from engine.errors import StoreUnavailable
from engine.metrics import Metrics
from engine.store.live_calls import CallKey, KeptCall, LiveCall, LiveState, MemoryLiveCalls, Standing, StreamProof

Clock = trio.testing.MockClock


class Watched(MemoryLiveCalls):
    """A store that counts its rounds, and may be away, or slow."""

    def __init__(self) -> None:
        super().__init__(shared=True)
        self.rounds: list[tuple[float, list[KeptCall], list[CallKey]]] = []
        self.trouble: Callable[[], None] = lambda: None
        self.slow_s = 0.0

    async def keep_many(self, kept: Sequence[KeptCall], ask: Sequence[CallKey] = ()) -> list[Standing]:
        self.rounds.append((trio.current_time(), list(kept), list(ask)))
        await trio.sleep(self.slow_s)
        self.trouble()
        return await super().keep_many(kept, ask)

    @property
    def written(self) -> list[KeptCall]:
        return [one for _, kept, _ in self.rounds for one in kept]


@dataclass
class Bench:
    store: Watched
    behind: WriteBehind
    metrics: Metrics
    moved: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)

    async def own(self, call_sid: str = "CA1") -> tuple[Entry, CallRecord]:
        entry = Entry(call_sid, "acme", "+1", 0.0)
        entry.record = CallRecord(call_sid=call_sid, tenant_id="acme", caller="+1", started_at=trio.current_time())
        claimed = await self.store.claim("acme", call_sid, "me", stream=StreamProof("n", 0))
        assert isinstance(claimed, LiveCall)
        entry.epoch = claimed.epoch
        self.behind.follow(entry)
        return entry, entry.record

    async def kept(self, call_sid: str = "CA1") -> LiveCall:
        found = await self.store.find("acme", call_sid)
        assert found is not None
        return found

    def counted(self, what: str) -> float:
        return float(self.metrics.live_state.labels(what)._value.get())


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    store, metrics = Watched(), Metrics()
    moved, over = list[str](), list[str]()

    def is_over(entry: Entry) -> None:
        entry.over = True
        over.append(entry.call_sid)

    behind = WriteBehind(
        live=store,
        worker="me",
        metrics=metrics,
        moved=lambda entry: moved.append(entry.call_sid),
        over=is_over,
        claimed=lambda entry, live: setattr(entry, "epoch", live.epoch),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(behind.run)
        yield Bench(store, behind, metrics, moved, over)
        nursery.cancel_scope.cancel()


async def test_what_is_said_is_kept_within_a_second_and_a_silent_call_is_not_written_again(
    autojump_clock: Clock,
) -> None:
    async with bench() as at:
        _, record = await at.own()
        await trio.sleep(1)
        before = len(at.store.written)
        record.caller_said(1, "Is there parking?")
        await trio.sleep(PACE_S + 0.1)
        kept = (await at.kept()).snapshot
        assert kept is not None
        assert kept["utterances"][0]["text"] == "Is there parking?"
        assert len(at.store.written) == before + 1
        await trio.sleep(ALIVE_S - 2)
        assert len(at.store.written) == before + 1, "nothing new was said"
        await trio.sleep(4)
        assert len(at.store.written) == before + 2, "a sign of life"
        assert at.store.written[-1].snapshot is None


async def test_many_changes_are_one_write_and_many_calls_one_round(autojump_clock: Clock) -> None:
    async with bench() as at:
        records = [(await at.own(f"CA{number}"))[1] for number in range(30)]
        await trio.sleep(2)
        at.store.rounds.clear()
        for turn in range(40):
            for record in records:
                record.caller_said(turn, "words")
                record.note(trio.current_time(), "caller")
        await trio.sleep(PACE_S)
        writing = [kept for _, kept, _ in at.store.rounds if kept]
        assert [len(kept) for kept in writing] == [30]


async def test_a_round_is_bounded_and_nobody_is_forgotten(autojump_clock: Clock) -> None:
    async with bench() as at:
        for number in range(2 * AT_ONCE + 10):
            await at.own(f"CA{number}")
        await trio.sleep(4 * PACE_S)
        assert max(len(kept) for _, kept, _ in at.store.rounds) == AT_ONCE
        assert len({one.call_sid for one in at.store.written}) == 2 * AT_ONCE + 10


async def test_a_store_that_is_away_is_asked_less_often_and_catches_up(autojump_clock: Clock) -> None:
    def away() -> None:
        raise StoreUnavailable("away")

    async with bench() as at:
        _, record = await at.own()
        await trio.sleep(2)
        at.store.trouble = away
        at.store.rounds.clear()
        for turn in range(60):
            record.caller_said(turn, f"words {turn}")
            await trio.sleep(0.5)
        assert 5 < len(at.store.rounds) < 15
        assert at.counted("skipped") == len(at.store.rounds)
        at.store.trouble = lambda: None
        await trio.sleep(5)
        kept = (await at.kept()).snapshot
        assert kept is not None
        assert len(kept["utterances"]) == 60


async def test_a_store_that_hangs_is_given_up_and_tried_anew(autojump_clock: Clock) -> None:
    async with bench() as at:
        _, record = await at.own()
        await trio.sleep(2)
        at.store.slow_s = 3600
        record.caller_said(1, "words")
        await trio.sleep(ROUND_S + 1)
        at.store.slow_s = 0
        await trio.sleep(ROUND_S + 3)  # the next one may hang as well
        assert at.counted("skipped") >= 1
        kept = (await at.kept()).snapshot
        assert kept is not None
        assert len(kept["utterances"]) == 1


async def test_a_record_that_cannot_be_written_costs_no_other_call_its_state(autojump_clock: Clock) -> None:
    async with bench() as at:
        _, unfit = await at.own("CA1")
        _, fit = await at.own("CA2")
        await trio.sleep(1)
        unfit.note(trio.current_time(), "odd", thing=object())
        fit.caller_said(1, "words")
        await trio.sleep(2)
        kept = (await at.kept("CA2")).snapshot
        assert kept is not None
        assert kept["utterances"]
        assert at.metrics.crashes.labels("write_behind")._value.get() == 1


async def test_who_has_lost_a_call_to_another_worker_learns_it_within_a_second_or_so(autojump_clock: Clock) -> None:
    async with bench() as at:
        _, record = await at.own()
        await trio.sleep(2)
        await at.store.claim("acme", "CA1", "other")
        await trio.sleep(ASK_S + PACE_S + 0.1)
        assert at.moved == ["CA1"]
        record.caller_said(1, "too late")
        await trio.sleep(60)
        assert at.moved == ["CA1"], "once"
        assert (await at.kept()).worker == "other"


async def test_a_claim_of_our_own_that_is_on_its_way_is_nobody_elses(autojump_clock: Clock) -> None:
    async with bench() as at:
        entry, _ = await at.own()
        await trio.sleep(2)
        claimed = await at.store.claim("acme", "CA1", "me")
        assert isinstance(claimed, LiveCall)
        await trio.sleep(3)
        assert at.moved == []
        entry.epoch = claimed.epoch
        await trio.sleep(3)
        assert at.moved == []


async def test_the_carriers_word_to_another_worker_is_heard_once(autojump_clock: Clock) -> None:
    async with bench() as at:
        await at.own()
        at.behind.mark_over("acme", "CA1")
        await trio.sleep(ASK_S + 2 * PACE_S)
        assert at.over == ["CA1"]
        await trio.sleep(10)
        assert at.over == ["CA1"]


async def test_how_a_call_ended_is_written_and_what_was_said_goes_once_its_end_is_kept(autojump_clock: Clock) -> None:
    async with bench() as at:
        entry, record = await at.own()
        record.caller_said(1, "words")
        record.outcome, entry.wrapped_up = Outcome.of(Reason.AGENT_ENDED), True
        await trio.sleep(1)
        ended = await at.kept()
        assert (ended.state, ended.reason, ended.snapshot is not None) == (LiveState.ENDED, "agent_ended", True)
        await trio.sleep(100)
        rounds = len(at.store.rounds)
        assert rounds < 10, "nothing is asked about a call that is over"
        at.behind.finish("CA1")
        await trio.sleep(1)
        ended = await at.kept()
        assert (ended.state, ended.reason, ended.snapshot) == (LiveState.ENDED, "agent_ended", None)
        assert at.behind._own == {}


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_flush_writes_everything_or_gives_up_in_time(hangs: bool, autojump_clock: Clock) -> None:
    async with bench() as at:
        entries = [await at.own(f"CA{number}") for number in range(AT_ONCE + 20)]
        await trio.sleep(3)
        for _, record in entries:
            record.caller_said(1, "last words")
        at.store.slow_s = 3600.0 if hangs else 0.0
        began = trio.current_time()
        assert await at.behind.flush(1.0) is not hangs
        assert trio.current_time() - began <= 1.0
        found = [(await at.kept(entry.call_sid)).snapshot or {} for entry, _ in entries]
        assert all(bool(one.get("utterances")) is not hangs for one in found)


async def test_messages_are_written_once_not_with_every_word(autojump_clock: Clock) -> None:
    async with bench() as at:
        _, record = await at.own()
        record.keep_message(b"\x01" * 800)
        await trio.sleep(1)
        record.caller_said(1, "words")
        await trio.sleep(1)
        assert [one.messages for one in at.store.written if one.messages] == [(b"\x01" * 800,)]
        assert (await at.kept()).messages == (b"\x01" * 800,)
