"""Virtual time that stands still while a thread is at work: for whole calls that have a real database under them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trio.testing

from engine.store.bridge import DbThread


@contextmanager
def held_while_threads_work(clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An autojump clock cannot know that a thread will answer, and jumps to the next deadline meanwhile."""
    at_work = 0
    threshold = clock.autojump_threshold

    def holding(original: Any) -> Any:
        async def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal at_work
            at_work += 1
            clock.autojump_threshold = math.inf
            try:
                return await original(*args, **kwargs)
            finally:
                at_work -= 1
                if not at_work:
                    clock.autojump_threshold = threshold

        return run

    with monkeypatch.context() as patch:
        patch.setattr(DbThread, "run", holding(DbThread.run))
        patch.setattr(trio.to_thread, "run_sync", holding(trio.to_thread.run_sync))
        yield
