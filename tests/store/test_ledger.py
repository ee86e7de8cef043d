import pytest
import trio
import trio.testing

from engine.errors import StoreUnavailable
from engine.messages import Effect
from engine.store.ledger import Claim, Claimed, ClaimRequest, EffectKey, IdReused
from engine.store.memory_ledger import MemoryLedger
from engine.store.split_ledger import SplitLedger
from tests.store.suites.ledger import *  # noqa: F403
from tests.store.suites.ledger import DONE, KEY, LedgerTwin, ask


@pytest.fixture(params=["memory", "split"])
def twin(request: pytest.FixtureRequest) -> LedgerTwin:
    ledger, other = MemoryLedger(), MemoryLedger()

    async def pass_time(seconds: float) -> None:
        await trio.lowlevel.checkpoint()
        for call in (*ledger._calls.values(), *other._calls.values()):
            for entry in call.entries.values():
                entry.lease_until -= seconds

    either = ledger if request.param == "memory" else SplitLedger(ledger, other)
    return LedgerTwin(either, pass_time, trio.testing.wait_all_tasks_blocked)


class Away(MemoryLedger):
    async def claim(self, key: EffectKey, request: ClaimRequest) -> Claim:
        raise StoreUnavailable("away")


async def test_reads_go_on_while_the_writes_ledger_is_away() -> None:
    ledger = SplitLedger(MemoryLedger(), Away())
    assert await ledger.claim(KEY, ask("1", effect=Effect.READS)) == Claimed(KEY)
    assert await ledger.finish(KEY, "attempt-1", DONE) is True
    with pytest.raises(StoreUnavailable):
        await ledger.claim(EffectKey("acme", "CA1", "book", "d2", "call"), ask("2"))


async def test_an_id_that_stood_for_a_read_cannot_stand_for_a_write() -> None:
    ledger = SplitLedger(MemoryLedger(), MemoryLedger())
    await ledger.claim(KEY, ask("1", effect=Effect.READS))
    assert await ledger.claim(EffectKey("acme", "CA1", "cancel", "d1", "call"), ask("1")) == IdReused()


async def test_statistics_count_what_happened() -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1"))
    await ledger.claim(KEY, ask("2"))
    assert (ledger.statistics().in_flight, ledger.statistics().claimed) == (1, 1)
    await ledger.finish(KEY, "attempt-1", DONE)
    await ledger.claim(KEY, ask("3"))
    assert (ledger.statistics().in_flight, ledger.statistics().deduplicated) == (0, 2)


async def test_a_forgotten_call_takes_no_room() -> None:
    ledger = MemoryLedger()
    await ledger.claim(KEY, ask("1"))
    assert ledger.statistics().calls == 1
    await ledger.forget_call("acme", "CA1")
    assert ledger.statistics().calls == 0
