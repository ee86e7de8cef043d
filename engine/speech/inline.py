"""``Speech`` in the calling thread: everything waits while it works. For tests under virtual time, and for tools."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import trio

from engine.speech.drafts import Drafts
from engine.speech.process import speak
from engine.speech.recogniser import Recogniser
from engine.voice.offline import OfflineVoice


class InlineSpeech:
    """See ``Speech``. The virtual clock stands still meanwhile, where a process of its own would let it run away."""

    def __init__(self, recogniser: Recogniser, voice: Callable[[str], bytes]) -> None:
        """``voice`` renders a text as mu-law; a ``VoiceCache``'s ``mulaw``, for one."""
        self._recogniser = recogniser
        self._voice = voice
        self._drafts = Drafts()

    @classmethod
    def load(cls, weights: Path, voice: Callable[[str], bytes] | None = None) -> Self:
        """Load what ``weights.prepare`` made, and the offline voice unless another is given.

        Raises:
            ConfigurationError: the directory does not hold it.
        """
        return cls(Recogniser.load(weights), voice or OfflineVoice.load().render_mulaw)

    @contextmanager
    def admit(self) -> Iterator[None]:
        """See ``Speech``; never refuses."""
        yield

    async def recognise(self, mulaw: bytes) -> str:
        """See ``Speech``."""
        await trio.lowlevel.checkpoint()
        reading = self._recogniser.read(mulaw, self._drafts.find(mulaw))
        self._drafts.keep(mulaw, reading.draft)
        return reading.text

    async def say(self, text: str) -> bytes:
        """See ``Speech``."""
        await trio.lowlevel.checkpoint()
        return speak(self._voice, text)
