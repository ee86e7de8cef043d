"""The listener: what is the caller saying, while they are saying it?

It hears the same windows as the speaking model, on a stream of its own, and tells the turn-keeper the text so far:
retrieval begins before the caller has finished. It never speaks and decides nothing. Without it turns are committed
without notes, so it is opened again for as long as the call lasts, and nobody waits for it.
"""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol

import trio

from engine.audio.g711 import BYTES_PER_MS
from engine.errors import ModelLost
from engine.log import get_logger
from engine.messages import CallerAudio, CallerPaused, FloorEvent, ListenerInput, OpenTurn, WordsHeard
from engine.metrics import Metrics
from engine.model.passing import pass_on
from engine.shortcut import ShortEnd, shortened

PAUSES_S = (0.0, 0.5, 2.0, 5.0)  # before each attempt; the last repeats
TOGETHER_BYTES = 160 * BYTES_PER_MS  # and more of the caller's sound go at once: two windows of 100 ms
PROVEN_S = 10.0  # a stream that lived so long was a good one; one that opens and dies at once is as bad as none

log = get_logger("model.listener")


class ListenStream(Protocol):
    """One open transcription. Every method may raise ``ModelLost``."""

    async def open_turn(self) -> None:
        """Words from here on are of a new turn."""

    async def send_audio(self, window: CallerAudio) -> None:
        """A window of the open turn."""

    def send_audio_now(self, window: CallerAudio) -> bool:
        """The same, where that can be done at once; False where it cannot, and nothing has been done."""

    async def flush(self) -> None:
        """The caller paused: what was said so far is to be understood now."""

    def texts(self) -> AsyncGenerator[str, None]:
        """The turn's whole text, whenever it becomes better; ends only by raising ``ModelLost``."""


class ListenProvider(Protocol):
    """A transcription service, configured."""

    @property
    def name(self) -> str:
        """For logs and metrics."""

    def open_listener(self) -> AbstractAsyncContextManager[ListenStream]:
        """Open a stream.

        Raises:
            ModelRefused: it could not be opened.
        """


async def run_listener(
    *,
    provider: ListenProvider,
    heard: trio.MemoryReceiveChannel[ListenerInput],
    end: ShortEnd[ListenerInput] | None = None,
    inbox: trio.MemorySendChannel[FloorEvent],
    metrics: Metrics,
) -> None:
    """Transcribe until ``heard`` is closed by its sender, over as many streams as that takes.

    Args:
        heard: sent without waiting, and refused when full: a listener that is behind loses windows, the call does not.
        end: of the same channel, whose way is shortened while a stream is open.
        inbox: gets ``WordsHeard``.
    """
    async with heard, inbox:
        attempt = 0
        while True:
            began = trio.current_time()
            try:
                async with provider.open_listener() as stream:
                    await _transcribe(stream, heard, end, inbox)
                    return
            except* ModelLost as group:
                metrics.model_lost.labels(provider.name, "listener").inc()
                log.warning("the listener was lost", detail=str(group.exceptions[0]))
            if trio.current_time() - began >= PROVEN_S:
                attempt = 0
            await trio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1
            _forget(heard)


async def _transcribe(
    stream: ListenStream,
    heard: trio.MemoryReceiveChannel[ListenerInput],
    end: ShortEnd[ListenerInput] | None,
    inbox: trio.MemorySendChannel[FloorEvent],
) -> None:
    turn_id = 0

    async def tell() -> None:
        async with aclosing(stream.texts()) as texts:
            async for text in texts:
                await pass_on(inbox, WordsHeard(turn_id, text))

    feed = _Feed(stream)
    with shortened(end, feed.take):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell)
            async for message in heard:
                match message:
                    case OpenTurn():
                        turn_id = message.turn_id
                        await feed.open_turn()
                    case CallerAudio():
                        await feed.give(message)
                    case CallerPaused():
                        await feed.flush()
            nursery.cancel_scope.cancel()


class _Feed:
    """The caller's windows on their way to a stream, some at a time: nothing is understood of one alone, and each
    message costs. A pause sends what there is.
    """

    def __init__(self, stream: ListenStream) -> None:
        self._stream = stream
        self._held = b""

    async def open_turn(self) -> None:
        self._held = b""
        await self._stream.open_turn()

    def take(self, message: ListenerInput) -> bool:
        """By the shorter way: a window that is held, or that goes at once with those that were."""
        if not isinstance(message, CallerAudio):
            return False
        held = self._held + message.mulaw
        if len(held) >= TOGETHER_BYTES:
            if not self._stream.send_audio_now(CallerAudio(held)):
                return False
            held = b""
        self._held = held
        return True

    async def give(self, window: CallerAudio) -> None:
        if not self.take(window):
            held, self._held = self._held + window.mulaw, b""
            await self._stream.send_audio(CallerAudio(held))

    async def flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            await self._stream.send_audio(CallerAudio(held))
        await self._stream.flush()


def _forget(heard: trio.MemoryReceiveChannel[ListenerInput]) -> None:
    """What waited while nobody listened is half a turn: worse than nothing."""
    while True:
        try:
            heard.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return
