"""The caller hears of a tool only when it takes long: a filler line over silence, none over an answer."""

import pytest
import trio
from trio.testing import MockClock

from engine.messages import Effect, ToolStarted
from engine.tools import answers
from engine.tools.executor import BOOKKEEPING_S, PATIENCE_S
from engine.tools.ledger import Claim, ClaimRequest, EffectKey, MemoryLedger
from tests.tools.room import World, a_room


@pytest.mark.parametrize(("works_s", "announced"), [(PATIENCE_S - 0.01, False), (PATIENCE_S + 0.01, True), (9, True)])
async def test_only_what_outlasts_the_callers_patience_is_announced(
    works_s: float, announced: bool, autojump_clock: MockClock
) -> None:
    async with a_room(World(works_s=works_s)) as room:
        began = trio.current_time()
        await room.ask("1", "look")
        if announced:
            assert await room.inbox.receive() == ToolStarted("1", "look", Effect.READS, "Let me see.")
            assert trio.current_time() - began == pytest.approx(PATIENCE_S)
        await room.hear()
        assert room.started == []
        assert await room.close() == []


async def test_a_tool_that_is_stopped_before_it_was_slow_is_not_announced(autojump_clock: MockClock) -> None:
    async with a_room(World(works_s=9)) as room:
        await room.ask("1", "look")
        await trio.sleep(PATIENCE_S / 2)
        await room.cancel("1")
        assert (await room.hear()).response == answers.STOPPED
        await trio.sleep(9)
        assert room.inbox.statistics().current_buffer_used == 0


class SlowLedger(MemoryLedger):
    """One whose database takes its time."""

    async def claim(self, key: EffectKey, request: ClaimRequest) -> Claim:
        await trio.sleep(60)
        return await super().claim(key, request)


async def test_a_ledger_that_takes_long_is_a_wait_like_any_other(autojump_clock: MockClock) -> None:
    async with a_room(World(ledger=SlowLedger())) as room:
        began = trio.current_time()
        await room.ask("1")
        assert isinstance(await room.inbox.receive(), ToolStarted)
        assert trio.current_time() - began == pytest.approx(PATIENCE_S)
        assert (await room.hear()).response == answers.CALL_BACK
        assert trio.current_time() - began == pytest.approx(BOOKKEEPING_S)


async def test_the_same_wish_a_second_time_is_not_announced_again(autojump_clock: MockClock) -> None:
    async with a_room(World(works_s=5)) as room:
        await room.ask("1")
        await trio.sleep(0.1)
        await room.ask("2")
        results = {(await room.hear()).call_id for _ in range(2)}
        assert results == {"1", "2"}
        assert [started.call_id for started in room.started] == ["1"]
