"""Gemini Live as a provider: connect, set up, hand out the open session (``gemini_stream``)."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

import trio

from engine.audio.g711 import SAMPLE_RATE_HZ
from engine.errors import ConfigurationError, ModelGarbled, ModelLost, ModelProtocolFault, ModelRefused
from engine.model.gemini_stream import UNRESUMABLE, GeminiStream
from engine.model.provider import Capabilities, SessionSetup
from engine.model.setup import history_turns, seeds_history, setup_fields
from engine.model.stream import ModelSocket, open_websocket
from engine.wire import gemini_live as codec
from engine.wire.gemini_live_events import ErrorFrame, Event, SetupComplete

PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
CAPABILITIES: Final = Capabilities(
    server_turn_events=False,  # it sends some, but not reliably
    truncation=False,
    forced_tool=False,
    per_turn_context=True,
    resume=True,
    text_output=False,
    g711=False,
    interim_transcripts=True,
)


class GeminiLiveProvider:
    """Google's Live API, or whatever speaks it at ``url``.

    Args:
        url: ``ws://`` or ``wss://`` and a host; a path of it, as of a proxy, is kept.
        api_key: sent as a header.
        model: ``gemini-3.8-live``, say; with a slash in it, it is taken as it is.
        name: as in a tenant's model order; another endpoint of the same service has a name of its own.
        input_hz: at what rate the caller's sound goes up: 8000, as it comes, or 16000, the service's own.
        connection_s: how long the service keeps a connection.
        open_deadline_s: for everything from connecting to the service's word that the session is ready.
        ssl_context: for ``wss``; by default the system's authorities are trusted.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        model: str,
        *,
        name: str = "gemini-live",
        input_hz: int = SAMPLE_RATE_HZ,
        connection_s: float = 600.0,
        open_deadline_s: float = 4.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"ws", "wss"} or not parts.hostname:
            raise ConfigurationError(f"the model's URL must be ws://… or wss://… with a host, not {url!r}")
        self.name = name
        self.capabilities = replace(CAPABILITIES, connection_limit_s=connection_s)
        self._url = url.rstrip("/") + PATH
        self._headers = (("x-goog-api-key", api_key),)
        self._model = model
        self._input_hz = input_hz
        self._open_deadline_s = open_deadline_s
        self._ssl_context = ssl_context or default_ssl_context(parts.scheme)

    @asynccontextmanager
    async def open_stream(self, setup: SessionSetup) -> AsyncIterator[GeminiStream]:
        """Connect, set up, seed what was said before; the connection is closed on the way out.

        Raises:
            ModelRefused: no session within the deadline, for whatever reason of theirs.
        """
        deadline = trio.current_time() + self._open_deadline_s
        async with open_websocket(
            self._url, self._headers, ssl_context=self._ssl_context, deadline_s=self._open_deadline_s
        ) as socket:
            with trio.CancelScope(deadline=deadline) as patience:
                await begin_session(socket, setup, self._model)
            if patience.cancelled_caught:
                raise ModelRefused(f"no session within {self._open_deadline_s:.1f} s")
            yield GeminiStream(socket, setup.tenant.id, input_hz=self._input_hz)


def default_ssl_context(scheme: str) -> ssl.SSLContext | None:
    """Trusts the system's authorities, for ``wss``. It reads hundreds of certificates: once, not per call."""
    return ssl.create_default_context() if scheme == "wss" else None


async def begin_session(socket: ModelSocket, setup: SessionSetup, model: str) -> None:
    """Say the opening message, wait until it is taken, and tell a fresh session what was said before.

    Raises:
        ModelRefused: the service closed, erred or talked nonsense instead; not ``resumable`` where it blames what we
            sent, and that included a handle or a history.
    """
    try:
        await socket.send(codec.setup(setup_fields(setup, model)))
        while not any(isinstance(event, SetupComplete) for event in _opening(await socket.receive())):
            pass
        if seeds_history(setup):
            await socket.send(codec.client_content(history_turns(setup.history), turn_complete=True))
    except (ModelLost, ModelProtocolFault) as error:
        code = error.code if isinstance(error, ModelLost) else None
        blamed = code in UNRESUMABLE and bool(setup.handle or setup.history)
        raise ModelRefused(f"set-up failed: {error}", code=code, resumable=not blamed) from error


def _opening(message: bytes) -> list[Event]:
    events = codec.decode(message)
    for event in events:
        if isinstance(event, ErrorFrame):
            raise ModelGarbled(f"the service said: {event.code} {event.message}")
    return events
