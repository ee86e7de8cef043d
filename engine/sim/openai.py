"""A simulated OpenAI Realtime service: strict where the service is strict, and in a bad mood when told to be.

Speaks the protocol to our own client and to the official SDK alike, over TCP (``serve``) or over any stream
(``serve_stream``, for tests under virtual time). It hears with an ``Ear``, thinks with a ``Brain``, and keeps a record
by which a test can judge the client: ``sessions``, ``moments``, ``protocol_faults``, as ``SimGemini`` does.
"""

import random
import re
import ssl
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, wrap_server_stream

from engine.sim import openai_events as events
from engine.sim.brain import Brain
from engine.sim.ear import Ear
from engine.sim.link import NO_CODE, LatePongs, Link, listen, reset
from engine.sim.manner import Manner, Voice
from engine.sim.model_record import Fault, Moment
from engine.sim.moods import MoodSchedule, Refuse, Rule, SlowPongs, SomeMood
from engine.sim.openai_config import Config
from engine.sim.openai_record import SessionRecord
from engine.sim.openai_rules import MODELS
from engine.sim.openai_schema import Refused
from engine.sim.openai_session import run_session
from engine.sim.openai_stage import out_of_quota
from engine.sim.tones import ToneVoice

PATH = "/v1/realtime"
_PATHS = re.compile(r"(/openai)?/v1/realtime")
_HANDSHAKE_S = 5.0
_MAX_MESSAGE = 32 * 1024 * 1024
_READ_SIZE = 65536
_QUEUE = 8  # messages between the socket and the session; a deaf session is felt by the client soon after


class SimOpenAI:
    """One simulated service with any number of sessions.

    Attributes:
        sessions: one record per connection, in order; refused ones too. Connections are numbered from 1.
        moments: what happened when, in order.
        protocol_faults: what clients did that the service would have refused; ``code`` is that of its error.

    Args:
        voice: text -> 16 bit at 24 kHz; tones by default, which cost nothing and can be recognised.
        pace: times real time at which audio is sent.
        think_ms: from a request for a response to the first audio.
        chunk_ms: audio per event.
        transcribe_ms: from a commit to what was said, in writing.
        limit_s: how long a session may last.
        api_key: the one accepted; None takes any that is not empty.
        seed: of all identifiers.
    """

    def __init__(
        self,
        *,
        ear: Ear,
        brain: Brain,
        voice: Voice | None = None,
        pace: float = 3.0,
        think_ms: int = 250,
        chunk_ms: int = 40,
        transcribe_ms: int = 300,
        limit_s: float = 3600.0,
        api_key: str | None = None,
        seed: int = 0,
        rules: Sequence[Rule] = (),
    ) -> None:
        self.ear = ear
        self.manner = Manner(brain, voice or ToneVoice(), pace, think_ms / 1000, chunk_ms)
        self.transcribe_s = transcribe_ms / 1000
        self.limit_s = limit_s
        self.sessions: list[SessionRecord] = []
        self.moments: list[Moment] = []
        self.protocol_faults: list[Fault] = []
        self.moods = MoodSchedule(*rules)
        self._api_key = api_key
        self._random = random.Random(seed)
        self._refusing = False

    def schedule(self, rule: Rule) -> None:
        """Behave badly once more."""
        self.moods.add(rule)

    def refuse_connections(self, refuse: bool) -> None:  # noqa: FBT001 - reads as a sentence where it is used
        """From now on reset every connection as soon as it is made (True), or take them again (False)."""
        self._refusing = refuse

    async def serve(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; reports the whole URL (``ws://`` or, with a context, ``wss://``) once it listens."""
        listeners = await listen(host, port, ssl_context)
        first = listeners[0]
        below = first.transport_listener if isinstance(first, trio.SSLListener) else first
        assert isinstance(below, trio.SocketListener)
        bound = below.socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self.serve_stream, listeners)
            task_status.started(f"{'ws' if ssl_context is None else 'wss'}://{host}:{bound}{PATH}")

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection, from the handshake to its end."""
        record = SessionRecord(len(self.sessions) + 1, trio.current_time())
        self.sessions.append(record)
        refuse = self.mood(Refuse, record.number, 0)
        try:
            if self._refusing or (refuse is not None and refuse.how == "reset"):
                self.note(record.number, "refused", "reset")
                await reset(stream)
            else:
                await self._serve_websocket(stream, record, refuse)
        finally:
            self._close(record, NO_CODE)
            await trio.aclose_forcefully(stream)

    # --- what sessions need (openai_stage.House) ---------------------------------------------------------------------

    def mood(self, kind: type[SomeMood], connection: int, turn: int) -> SomeMood | None:
        """See ``MoodSchedule.take``."""
        return self.moods.take(kind, connection, turn)

    def note(self, session: int, what: str, detail: str = "") -> None:
        """Log a moment."""
        self.moments.append(Moment(trio.current_time(), session, what, detail))

    def fault(self, session: int, refused: Refused) -> None:
        """Log what the service would not have taken; against the client where it should have known better."""
        self.note(session, "refused", f"{refused.code} {refused}")
        if refused.blame:
            self.protocol_faults.append(Fault(trio.current_time(), session, refused.code, str(refused)))

    def new_id(self, kind: str) -> str:
        """A fresh identifier, the same for the same seed."""
        return f"{kind}_{self._random.getrandbits(64):016x}"

    # --- one connection ----------------------------------------------------------------------------------------------

    async def _serve_websocket(self, stream: trio.abc.Stream, record: SessionRecord, refuse: Refuse | None) -> None:
        async with trio.open_nursery() as nursery:
            link = await self._shake_hands(nursery, stream, record, refuse)
            if link is not None:
                await self._converse(link, record, refuse)
                self._close(record, link.closed_with or NO_CODE)
            nursery.cancel_scope.cancel()

    async def _converse(self, link: Link, record: SessionRecord, refuse: Refuse | None) -> None:
        target, headers = urlsplit(record.path), record.headers
        model = next(iter(parse_qs(target.query).get("model", [])), "")
        if refuse is not None:
            await self._turn_away(link, record, out_of_quota(refuse.reason), refuse.code, refuse.reason)
        elif (refused := self._judge_session(headers, model)) is not None:
            self.fault(record.number, refused)
            code = {"invalid_api_key": 3000, "model_not_found": 4004}.get(refused.code, 4000)
            await self._turn_away(link, record, refused, code, f"{refused.kind}.{refused.code}")
        else:
            record.session_id = self.new_id("sess")
            config = Config(model, record.session_id, int(time.time() + self.limit_s))
            await run_session(self, link, record, config)

    async def _turn_away(
        self, link: Link, record: SessionRecord, refused: Refused | None, code: int, reason: str
    ) -> None:
        """Say why, where the service does, and close."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.run, nursery.cancel_scope)
            if refused is not None:
                await link.send(events.frame({"event_id": f"event_{record.number}_1", **events.error(refused, None)}))
                await link.flush()
            await link.close(code, reason)
            nursery.cancel_scope.cancel()

    def _judge_session(self, headers: dict[str, str], model: str) -> Refused | None:
        """Why there is to be no session, though there is a connection."""
        if self._api_key not in (None, _key_in(headers)):
            return Refused("Incorrect API key provided.", "invalid_api_key")
        if "openai-beta" in headers:
            return Refused("The Realtime Beta API is no longer supported.", "beta_api_shape_disabled")
        if not model:
            return Refused("You must provide a model parameter.", "missing_model", "model")
        if model not in MODELS:
            return Refused(f"The model '{model}' does not exist or you do not have access to it.", "model_not_found")
        return None

    def _close(self, record: SessionRecord, code: int) -> None:
        if record.closed_at is None:
            record.closed_at, record.closed_code = trio.current_time(), code
            self.note(record.number, "closed", str(code))

    async def _shake_hands(
        self, nursery: trio.Nursery, stream: trio.abc.Stream, record: SessionRecord, refuse: Refuse | None
    ) -> Link | None:
        with trio.move_on_after(_HANDSHAKE_S):
            slow = self.mood(SlowPongs, record.number, 0)
            # Typed for sockets; any stream will do.
            wire: Any = stream if slow is None else LatePongs(stream, slow.delay_s, nursery)
            request = await wrap_server_stream(nursery, wire, _QUEUE, _MAX_MESSAGE, _READ_SIZE)
            record.path = request.path
            record.headers = _headers_of(request)
            status = refuse.status if refuse is not None and refuse.how == "http" else _judge(record)
            try:
                if status is None:
                    return Link(await request.accept(), stream)
                self.note(record.number, "refused", str(status))
                await request.reject(status, body=b"refused by the simulator\n")
            except ConnectionClosed:
                pass  # the client did not wait for the answer
        return None


def _headers_of(request: WebSocketRequest) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers}


def _key_in(headers: dict[str, str]) -> str:
    """The key of a bearer, or of Azure's own header."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key if scheme == "Bearer" else headers.get("api-key", "")


def _judge(record: SessionRecord) -> int | None:
    """The HTTP status to refuse this handshake with; None to take it."""
    if not _PATHS.fullmatch(urlsplit(record.path).path):
        return 404
    return None if _key_in(record.headers) else 401
