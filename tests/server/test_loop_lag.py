"""How late is the loop?"""

import itertools

import pytest
import trio

from engine.server.loop_lag import KEPT, LoopLag, resident_mib


async def test_a_loop_that_is_free_does_not_lag(autojump_clock: trio.testing.MockClock) -> None:
    probe = LoopLag()
    assert probe.statistics().lag_max_ms == 0.0
    async with trio.open_nursery() as nursery:
        await nursery.start(probe.run)
        await trio.sleep(10)
        assert probe.statistics().lag_max_ms < 50
        nursery.cancel_scope.cancel()


async def test_the_pause_of_its_own_start_does_not_make_a_worker_late(mock_clock: trio.testing.MockClock) -> None:
    probe = LoopLag()
    async with trio.open_nursery() as nursery:
        await nursery.start(probe.run)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(0.7)  # the first wake, and late
        await trio.testing.wait_all_tasks_blocked()
        measured = probe.statistics()
        assert measured.lag_p90_ms == 0.0
        assert measured.lag_max_ms == pytest.approx(600.0)
        nursery.cancel_scope.cancel()


async def test_a_loop_that_is_blocked_again_and_again_lags_and_gets_over_it(
    mock_clock: trio.testing.MockClock,
) -> None:
    """Every tenth of a second somebody holds the loop for 60 ms: on a clock that only the test moves."""
    probe = LoopLag()
    async with trio.open_nursery() as nursery:
        await nursery.start(probe.run)
        await trio.testing.wait_all_tasks_blocked()

        async def steps(count: int, late_s: float) -> None:
            for _ in range(count):
                mock_clock.jump(0.1 + late_s)
                await trio.testing.wait_all_tasks_blocked()

        await steps(KEPT, 0.0)
        await steps(1, 0.5)
        assert probe.statistics().lag_p90_ms < 1.0, "once is a pause"
        await steps(KEPT // 5, 0.06)
        assert probe.statistics().lag_p90_ms == pytest.approx(60.0)
        assert probe.statistics().lag_p50_ms < 1.0
        await steps(KEPT, 0.0)
        assert probe.statistics().lag_max_ms < 1.0
        nursery.cancel_scope.cancel()


async def test_memory_is_read_at_most_once_in_a_second(
    mock_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = itertools.count(1)
    monkeypatch.setattr("engine.server.loop_lag.resident_mib", lambda: 70.0 + next(read))
    probe = LoopLag()
    assert [probe.statistics().memory_mib for _ in range(5)] == [71.0] * 5
    mock_clock.jump(1.0)
    assert probe.statistics().memory_mib == 72.0


def test_this_process_has_a_size() -> None:
    assert 10 < (resident_mib() or 0) < 100_000
