from typing import Any

import pytest
import trio
import trio.testing

from engine.messages import Effect
from engine.store.ledger import (
    AlreadyDone,
    Claimed,
    ClaimRequest,
    EffectKey,
    IdReused,
    InFlight,
    OutcomeUnknown,
)
from engine.store.memory_ledger import MemoryLedger

KEY = EffectKey("acme", "CA1", "book", "d1", "call")
DONE = {"status": "ok", "message": "booked"}
REFUSED = {"status": "refused", "message": "taken"}


def ask(call_id: str, attempt: str = "", effect: Effect = Effect.WRITES) -> ClaimRequest:
    return ClaimRequest(call_id, attempt or f"attempt-{call_id}", effect, lease_s=10)


async def test_the_first_claim_owns_the_effect_and_others_are_told_it_runs() -> None:
    ledger = MemoryLedger()
    assert await ledger.claim(KEY, ask("1")) == Claimed(KEY)
    assert await ledger.claim(KEY, ask("1", "again")) == InFlight(KEY)
    assert await ledger.claim(KEY, ask("2")) == InFlight(KEY)


async def test_the_same_attempt_may_claim_again() -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1"))
    assert await ledger.claim(KEY, ask("1")) == Claimed(KEY)


async def test_a_finished_effect_answers_every_later_claim() -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1"))
    assert await ledger.finish(KEY, "attempt-1", DONE) is True
    assert await ledger.claim(KEY, ask("1", "x")) == AlreadyDone(DONE)
    assert await ledger.claim(KEY, ask("2")) == AlreadyDone(DONE)
    assert await ledger.finish(KEY, "attempt-1", REFUSED) is False
    assert await ledger.claim(KEY, ask("3")) == AlreadyDone(DONE)


async def test_an_abandoned_effect_is_free_for_new_ids_and_the_old_ones_keep_their_answer() -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1"))
    await ledger.claim(KEY, ask("2"))
    assert await ledger.abandon(KEY, "attempt-1", REFUSED) is True
    assert await ledger.claim(KEY, ask("1", "x")) == AlreadyDone(REFUSED)
    assert await ledger.claim(KEY, ask("2", "x")) == AlreadyDone(REFUSED)
    assert await ledger.claim(KEY, ask("3")) == Claimed(KEY)


async def test_an_effect_stopped_before_it_had_an_answer_is_free_for_the_same_id_too() -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1"))
    await ledger.abandon(KEY, "attempt-1", None)
    assert await ledger.claim(KEY, ask("1", "x")) == Claimed(KEY)


async def test_only_the_owner_can_end_an_attempt() -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1"))
    assert await ledger.finish(KEY, "somebody", DONE) is False
    assert await ledger.abandon(KEY, "somebody", None) is False
    assert await ledger.claim(KEY, ask("2")) == InFlight(KEY)


async def test_an_id_that_comes_back_with_other_arguments_is_told_apart() -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1"))
    other_arguments = EffectKey("acme", "CA1", "book", "d2", "call")
    other_tool = EffectKey("acme", "CA1", "cancel", "d1", "call")
    assert await ledger.claim(other_arguments, ask("1")) == IdReused()
    assert await ledger.claim(other_tool, ask("1")) == IdReused()


async def test_an_id_leads_to_its_effect_in_every_turn() -> None:
    ledger = MemoryLedger()
    first, later = (EffectKey("acme", "CA1", "hours", "d1", f"turn-{n}") for n in (1, 2))
    await ledger.claim(first, ask("1", effect=Effect.READS))
    await ledger.finish(first, "attempt-1", DONE)
    assert await ledger.claim(later, ask("1", "x", Effect.READS)) == AlreadyDone(DONE)
    assert await ledger.claim(later, ask("2", effect=Effect.READS)) == Claimed(later)


@pytest.mark.parametrize(
    "other", [EffectKey("other", "CA1", "book", "d1", "call"), EffectKey("acme", "CA2", "book", "d1", "call")]
)
async def test_tenants_and_calls_share_no_effects(other: EffectKey) -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1"))
    await ledger.finish(KEY, "attempt-1", DONE)
    assert await ledger.claim(other, ask("1")) == Claimed(other)
    assert other.effect_id != KEY.effect_id


@pytest.mark.parametrize(("effect", "answer"), [(Effect.WRITES, OutcomeUnknown(KEY)), (Effect.READS, Claimed(KEY))])
async def test_after_its_lease_a_lost_write_is_unknown_and_a_lost_read_is_free(
    autojump_clock: trio.testing.MockClock, effect: Effect, answer: Any
) -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1", effect=effect))
    await trio.sleep(9.9)
    assert await ledger.claim(KEY, ask("2", effect=effect)) == InFlight(KEY)
    await trio.sleep(0.2)
    assert await ledger.claim(KEY, ask("2", effect=effect)) == answer
    assert await ledger.claim(KEY, ask("3", effect=effect)) == InFlight(KEY)
    assert await ledger.finish(KEY, "attempt-1", DONE) is False  # too late: it has been taken over
    assert await ledger.finish(KEY, "attempt-2", REFUSED) is True


async def test_those_who_wait_hear_how_it_ended(autojump_clock: trio.testing.MockClock) -> None:
    heard: list[Any] = []

    async def wait(ledger: MemoryLedger) -> None:
        heard.append(await ledger.wait_settled(KEY))

    for response in (DONE, None):
        ledger = MemoryLedger()
        await ledger.claim(KEY, ask("1"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, ledger)
            await trio.sleep(1)
            if response is None:
                await ledger.abandon(KEY, "attempt-1", None)
            else:
                await ledger.finish(KEY, "attempt-1", response)
    assert heard == [DONE, None]
    assert await MemoryLedger().wait_settled(KEY) is None


async def test_those_who_wait_for_a_lost_attempt_are_let_go_when_it_is_taken_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ledger, heard = MemoryLedger(), list[Any]()
    await ledger.claim(KEY, ask("1"))

    async def wait() -> None:
        heard.append(await ledger.wait_settled(KEY))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(11)
        assert heard == []
        assert await ledger.claim(KEY, ask("2")) == OutcomeUnknown(KEY)
        with trio.fail_after(1):
            await trio.testing.wait_all_tasks_blocked()
        assert heard == [None]


async def test_a_forgotten_call_leaves_nothing_behind() -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1"))
    await ledger.finish(KEY, "attempt-1", DONE)
    assert ledger.statistics().calls == 1
    await ledger.forget_call("acme", "CA1")
    await ledger.forget_call("acme", "CA1")
    assert ledger.statistics().calls == 0
    assert await ledger.claim(KEY, ask("2")) == Claimed(KEY)


async def test_statistics_count_what_happened() -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1"))
    await ledger.claim(KEY, ask("2"))
    assert (ledger.statistics().in_flight, ledger.statistics().claimed) == (1, 1)
    await ledger.finish(KEY, "attempt-1", DONE)
    await ledger.claim(KEY, ask("3"))
    assert (ledger.statistics().in_flight, ledger.statistics().deduplicated) == (0, 2)
