"""A channel's sending end that knows a shorter way: a plain call, where the receiver waits with nothing queued.

A message that wakes a task costs several times what is done with it, and a step of the event loop. Where the receiver
can take a message at once, without waiting for anything, and has nothing else to do, it is given it at once; else the
message goes through the channel as ever. So the order never changes, a receiver that is behind is not overtaken, and
whoever reads the code still sees actors with channels between them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeAlias, TypeVar

import trio

T = TypeVar("T")


class _Receiver(Generic[T]):
    """What all clones of an end share."""

    take: Callable[[T], bool] | None = None


class ShortEnd(trio.abc.SendChannel[T], Generic[T]):
    """In place of a ``trio.MemorySendChannel``, which it owns; clones know the same shorter way."""

    def __init__(self, channel: trio.MemorySendChannel[T], receiver: _Receiver[T] | None = None) -> None:
        self._channel = channel
        self._receiver = receiver or _Receiver()

    def shorten(self, take: Callable[[T], bool] | None) -> None:
        """From now on the receiver takes by this call what comes while it waits (see ``shortened``); None: no more."""
        self._receiver.take = take

    def send_nowait(self, message: T) -> None:
        """As ``trio.MemorySendChannel.send_nowait``."""
        take, channel = self._receiver.take, self._channel
        if take is None or not channel.statistics().tasks_waiting_receive or not take(message):
            channel.send_nowait(message)

    async def send(self, value: T) -> None:
        """As ``trio.MemorySendChannel.send``, and always through the channel."""
        await self._channel.send(value)

    def clone(self) -> "ShortEnd[T]":
        """See ``trio.MemorySendChannel``."""
        return ShortEnd(self._channel.clone(), self._receiver)

    def close(self) -> None:
        """See ``trio.MemorySendChannel``."""
        self._channel.close()

    async def aclose(self) -> None:
        """See ``trio.MemorySendChannel``."""
        await self._channel.aclose()

    def statistics(self) -> trio.MemoryChannelStatistics:
        """See ``trio.MemorySendChannel``."""
        return self._channel.statistics()

    def __enter__(self) -> "ShortEnd[T]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def shortened(end: ShortEnd[T] | None, take: Callable[[T], bool]) -> Iterator[None]:
    """For the receiver: while this is open, ``take`` may be called in place of what it does with a message.

    Args:
        end: of the channel that it receives from; None where that has none, and nothing is shortened.
        take: a plain call, which raises nothing for a peer's sake. False: it could not take the message, and has done
            nothing; the message comes through the channel.
    """
    if end is None:
        yield
        return
    end.shorten(take)
    try:
        yield
    finally:
        end.shorten(None)


SendEnd: TypeAlias = trio.MemorySendChannel[T] | ShortEnd[T]
"""Of a channel that may have a shorter way."""
