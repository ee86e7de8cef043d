"""Ingress: the phone's side of a call, in. Owns the line; its end is the call's end.

Media never passes through here (the media plane carries it); what does are keys and the reason the line ended.
"""

from collections.abc import Callable
from typing import NoReturn

import trio

from engine.messages import FloorEvent, KeyPressed
from engine.telephony.line import MediaLine


async def run_ingress(
    *, line: MediaLine, inbox: trio.MemorySendChannel[FloorEvent], on_key: Callable[[], None] | None = None
) -> NoReturn:
    """Forward keys to whoever holds the floor until the line ends; ``on_key`` is told of each as it comes.

    Raises:
        LineLost: always, in the end; the reason says how the line ended.
    """
    async with inbox:
        async for key in line.controls:
            if on_key is not None:
                on_key()
            await inbox.send(KeyPressed(key.digit))
    raise line.lost
