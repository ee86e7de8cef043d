"""Two switchboards over one live store that may be slow, or away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from engine.errors import StoreUnavailable
from engine.store.live_calls import ClaimRefused, LiveCall, MemoryLiveCalls
from tests.call.desk import Desk, Leg, open_desk


class Slow(MemoryLiveCalls):
    """Shared; may take its time, or be away."""

    def __init__(self) -> None:
        super().__init__(shared=True)
        self.slow_s = 0.0
        self.away = False

    async def _take_time(self) -> None:
        await trio.sleep(self.slow_s)
        if self.away:
            raise StoreUnavailable("away")

    async def claim(self, *args: Any, **kwargs: Any) -> LiveCall | ClaimRefused:
        await self._take_time()
        return await super().claim(*args, **kwargs)

    async def find(self, tenant_id: str, call_sid: str) -> LiveCall | None:
        await self._take_time()
        return await super().find(tenant_id, call_sid)


@asynccontextmanager
async def two(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Desk, Desk, Slow]]:
    live = Slow()
    async with open_desk(monkeypatch, live=live) as a, open_desk(monkeypatch, live=live) as b:
        yield a, b, live


async def spoke(leg: Leg, text: str, turn: int = 1) -> None:
    """The caller says this, and it is written behind."""
    assert leg.record is not None
    leg.record.caller_said(turn, text)
    await trio.sleep(1)


async def recover(desk: Desk, within_s: float = 1.0) -> int:
    """As reception does for a recovery that may be served."""
    await desk.board.look_up("CA1", "acme", within_s=within_s)
    desk.board.ring("CA1", "acme", "+15550100001", "")
    return await desk.board.take_over("CA1")


def said(desk: Desk) -> list[str]:
    (end,) = desk.left()
    return [line["text"] for line in end.document["transcript"]]
