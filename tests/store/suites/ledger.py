"""What every ``Ledger`` promises. The fixture ``twin`` is a ``LedgerTwin``."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from engine.messages import Effect
from engine.store.ledger import (
    AlreadyDone,
    Claimed,
    ClaimRequest,
    EffectKey,
    IdReused,
    InFlight,
    Ledger,
    OutcomeUnknown,
)

KEY = EffectKey("acme", "CA1", "book", "d1", "call")
DONE = {"status": "ok", "message": "booked"}
REFUSED = {"status": "refused", "message": "taken"}


@dataclass(frozen=True)
class LedgerTwin:
    """A ledger, and how to let its leases' time pass, and how to know that whoever waits at it does wait."""

    ledger: Ledger
    pass_time: Callable[[float], Awaitable[None]]
    all_waiting: Callable[[], Awaitable[None]]


def ask(call_id: str, attempt: str = "", effect: Effect = Effect.WRITES) -> ClaimRequest:
    return ClaimRequest(call_id, attempt or f"attempt-{call_id}", effect, lease_s=10)


async def test_the_first_claim_owns_the_effect_and_others_are_told_it_runs(twin: LedgerTwin) -> None:
    ledger = twin.ledger
    assert await ledger.claim(KEY, ask("1")) == Claimed(KEY)
    assert await ledger.claim(KEY, ask("1", "again")) == InFlight(KEY)
    assert await ledger.claim(KEY, ask("2")) == InFlight(KEY)


async def test_the_same_attempt_may_claim_again(twin: LedgerTwin) -> None:
    ledger = twin.ledger
    await ledger.claim(KEY, ask("1"))
    assert await ledger.claim(KEY, ask("1")) == Claimed(KEY)


async def test_a_finished_effect_answers_every_later_claim(twin: LedgerTwin) -> None:
    ledger = twin.ledger
    await ledger.claim(KEY, ask("1"))
    assert await ledger.finish(KEY, "attempt-1", DONE) is True
    assert await ledger.claim(KEY, ask("1", "x")) == AlreadyDone(DONE)
    assert await ledger.claim(KEY, ask("2")) == AlreadyDone(DONE)
    assert await ledger.finish(KEY, "attempt-1", REFUSED) is False
    assert await ledger.claim(KEY, ask("3")) == AlreadyDone(DONE)


async def test_an_abandoned_effect_is_free_for_new_ids_and_the_old_ones_keep_their_answer(twin: LedgerTwin) -> None:
    ledger = twin.ledger
    await ledger.claim(KEY, ask("1"))
    await ledger.claim(KEY, ask("2"))
    assert await ledger.abandon(KEY, "attempt-1", REFUSED) is True
    assert await ledger.claim(KEY, ask("1", "x")) == AlreadyDone(REFUSED)
    assert await ledger.claim(KEY, ask("2", "x")) == AlreadyDone(REFUSED)
    assert await ledger.claim(KEY, ask("3")) == Claimed(KEY)


async def test_an_effect_stopped_before_it_had_an_answer_is_free_for_the_same_id_too(twin: LedgerTwin) -> None:
    ledger = twin.ledger
    await ledger.claim(KEY, ask("1"))
    await ledger.abandon(KEY, "attempt-1", None)
    assert await ledger.claim(KEY, ask("1", "x")) == Claimed(KEY)


async def test_only_the_owner_can_end_an_attempt(twin: LedgerTwin) -> None:
    ledger = twin.ledger
    await ledger.claim(KEY, ask("1"))
    assert await ledger.finish(KEY, "somebody", DONE) is False
    assert await ledger.abandon(KEY, "somebody", None) is False
    assert await ledger.claim(KEY, ask("2")) == InFlight(KEY)


async def test_an_id_that_comes_back_with_other_arguments_is_told_apart(twin: LedgerTwin) -> None:
    ledger = twin.ledger
    await ledger.claim(KEY, ask("1"))
    other_arguments = EffectKey("acme", "CA1", "book", "d2", "call")
    other_tool = EffectKey("acme", "CA1", "cancel", "d1", "call")
    assert await ledger.claim(other_arguments, ask("1")) == IdReused()
    assert await ledger.claim(other_tool, ask("1")) == IdReused()


async def test_an_id_leads_to_its_effect_in_every_turn(twin: LedgerTwin) -> None:
    ledger = twin.ledger
    first, later = (EffectKey("acme", "CA1", "hours", "d1", f"turn-{n}") for n in (1, 2))
    await ledger.claim(first, ask("1", effect=Effect.READS))
    await ledger.finish(first, "attempt-1", DONE)
    assert await ledger.claim(later, ask("1", "x", Effect.READS)) == AlreadyDone(DONE)
    assert await ledger.claim(later, ask("2", effect=Effect.READS)) == Claimed(later)


@pytest.mark.parametrize(
    "other", [EffectKey("other", "CA1", "book", "d1", "call"), EffectKey("acme", "CA2", "book", "d1", "call")]
)
async def test_tenants_and_calls_share_no_effects(twin: LedgerTwin, other: EffectKey) -> None:
    ledger = twin.ledger
    await ledger.claim(KEY, ask("1"))
    await ledger.finish(KEY, "attempt-1", DONE)
    assert await ledger.claim(other, ask("1")) == Claimed(other)
    assert other.effect_id != KEY.effect_id


@pytest.mark.parametrize(("effect", "answer"), [(Effect.WRITES, OutcomeUnknown(KEY)), (Effect.READS, Claimed(KEY))])
async def test_after_its_lease_a_lost_write_is_unknown_and_a_lost_read_is_free(
    twin: LedgerTwin, effect: Effect, answer: Any
) -> None:
    ledger = twin.ledger
    await ledger.claim(KEY, ask("1", effect=effect))
    await twin.pass_time(8)
    assert await ledger.claim(KEY, ask("2", effect=effect)) == InFlight(KEY)
    await twin.pass_time(2.1)
    assert await ledger.claim(KEY, ask("2", effect=effect)) == answer
    assert await ledger.claim(KEY, ask("3", effect=effect)) == InFlight(KEY)
    assert await ledger.finish(KEY, "attempt-1", DONE) is False  # too late: it has been taken over
    assert await ledger.finish(KEY, "attempt-2", REFUSED) is True


@pytest.mark.parametrize(("how", "hears"), [("finish", DONE), ("refuse", REFUSED), ("stop", None)])
async def test_those_who_wait_hear_how_it_ended(twin: LedgerTwin, how: str, hears: Any) -> None:
    ledger, heard = twin.ledger, list[Any]()

    async def wait() -> None:
        heard.append(await ledger.wait_settled(KEY))

    assert await ledger.wait_settled(KEY) is None
    await ledger.claim(KEY, ask("1"))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(wait)
            await twin.all_waiting()
            assert heard == []
            if how == "finish":
                await ledger.finish(KEY, "attempt-1", DONE)
            else:
                await ledger.abandon(KEY, "attempt-1", REFUSED if how == "refuse" else None)
    assert heard == [hears, hears]


async def test_those_who_wait_for_a_lost_attempt_are_let_go_when_its_lease_is_over(twin: LedgerTwin) -> None:
    """Not a lease after they came: whoever recovers a call would wait that much too long."""
    ledger, heard = twin.ledger, list[Any]()
    await ledger.claim(KEY, ask("1"))
    await twin.pass_time(9.5)

    async def wait() -> None:
        heard.append(await ledger.wait_settled(KEY))

    began = trio.current_time()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await twin.all_waiting()
            assert heard == []
    assert heard == [None]
    assert 0.1 < trio.current_time() - began < 3
    assert await ledger.claim(KEY, ask("2")) == OutcomeUnknown(KEY)


async def test_who_waits_for_an_attempt_whose_lease_is_over_does_not_wait(twin: LedgerTwin) -> None:
    await twin.ledger.claim(KEY, ask("1"))
    await twin.pass_time(10.1)
    with trio.fail_after(2):
        assert await twin.ledger.wait_settled(KEY) is None


async def test_those_who_wait_are_let_go_when_the_lost_attempt_is_taken_over(twin: LedgerTwin) -> None:
    ledger, heard = twin.ledger, list[Any]()
    await ledger.claim(KEY, ClaimRequest("1", "attempt-1", Effect.WRITES, lease_s=1.0))

    async def wait() -> None:
        heard.append(await ledger.wait_settled(KEY))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await twin.all_waiting()
            await twin.pass_time(1.1)
            assert await ledger.claim(KEY, ask("2")) == OutcomeUnknown(KEY)
    assert heard == [None]


async def test_a_forgotten_call_leaves_nothing_behind(twin: LedgerTwin) -> None:
    ledger = twin.ledger
    await ledger.claim(KEY, ask("1"))
    await ledger.finish(KEY, "attempt-1", DONE)
    await ledger.forget_call("acme", "CA1")
    await ledger.forget_call("acme", "CA1")
    assert await ledger.claim(KEY, ask("2")) == Claimed(KEY)


async def test_an_attempt_that_has_finished_cannot_claim_its_effect_again(twin: LedgerTwin) -> None:
    await twin.ledger.claim(KEY, ask("1"))
    await twin.ledger.finish(KEY, "attempt-1", DONE)
    assert await twin.ledger.claim(KEY, ask("1")) == AlreadyDone(DONE)


async def test_an_attempt_that_is_late_may_finish_as_long_as_nobody_took_over(twin: LedgerTwin) -> None:
    await twin.ledger.claim(KEY, ask("1"))
    await twin.pass_time(11)
    assert await twin.ledger.finish(KEY, "attempt-1", DONE) is True
    assert await twin.ledger.claim(KEY, ask("2")) == AlreadyDone(DONE)


async def test_of_400_claims_at_once_over_ten_keys_each_key_has_one_winner(twin: LedgerTwin) -> None:
    won, others = list[EffectKey](), list[Any]()
    keys = [EffectKey("acme", "CA1", "book", f"d{n}", "call") for n in range(10)]

    async def contend(number: int) -> None:
        claim = await twin.ledger.claim(keys[number % 10], ask(f"id-{number}"))
        if isinstance(claim, Claimed):
            won.append(claim.key)
            await twin.ledger.finish(claim.key, f"attempt-id-{number}", DONE)
        else:
            others.append(claim)

    async with trio.open_nursery() as nursery:
        for number in range(400):
            nursery.start_soon(contend, number)
    assert sorted(won, key=lambda key: key.digest) == keys
    assert len(others) == 390
    assert all(isinstance(other, InFlight | AlreadyDone) for other in others)


@pytest.mark.parametrize("call_id", ["a\x00b", "\ud800", "x" * 5000, "\N{SNOWMAN}"])
async def test_a_call_id_may_be_whatever_a_model_makes_up(twin: LedgerTwin, call_id: str) -> None:
    assert await twin.ledger.claim(KEY, ask(call_id, "a1")) == Claimed(KEY)
    await twin.ledger.finish(KEY, "a1", {"status": "ok", "message": "no\x00ne"})
    assert await twin.ledger.claim(KEY, ask(call_id, "a2")) == AlreadyDone({"status": "ok", "message": "no\x00ne"})


async def test_who_was_told_of_an_abandoned_effect_never_gets_it_by_asking_at_that_very_moment(
    twin: LedgerTwin,
) -> None:
    answers: list[Any] = []

    async def claim(key: EffectKey) -> None:
        answers.append(await twin.ledger.claim(key, ask("b", "again")))

    async def abandon(key: EffectKey) -> None:
        assert await twin.ledger.abandon(key, "attempt-a", REFUSED) is True

    for number in range(60):
        key = EffectKey("acme", f"CA{number}", "book", "d1", "call")
        await twin.ledger.claim(key, ask("a"))
        assert await twin.ledger.claim(key, ask("b")) == InFlight(key)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(claim, key)
            nursery.start_soon(abandon, key)
        assert answers.pop() in [InFlight(key), AlreadyDone(REFUSED)]
        assert await twin.ledger.claim(key, ask("b", "later")) == AlreadyDone(REFUSED)
