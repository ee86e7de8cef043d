"""A worker from inside: the gateway as ``frontdesk serve`` runs it alone, at its post."""

import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import trio

from engine.config import Settings
from engine.server.app import serve_gateway
from engine.server.compose import open_gateway
from engine.server.keeping import Keeping
from engine.workers.post import Station, manned, take_listener

YOUNG = 2_000  # objects more than before, and the new ones are looked at: 1 to 3 ms
PASSES_BETWEEN_OLD = 1_000
IDLE_LOOK_S = 30.0


async def work(settings: Settings, station: Station, keeping: AbstractAsyncContextManager[Keeping]) -> None:
    """Serve the shared socket until told to go, and gone politely."""
    listener = take_listener(station)
    async with manned(station) as post, keeping as kept, open_gateway(settings, kept) as composed:
        post.calls = lambda: composed.switchboard.statistics().calls_now
        settle_memory()
        serve = partial(serve_gateway, composed.gateway, shutdown=post.end, leave=post.leave, listener=listener)
        async with trio.open_nursery() as beside:
            beside.start_soon(tidy_when_idle, post.calls)
            async with trio.open_nursery() as serving:
                await serving.start(serve)
                post.serving()
            beside.cancel_scope.cancel()


async def tidy_when_idle(calls: Callable[[], int]) -> None:
    """Collect whatever is garbage once the last of some calls has ended: nobody hears the pause then."""
    had_calls = False
    while True:
        await trio.sleep(IDLE_LOOK_S)
        if calls():
            had_calls = True
        elif had_calls:
            had_calls = False
            gc.collect()


def settle_memory() -> None:
    """Take all that start-up has made out of the garbage collector's sight.

    Vendor types alone are hundreds of thousands of objects that live for good; a full collection over them stops every
    call of the process for 100 ms and more. A pass over 20,000 young objects was measured at 5 to 49 ms with 130 calls
    on the line, and one over all that belongs to live calls takes longer; what calls leave is freed by reference count.
    So passes are small, older objects are hardly ever looked at, and the rest is done when nobody is on the line.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, PASSES_BETWEEN_OLD, PASSES_BETWEEN_OLD)
