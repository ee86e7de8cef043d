"""A stream's events as an iterator rather than an async generator, which whoever stops halfway would have to close."""

from collections.abc import Awaitable, Callable

from engine.model.provider import StreamEvent


class Reading:
    """Asks for the next event, for ever; ends only by what ``next_event`` raises."""

    def __init__(self, next_event: Callable[[], Awaitable[StreamEvent]]) -> None:
        self._next_event = next_event

    def __aiter__(self) -> "Reading":
        return self

    async def __anext__(self) -> StreamEvent:
        return await self._next_event()
