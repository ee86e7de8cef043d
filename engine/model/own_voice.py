"""A tenant's own voice beside a model that writes: one stream of the two, under the model's own name.

The voice is an extra. A session whose voice cannot be had, or is lost on the way, goes on with the model's own from the
word at which the other stopped, and the next session asks for the voice again.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import trio

from engine.model.elevenlabs import ElevenLabs
from engine.model.own_voice_stream import OwnVoiceStream
from engine.model.provider import Capabilities, ModelProvider, ModelStream, SessionSetup, WritingStream
from engine.tenants.tenant import OwnVoice


def _ignore(_: str) -> None:
    """The default for what nobody wants to be told."""


class OwnVoiceProvider:
    """Opens sessions of ``inner``: for tenants with a voice of their own in writing, with that voice beside them.

    Args:
        inner: of which all streams in writing are ``WritingStream``; one without ``text_output`` is passed through.
        voices: where the voices are.
        on_lost: told each time a voice could not be had or was lost, by ``ModelLost.kind``; must not block.
    """

    def __init__(self, inner: ModelProvider, voices: ElevenLabs, *, on_lost: Callable[[str], None] = _ignore) -> None:
        self._inner = inner
        self._voices = voices
        self._on_lost = on_lost

    @property
    def name(self) -> str:
        """The model's."""
        return self._inner.name

    @property
    def capabilities(self) -> Capabilities:
        """The model's."""
        return self._inner.capabilities

    @asynccontextmanager
    async def open_stream(self, setup: SessionSetup) -> AsyncIterator[ModelStream]:
        """See ``ModelProvider``. Model and voice are connected to at the same time; only the model can refuse."""
        own_voice = setup.tenant.own_voice
        if own_voice is None or not self.capabilities.text_output:
            async with self._inner.open_stream(setup) as plain:
                yield plain
            return
        try:
            async with self._open_both(setup, own_voice) as stream:
                yield stream
        except BaseExceptionGroup as group:
            if len(group.exceptions) != 1:
                raise
            raise group.exceptions[0] from group.exceptions[0].__cause__  # whoever holds the stream expects it plain

    @asynccontextmanager
    async def _open_both(self, setup: SessionSetup, own_voice: OwnVoice) -> AsyncIterator[OwnVoiceStream]:
        stream = OwnVoiceStream(self._on_lost)
        async with trio.open_nursery() as nursery:
            voice = self._voices.open_synthesis(own_voice, setup.tenant.language)
            nursery.start_soon(stream.speak_with, voice)
            async with self._inner.open_stream(replace(setup, in_writing=True)) as inner:
                try:
                    await stream.write_with(cast("WritingStream", inner))
                    nursery.start_soon(stream.listen)
                    yield stream
                finally:
                    nursery.cancel_scope.cancel()
