"""The ledger's suite against PostgreSQL, and what only a database can promise: others' deaths, and cancellation."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing

from engine.errors import StoreUnavailable
from engine.messages import Effect
from engine.store.database import Database, DatabaseConfig, open_database
from engine.store.ledger import AlreadyDone, Claimed, ClaimRequest, EffectKey, InFlight, OutcomeUnknown
from engine.store.postgres_ledger import PostgresLedger, open_ledger
from engine.store.sql import Connection
from tests.store.suites.ledger import *  # noqa: F403
from tests.store.suites.ledger import DONE, KEY, LedgerTwin, ask


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[PostgresLedger]:
    async with open_ledger(database) as opened:
        yield opened


@pytest.fixture
def twin(database: Database, ledger: PostgresLedger) -> LedgerTwin:
    async def shift(connection: Connection, seconds: float) -> None:
        await connection.execute(
            "update tool_ledger set lease_until = lease_until - make_interval(secs => $1)", seconds
        )

    async def pass_time(seconds: float) -> None:
        await database.as_owner(shift, seconds)

    async def all_waiting() -> None:
        await trio.testing.wait_all_tasks_blocked()
        while database.statistics().bridge.in_flight:
            await trio.sleep(0.005)
            await trio.testing.wait_all_tasks_blocked()

    return LedgerTwin(ledger, pass_time, all_waiting)


async def test_another_process_hears_how_an_effect_ended(ledger: PostgresLedger, url: str) -> None:
    heard: list[object] = []
    config = DatabaseConfig(url, Path("unused"))
    async with open_database(config) as elsewhere, open_ledger(elsewhere) as other:
        assert await ledger.claim(KEY, ask("1")) == Claimed(KEY)
        assert await other.claim(KEY, ask("2")) == InFlight(KEY)

        async def wait() -> None:
            heard.append(await other.wait_settled(KEY))

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                while not other._waiting:
                    await trio.sleep(0.005)
                started = trio.current_time()
                await ledger.finish(KEY, "attempt-1", DONE)
        assert heard == [DONE]
        assert trio.current_time() - started < 0.9  # by notice, not by looking again


async def test_claims_that_are_cancelled_at_random_lose_no_effect(ledger: PostgresLedger) -> None:
    """Cancelled or not, an attempt that asks again owns what it owned: none is left to nobody."""
    chance = random.Random(7)
    outcomes: list[bool] = []

    async def one(number: int) -> None:
        key = EffectKey("acme", "CA1", "book", f"d{number}", "call")
        with trio.move_on_after(chance.uniform(0, 0.02)) as scope:
            await ledger.claim(key, _request(number))
        outcomes.append(scope.cancelled_caught)
        assert await ledger.claim(key, _request(number)) == Claimed(key)
        assert await ledger.claim(key, ClaimRequest(f"later-{number}", "x", Effect.WRITES, 10)) == InFlight(key)

    async with trio.open_nursery() as nursery:
        for number in range(150):
            nursery.start_soon(one, number)
    assert any(outcomes)


def _request(number: int) -> ClaimRequest:
    return ClaimRequest(f"id-{number}", f"attempt-{number}", Effect.WRITES, 10)


async def test_of_50_who_find_an_expired_lease_one_takes_over(twin: LedgerTwin) -> None:
    await twin.ledger.claim(KEY, ask("lost"))
    await twin.pass_time(11)
    answers: list[object] = []

    async def one(number: int) -> None:
        answers.append(await twin.ledger.claim(KEY, ask(f"id-{number}")))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(one, number)
    assert answers.count(OutcomeUnknown(KEY)) == 1
    assert answers.count(InFlight(KEY)) == 49


async def test_claims_and_abandons_in_any_order_never_lock_each_other_out(ledger: PostgresLedger) -> None:
    """Ten ids of one effect, each claiming and giving back: every claim is answered by one of what may be said."""
    chance = random.Random(3)

    async def one(number: int) -> None:
        for turn in range(15):
            request = ClaimRequest(f"id-{number}-{turn}", f"a-{number}-{turn}", Effect.WRITES, 10)
            claim = await ledger.claim(KEY, request)
            if isinstance(claim, Claimed):
                await trio.sleep(chance.uniform(0, 0.002))
                words = {"status": "refused"} if chance.random() < 0.5 else None
                assert await ledger.abandon(KEY, request.attempt, words) is True
                again = await ledger.claim(KEY, ClaimRequest(request.call_id, f"x-{number}", Effect.WRITES, 10))
                if words is not None:
                    assert again == AlreadyDone(words)
                elif isinstance(again, Claimed):
                    assert await ledger.abandon(KEY, f"x-{number}", None) is True
            else:
                assert isinstance(claim, InFlight)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(one, number)


async def test_a_claim_whose_answer_was_lost_with_its_server_is_asked_for_again(database: Database) -> None:
    """It had been written, and is still ours. A server that stays away is not waited for."""

    class Loses:
        lost = 0

        async def autocommit(self, *args: Any) -> Any:
            answer = await database.autocommit(*args)
            if self.lost < self.loses:
                self.lost += 1
                raise StoreUnavailable("the connection was lost")
            return answer

        def __init__(self, loses: int) -> None:
            self.loses = loses

    assert await PostgresLedger(cast("Database", Loses(2))).claim(KEY, ask("1")) == Claimed(KEY)
    began = trio.current_time()
    with pytest.raises(StoreUnavailable):
        await PostgresLedger(cast("Database", Loses(9))).claim(KEY, ask("1"))
    assert trio.current_time() - began < 1.0
