"""The listener over Gemini's transcribe model: a Live session that only writes down what it hears.

Its detection of speech must be automatic; ``audioStreamEnd`` asks for what is still missing as soon as our endpointer
has decided. Text comes as partials that replace each other, and as deltas that stay.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import trio

from engine.audio.g711 import SAMPLE_RATE_HZ
from engine.errors import ConfigurationError, ModelGarbled, ModelLost, ModelProtocolFault, ModelRefused
from engine.messages import CallerAudio
from engine.model.gemini_live import PATH, default_ssl_context
from engine.model.gemini_sound import CallerSound
from engine.model.stream import ModelSocket, open_websocket
from engine.wire import gemini_live as codec
from engine.wire.gemini_live_events import InputTranscript, InterimTranscript, SetupComplete

PAUSE_MS = 1000  # the service's own, as a last resort: our endpointer decides earlier, and flushes
FAULTS_TOLERATED = 5
_WORD = re.compile(r"[^\W_]+")


class GeminiListenProvider:
    """Google's transcribe model, or whatever speaks the protocol at ``url``; parameters as ``GeminiLiveProvider``."""

    name: Final = "gemini-transcribe"

    def __init__(
        self, url: str, api_key: str, model: str, *, input_hz: int = SAMPLE_RATE_HZ, open_deadline_s: float = 4.0
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"ws", "wss"} or not parts.hostname:
            raise ConfigurationError(f"the listener's URL must be ws://… or wss://… with a host, not {url!r}")
        self._url = url.rstrip("/") + PATH
        self._headers = (("x-goog-api-key", api_key),)
        self._model = model if "/" in model else f"models/{model}"
        self._input_hz = input_hz
        self._open_deadline_s = open_deadline_s
        self._ssl_context = default_ssl_context(parts.scheme)

    @asynccontextmanager
    async def open_listener(self) -> AsyncIterator["GeminiListenStream"]:
        """See ``ListenProvider``."""
        deadline = trio.current_time() + self._open_deadline_s
        async with open_websocket(
            self._url, self._headers, ssl_context=self._ssl_context, deadline_s=self._open_deadline_s
        ) as socket:
            with trio.CancelScope(deadline=deadline) as patience:
                await _begin(socket, self._fields())
            if patience.cancelled_caught:
                raise ModelRefused(f"no listener within {self._open_deadline_s:.1f} s")
            yield GeminiListenStream(socket, input_hz=self._input_hz)

    def _fields(self) -> dict[str, Any]:
        return {
            "model": self._model,
            "generationConfig": {"responseModalities": ["TEXT"]},
            "realtimeInputConfig": {"automaticActivityDetection": {"disabled": False, "silenceDurationMs": PAUSE_MS}},
            "inputAudioTranscription": {},
        }


async def _begin(socket: ModelSocket, fields: dict[str, Any]) -> None:
    try:
        await socket.send(codec.setup(fields))
        while not any(isinstance(event, SetupComplete) for event in codec.decode(await socket.receive())):
            pass
    except (ModelLost, ModelProtocolFault) as error:
        raise ModelRefused(f"set-up failed: {error}") from error


class GeminiListenStream:
    """One open transcription; see ``ListenStream``."""

    def __init__(self, socket: ModelSocket, *, input_hz: int = SAMPLE_RATE_HZ) -> None:
        self._socket = socket
        self._sound = CallerSound(input_hz)
        self._kept = self._partial = self._said = ""

    async def open_turn(self) -> None:
        """See ``ListenStream``."""
        await trio.lowlevel.checkpoint()
        self._sound.reset()
        self._kept = self._partial = self._said = ""

    async def send_audio(self, window: CallerAudio) -> None:
        """See ``ListenStream``."""
        if window.mulaw:
            await self._socket.send(self._sound.message(window.mulaw))

    def send_audio_now(self, window: CallerAudio) -> bool:
        """See ``ListenStream``."""
        if not window.mulaw or not self._socket.can_send_now:
            return False
        self._socket.send_now(self._sound.message(window.mulaw))
        return True

    async def flush(self) -> None:
        """See ``ListenStream``."""
        await self._socket.send(codec.audio_stream_end())

    async def texts(self) -> AsyncGenerator[str, None]:
        """See ``ListenStream``."""
        faults = 0
        while True:
            message = await self._socket.receive()
            try:
                events = codec.decode(message)
            except ModelProtocolFault as fault:
                faults += 1
                if faults > FAULTS_TOLERATED:
                    raise ModelGarbled(str(fault)) from fault
                continue
            for event in events:
                match event:
                    case InterimTranscript(text):
                        self._partial = text
                    case InputTranscript(text=delta):
                        self._kept, self._partial = self._kept + delta, ""
                    case _:
                        continue
                said = " ".join(f"{self._kept} {self._partial}".split())
                # What stays comes piece by piece: the first piece is no reason to forget the end of the sentence.
                if said and not _is_beginning(said, self._said):
                    self._said = said
                    yield said


def _is_beginning(text: str, of: str) -> bool:
    """Whether ``of`` begins with the same words and goes on; how they are written does not matter."""
    words, longer = _WORD.findall(text.lower()), _WORD.findall(of.lower())
    return len(words) < len(longer) and longer[: len(words)] == words
