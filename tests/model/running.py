"""A session actor at work over a stream, seen from the call's side."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from engine.errors import ModelLost
from engine.messages import (
    Asked,
    CommitTurn,
    EndUtterance,
    FloorEvent,
    OpenTurn,
    PlayAudio,
    PlayoutCommand,
    ResponseFinished,
    ResponseStarted,
    Skipped,
    Uplink,
)
from engine.model.liveness import Liveness
from engine.model.provider import ModelStream
from engine.model.session import run_session
from tests.model.fake_gemini import FakeGemini

FILLER_S, STALL_S = 1.5, 4.0
AGAIN_S = FILLER_S + (STALL_S - FILLER_S) / 3  # when the model is asked once more


@dataclass
class Running:
    """A session at work, seen from the call's side and from the server's."""

    fake: FakeGemini
    uplink: trio.MemorySendChannel[Uplink]
    inbox: trio.MemoryReceiveChannel[FloorEvent]
    playout: trio.MemoryReceiveChannel[PlayoutCommand]
    slow_at: list[float] = field(default_factory=list)
    started_at: float = field(default_factory=trio.current_time)
    lost: ModelLost | None = None
    done: trio.Event = field(default_factory=trio.Event)

    async def commit(self, turn_id: int) -> None:
        await self.uplink.send(CommitTurn(Asked(turn_id), Skipped(turn_id, "small talk")))

    async def turn(self, turn_id: int = 1) -> None:
        await self.uplink.send(OpenTurn(turn_id))
        await self.commit(turn_id)
        while await self.fake.expect() != {"realtimeInput": {"activityEnd": {}}}:
            pass

    async def events(self, count: int) -> list[FloorEvent]:
        return [await self.inbox.receive() for _ in range(count)]

    async def commands(self, count: int) -> list[PlayoutCommand]:
        return [await self.playout.receive() for _ in range(count)]

    async def nothing_more(self) -> None:
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.WouldBlock):
            self.inbox.receive_nowait()
        with pytest.raises(trio.WouldBlock):
            self.playout.receive_nowait()

    async def why(self) -> ModelLost:
        await self.done.wait()
        assert self.lost is not None, "the session ended of itself"
        return self.lost

    def elapsed(self) -> float:
        return trio.current_time() - self.started_at


@asynccontextmanager
async def run_over(stream: ModelStream, fake: FakeGemini) -> AsyncIterator[Running]:
    uplink_send, uplink = trio.open_memory_channel[Uplink](64)
    inbox, inbox_receive = trio.open_memory_channel[FloorEvent](64)
    playout, playout_receive = trio.open_memory_channel[PlayoutCommand](64)
    session = Running(fake, uplink_send, inbox_receive, playout_receive)
    numbers = itertools.count(1)

    async def actor() -> None:
        try:
            await run_session(
                stream=stream,
                uplink=uplink,
                inbox=inbox,
                playout=playout,
                next_generation=lambda: next(numbers),
                liveness=Liveness(FILLER_S, STALL_S),
                on_slow=lambda: session.slow_at.append(session.elapsed()),
            )
        except ModelLost as lost:
            session.lost = lost
        session.done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor)
        yield session
        nursery.cancel_scope.cancel()


def generation_of(event: FloorEvent | PlayoutCommand) -> int | None:
    """Of a response's start or end, or of a piece of its sound."""
    assert isinstance(event, ResponseStarted | ResponseFinished | PlayAudio | EndUtterance)
    return event.generation
