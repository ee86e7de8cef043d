"""ElevenLabs as a voice: its address, its key, and how a connection to it is opened (``elevenlabs_synthesis``)."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from engine.errors import ConfigurationError
from engine.model.elevenlabs_synthesis import Synthesis
from engine.model.stream import open_websocket
from engine.tenants.tenant import OwnVoice
from engine.wire import elevenlabs as codec


class ElevenLabs:
    """The service at ``url`` (``ws://`` or ``wss://`` and a host; a path of it, as of a proxy, is kept).

    Args:
        url: of the service; its regional hosts are others.
        api_key: sent as a header.
        open_deadline_s: for connecting; the caller waits for it before the first word.
        ssl_context: for ``wss``; by default the system's authorities are trusted.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        open_deadline_s: float = 1.5,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"ws", "wss"} or not parts.hostname:
            raise ConfigurationError(f"the voice's URL must be ws://… or wss://… with a host, not {url!r}")
        self._url = url.rstrip("/")
        self._headers = (("xi-api-key", api_key),)
        self._open_deadline_s = open_deadline_s
        # It reads hundreds of certificates: once, not per call.
        self._ssl_context = ssl_context or (ssl.create_default_context() if parts.scheme == "wss" else None)

    @asynccontextmanager
    async def open_synthesis(self, voice: OwnVoice, language: str) -> AsyncIterator[Synthesis]:
        """Connect; closed on the way out.

        Args:
            voice: whose.
            language: a locale.

        Raises:
            ModelRefused: no connection within the deadline. A wrong voice or key may be told only later.
        """
        url = self._url + codec.address(voice.voice_id, voice.model, language)
        async with open_websocket(
            url, self._headers, ssl_context=self._ssl_context, deadline_s=self._open_deadline_s
        ) as socket:
            yield Synthesis(socket, _settings(voice), language)


def _settings(voice: OwnVoice) -> dict[str, float]:
    wanted = {"stability": voice.stability, "similarity_boost": voice.similarity, "speed": voice.speed}
    return {name: value for name, value in wanted.items() if value is not None and (name, value) != ("speed", 1.0)}
