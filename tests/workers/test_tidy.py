"""When a worker looks for garbage: after calls, and never during one."""

import gc

import pytest
import trio
import trio.testing

from engine.workers.worker import IDLE_LOOK_S, tidy_when_idle


async def test_garbage_is_looked_for_once_when_the_last_call_has_ended(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    looked: list[float] = []
    monkeypatch.setattr(gc, "collect", lambda *_: looked.append(trio.current_time()))
    began, calls = trio.current_time(), 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tidy_when_idle, lambda: calls)
        await trio.sleep(5 * IDLE_LOOK_S + 1)
        assert looked == [], "there have been none"
        calls = 3
        await trio.sleep(5 * IDLE_LOOK_S)
        assert looked == [], "somebody is on the line"
        calls = 0
        await trio.sleep(5 * IDLE_LOOK_S)
        assert [round(at - began) for at in looked] == [11 * IDLE_LOOK_S]
        nursery.cancel_scope.cancel()
