import pytest
import trio
import trio.testing

from engine.store.memory_ledger import MemoryLedger
from tests.store.suites.ledger import *  # noqa: F403
from tests.store.suites.ledger import DONE, KEY, LedgerTwin, ask


@pytest.fixture
def twin() -> LedgerTwin:
    ledger = MemoryLedger()

    async def pass_time(seconds: float) -> None:
        await trio.lowlevel.checkpoint()
        for call in ledger._calls.values():
            for entry in call.entries.values():
                entry.lease_until -= seconds

    return LedgerTwin(ledger, pass_time, trio.testing.wait_all_tasks_blocked)


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
