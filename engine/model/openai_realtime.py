"""OpenAI Realtime as a provider: connect, set up, hand out the open session (``openai_stream``)."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import trio

from engine.errors import ConfigurationError, ModelGarbled, ModelLost, ModelProtocolFault, ModelRefused
from engine.model.gemini_live import default_ssl_context
from engine.model.openai_errors import name_of
from engine.model.openai_setup import history_messages, session_fields
from engine.model.openai_stream import OpenAIStream
from engine.model.provider import Capabilities, SessionSetup
from engine.model.stream import ModelSocket, open_websocket
from engine.wire import openai_realtime as codec
from engine.wire.openai_realtime_events import ErrorSaid, ServerEvent, Session, SessionCreated, SessionUpdated

CAPABILITIES: Final = Capabilities(
    server_turn_events=True,
    truncation=True,
    forced_tool=True,
    per_turn_context=True,
    resume=False,
    text_output=True,
    g711=True,
    interim_transcripts=True,  # at every pause of the caller; not while a word is being said
    transcripts_within_s=0.6,  # it begins to write at the commit
)
AZURE: Final = ".openai.azure.com"

E = TypeVar("E", bound=ServerEvent)


class OpenAIRealtimeProvider:
    """OpenAI's Realtime API, or whatever speaks it at ``url``.

    Args:
        url: ``ws://`` or ``wss://`` with the whole path, and a query where one is needed. On a host of Azure's the key
            goes where Azure looks for it, and ``model`` is the deployment.
        api_key: sent as a header.
        model: ``gpt-realtime-2.1``, say.
        transcribe_model: writes down what the caller says.
        name: as in a tenant's model order.
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
        transcribe_model: str,
        name: str = "openai-realtime",
        connection_s: float = 3600.0,
        open_deadline_s: float = 4.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"ws", "wss"} or not parts.hostname:
            raise ConfigurationError(f"the model's URL must be ws://… or wss://… with a host, not {url!r}")
        self.name = name
        self.capabilities = replace(CAPABILITIES, connection_limit_s=connection_s)
        query = "&".join(filter(None, [parts.query, f"model={quote(model, safe='')}"]))
        self._url = urlunsplit(parts._replace(query=query, fragment=""))
        is_azure = parts.hostname.endswith(AZURE)
        self._headers = (("api-key", api_key) if is_azure else ("Authorization", f"Bearer {api_key}"),)
        self._transcribe_model = transcribe_model
        self._open_deadline_s = open_deadline_s
        self._ssl_context = ssl_context or default_ssl_context(parts.scheme)

    @asynccontextmanager
    async def open_stream(self, setup: SessionSetup) -> AsyncIterator[OpenAIStream]:
        """Connect, set up, tell what was said before; the connection is closed on the way out.

        Raises:
            ModelRefused: no session within the deadline, for whatever reason of theirs.
        """
        deadline = trio.current_time() + self._open_deadline_s
        async with open_websocket(
            self._url, self._headers, ssl_context=self._ssl_context, deadline_s=self._open_deadline_s
        ) as socket:
            with trio.CancelScope(deadline=deadline) as patience:
                await begin_session(socket, setup, self._transcribe_model)
            if patience.cancelled_caught:
                raise ModelRefused(f"no session within {self._open_deadline_s:.1f} s")
            yield OpenAIStream(socket, setup.tenant.id)


async def begin_session(socket: ModelSocket, setup: SessionSetup, transcribe_model: str) -> None:
    """Await the session, say how we want it, wait until that is so, and tell it what was said before.

    Raises:
        ModelRefused: the service closed, erred, talked nonsense or would not speak mu-law. It is never what we told of
            the call that it blames: that goes up last, and an item that it does not take is passed over.
    """
    try:
        await _wait_for(socket, SessionCreated)
        await socket.send(codec.session_update(session_fields(setup, transcribe_model)))
        _check(await _wait_for(socket, SessionUpdated))
        for message in history_messages(setup.history):
            await socket.send(message)
    except (ModelLost, ModelProtocolFault) as error:
        code = error.code if isinstance(error, ModelLost) else None
        raise ModelRefused(f"set-up failed: {error}", code=code) from error


async def _wait_for(socket: ModelSocket, kind: type[E]) -> E:
    while True:
        event = codec.decode(await socket.receive())
        if isinstance(event, ErrorSaid):
            raise ModelGarbled(f"the service said: {name_of(event.error)} {event.error.message or ''}".rstrip())
        if isinstance(event, kind):
            return event


def _check(updated: SessionUpdated) -> None:
    """Sound in another form than the one we asked for would be noise in the caller's ear."""
    for side in _sides(updated.session):
        if side != codec.G711:
            raise ModelGarbled(f"the service speaks {side}, not {codec.G711}")


def _sides(session: Session) -> list[str]:
    audio = session.audio
    sides = (audio.input, audio.output) if audio is not None else ()
    return [side.format.type for side in sides if side is not None and side.format is not None and side.format.type]
