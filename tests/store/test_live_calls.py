import pytest
import trio

from engine.store.live_calls import MemoryLiveCalls
from tests.store.suites.live_calls import *  # noqa: F403
from tests.store.suites.live_calls import LiveTwin


@pytest.fixture
def twin() -> LiveTwin:
    live = MemoryLiveCalls()

    async def pass_time(seconds: float) -> None:
        await trio.lowlevel.checkpoint()
        for row in live._rows.values():
            row.saved_at -= seconds
            row.touched_at -= seconds

    return LiveTwin(live, pass_time)
