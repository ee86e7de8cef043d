"""A ``ListenProvider`` (``model/listener.py``) on ``Speech``: what is the caller saying, where no service says it?

The recogniser hears whole sounds only, so the turn is read again as it grows: when the caller pauses, and after every
so much more speech. Never two readings at once for a call; what was asked for meanwhile is one more reading.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from engine.audio.g711 import SAMPLE_RATE_HZ
from engine.errors import ModelBusy, ModelStalled
from engine.log import get_logger
from engine.messages import CallerAudio
from engine.speech.interface import Speech

STEP_S: Final = 1.2  # of new speech: three or four words, enough to change what is looked up
GROWTH: Final = 0.3  # or this part of all: so that reading a long turn again and again costs four times one reading
LONGEST_S: Final = 60.0  # of a turn; a question has been asked by then

log = get_logger("speech.listener")


class LocalListenProvider:
    """Listening by the worker's own speech processes, for calls whose model does not write down what it hears."""

    name: Final = "local-transcribe"

    def __init__(self, speech: Speech, *, most: int) -> None:
        """``most`` calls listen so at once: the rest of the places is for calls that cannot do without."""
        self._speech = speech
        self._free = most

    @asynccontextmanager
    async def open_listener(self) -> AsyncIterator["LocalListenStream"]:
        """See ``ListenProvider``.

        Raises:
            ModelBusy: no place is free.
        """
        await trio.lowlevel.checkpoint()
        if self._free < 1:
            raise ModelBusy("all places for listening are taken")
        self._free -= 1
        try:
            with self._speech.admit():
                yield LocalListenStream(self._speech)
        finally:
            self._free += 1


class LocalListenStream:
    """One call's; see ``ListenStream``."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech
        self._sound = bytearray()
        self._read = 0  # bytes of it that the last reading heard
        self._turn = 0
        self._wanted = trio.Event()

    async def open_turn(self) -> None:
        """See ``ListenStream``."""
        await trio.lowlevel.checkpoint()
        self._sound, self._read = bytearray(), 0
        self._turn += 1

    async def send_audio(self, window: CallerAudio) -> None:
        """See ``ListenStream``."""
        await trio.lowlevel.checkpoint()
        if len(self._sound) < LONGEST_S * SAMPLE_RATE_HZ:
            self._sound += window.mulaw
            if len(self._sound) - self._read >= max(STEP_S * SAMPLE_RATE_HZ, GROWTH * len(self._sound)):
                self._wanted.set()

    def send_audio_now(self, window: CallerAudio) -> bool:  # noqa: ARG002
        """See ``ListenStream``: never."""
        return False

    async def flush(self) -> None:
        """See ``ListenStream``."""
        await trio.lowlevel.checkpoint()
        if len(self._sound) > self._read:
            self._wanted.set()

    async def texts(self) -> AsyncGenerator[str, None]:
        """See ``ListenStream``."""
        said = (0, "")
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            turn, self._read = self._turn, len(self._sound)
            if not self._sound:  # asked for at the end of the turn before
                continue
            try:
                text = await self._speech.recognise(bytes(self._sound))
            except ModelStalled:
                log.warning("a reading of the caller's words came too late")
                continue
            if turn == self._turn and text and said != (turn, text):
                said = (turn, text)
                yield text
