"""A worker from inside: the gateway as ``frontdesk serve`` runs it alone, at its post."""

import gc
from contextlib import AbstractAsyncContextManager
from functools import partial

import trio

from engine.config import Settings
from engine.server.app import serve_gateway
from engine.server.compose import open_gateway
from engine.server.keeping import Keeping
from engine.workers.post import Station, manned, take_listener


async def work(settings: Settings, station: Station, keeping: AbstractAsyncContextManager[Keeping]) -> None:
    """Serve the shared socket until told to go, and gone politely."""
    listener = take_listener(station)
    async with manned(station) as post, keeping as kept, open_gateway(settings, kept) as composed:
        post.calls = lambda: composed.switchboard.statistics().calls_now
        settle_memory()
        serve = partial(serve_gateway, composed.gateway, shutdown=post.end, leave=post.leave, listener=listener)
        async with trio.open_nursery() as serving:
            await serving.start(serve)
            post.serving()


def settle_memory() -> None:
    """Take all that start-up has made out of the garbage collector's sight.

    Vendor types alone are hundreds of thousands of objects that live for good; a full collection over them stops every
    call of the process for 100 ms and more. What calls leave is mostly freed by reference count, so young collections
    may also be rarer than the interpreter's default.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
