"""Handing something on over a channel that nearly always has room."""

from typing import TypeVar

import trio

from engine.shortcut import SendEnd

T = TypeVar("T")


async def pass_on(channel: SendEnd[T], message: T) -> None:
    """As ``channel.send``, but no checkpoint where there is room: for who waits elsewhere, a socket say, in each round.

    Raises:
        trio.BrokenResourceError: nobody takes from it any more.
    """
    try:
        channel.send_nowait(message)
    except trio.WouldBlock:
        await channel.send(message)
