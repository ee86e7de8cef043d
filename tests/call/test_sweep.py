"""When calls that were left by their worker are looked for, and when not."""

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from engine.call.sweep import LOOK_EVERY_S, WELL_FOR_S, run_sweep
from engine.errors import StoreUnavailable
from engine.store.live_calls import CallKey, KeptCall, LiveCall, LiveState, MemoryLiveCalls, Standing

Clock = trio.testing.MockClock


class Store(MemoryLiveCalls):
    """May be away; remembers when it was asked for what was left."""

    def __init__(self) -> None:
        super().__init__(shared=True)
        self.away_until = 0.0
        self.looks: list[float] = []
        self.left: list[LiveCall] = []

    async def keep_many(self, kept: Sequence[KeptCall], ask: Sequence[CallKey] = ()) -> list[Standing]:
        if trio.current_time() < self.away_until:
            raise StoreUnavailable("away")
        return await super().keep_many(kept, ask)

    async def abandoned(self, worker: str, *, older_than_s: float, most: int = 50) -> list[LiveCall]:
        self.looks.append(trio.current_time())
        left, self.left = self.left, []
        return left


async def swept(store: Store, for_s: float, *, ended: list[str], crashed: list[int], fails: bool = False) -> None:
    def end(live: LiveCall) -> None:
        if fails:
            raise ValueError("a bug")
        ended.append(live.call_sid)

    with trio.move_on_after(for_s):
        await run_sweep(live=store, worker="me", end=end, crashed=lambda: crashed.append(1))


async def test_others_have_the_time_to_give_a_sign_of_life_when_the_store_is_back(autojump_clock: Clock) -> None:
    store = Store()
    store.away_until = trio.current_time() + 300
    await swept(store, 600, ended=[], crashed=[])
    assert store.looks[0] - store.away_until >= WELL_FOR_S
    assert store.looks[0] - store.away_until <= WELL_FOR_S + 3 * LOOK_EVERY_S
    assert len(store.looks) >= 4


@pytest.mark.parametrize("fails", [False, True])
async def test_what_was_left_is_ended_and_a_bug_over_one_call_ends_no_sweep(fails: bool, autojump_clock: Clock) -> None:
    store, ended, crashed = Store(), list[str](), list[int]()
    store.left = [LiveCall("acme", "CA1", "me", 2, 0, LiveState.LIVE, snapshot={})]
    await swept(store, 300, ended=ended, crashed=crashed, fails=fails)
    assert (ended, len(crashed)) == (([], 1) if fails else (["CA1"], 0))
    assert len(store.looks) >= 4
