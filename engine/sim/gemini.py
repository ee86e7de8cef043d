"""A simulated Gemini Live service: strict where Google is strict, and in a bad mood when told to be.

Speaks the protocol to our own client and to the official SDK alike, over TCP or TLS (``serve``) or over any stream
(``serve_stream``, for tests under virtual time).  It hears with an ``Ear``, thinks with a ``Brain``, and keeps a record
by which a test can judge the client: ``sessions``, ``moments``, ``protocol_faults``.
"""

import random
import re
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, wrap_server_stream

from engine.sim.brain import Brain, Said
from engine.sim.ear import Ear
from engine.sim.gemini_record import Saved, SessionRecord
from engine.sim.gemini_schema import Refusal
from engine.sim.gemini_session import run_session
from engine.sim.link import NO_CODE, LatePongs, Link, listen, reset
from engine.sim.manner import Manner, Voice
from engine.sim.model_record import Fault, Moment
from engine.sim.moods import MoodSchedule, Refuse, Rule, SlowPongs, SomeMood
from engine.sim.tones import ToneVoice

PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
_PATHS = re.compile(r"/ws/google\.ai\.generativelanguage\.(v1|v1beta|v1alpha)\.GenerativeService\.BidiGenerateContent")
_HANDSHAKE_S = 5.0
_MAX_MESSAGE = 16 * 1024 * 1024
_READ_SIZE = 65536
_QUEUE = 8  # messages between the socket and the session; a deaf session is felt by the client soon after
_HANDLE_VALID_S = 2 * 3600.0


class SimGemini:
    """One simulated service with any number of sessions.

    Attributes:
        sessions: one record per connection, in order; refused ones too. Connections are numbered from 1.
        moments: what happened when, in order.
        protocol_faults: what clients did that the service would have refused.

    Args:
        voice: text -> 16 bit at 24 kHz; tones by default, which cost nothing and can be recognised.
        pace: times real time at which audio is sent.
        think_ms: from a commit to the first audio.
        chunk_ms: audio per message.
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
        api_key: str | None = None,
        seed: int = 0,
        rules: Sequence[Rule] = (),
    ) -> None:
        self.ear = ear
        self.manner = Manner(brain, voice or ToneVoice(), pace, think_ms / 1000, chunk_ms)
        self.sessions: list[SessionRecord] = []
        self.moments: list[Moment] = []
        self.protocol_faults: list[Fault] = []
        self.moods = MoodSchedule(*rules)
        self._api_key = api_key
        self._random = random.Random(seed)
        self._saved: dict[str, Saved] = {}
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
        """Serve until cancelled; reports the base URL (``ws://`` or, with a context, ``wss://``) once it listens."""
        listeners = await listen(host, port, ssl_context)
        first = listeners[0]
        below = first.transport_listener if isinstance(first, trio.SSLListener) else first
        assert isinstance(below, trio.SocketListener)
        bound = below.socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self.serve_stream, listeners)
            task_status.started(f"{'ws' if ssl_context is None else 'wss'}://{host}:{bound}")

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

    # --- what sessions need (gemini_stage.House) ---------------------------------------------------------------------

    def mood(self, kind: type[SomeMood], connection: int, turn: int) -> SomeMood | None:
        """See ``MoodSchedule.take``."""
        return self.moods.take(kind, connection, turn)

    def note(self, session: int, what: str, detail: str = "") -> None:
        """Log a moment."""
        self.moments.append(Moment(trio.current_time(), session, what, detail))

    def fault(self, session: int, refusal: Refusal) -> None:
        """Log what the service would not have taken; against the client where it should have known better."""
        self.note(session, "refused", f"{refusal.code} {refusal}")
        if refusal.blame:
            self.protocol_faults.append(Fault(trio.current_time(), session, refusal.code, str(refusal)))

    def new_id(self, kind: str) -> str:
        """A fresh identifier, the same for the same seed."""
        return f"{kind}-{self._random.getrandbits(64):016x}"

    def save(self, session_id: str, history: tuple[Said, ...]) -> str:
        """Keep a session under a new handle."""
        handle = self.new_id("handle")
        self._saved[handle] = Saved(session_id, history, trio.current_time())
        return handle

    def restore(self, handle: str) -> Saved:
        """What a handle stands for.

        Raises:
            Refusal: 1008 for one that is unknown or too old; 1011 where its session is still connected.
        """
        saved = self._saved.get(handle)
        if saved is None or trio.current_time() > saved.at + _HANDLE_VALID_S:
            raise Refusal("BidiGenerateContent session not found", 1008, blame=False)
        # A deaf session counts as gone: the service notices a vanished client below the application.
        if any(one.session_id == saved.session_id and one.closed_at is None and not one.deaf for one in self.sessions):
            raise Refusal("Internal error encountered: the session is still connected", 1011)
        return saved

    # --- one connection ----------------------------------------------------------------------------------------------

    async def _serve_websocket(self, stream: trio.abc.Stream, record: SessionRecord, refuse: Refuse | None) -> None:
        async with trio.open_nursery() as nursery:
            link = await self._shake_hands(nursery, stream, record, refuse)
            if link is not None:
                await run_session(self, link, record, refuse)
                # Before anything else runs: a client that resumes at once must find its old session gone.
                self._close(record, link.closed_with or NO_CODE)
            nursery.cancel_scope.cancel()

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
            status = refuse.status if refuse is not None and refuse.how == "http" else self._judge(request)
            try:
                if status is None:
                    return Link(await request.accept(), stream)
                self.note(record.number, "refused", str(status))
                await request.reject(status, body=b"refused by the simulator\n")
            except ConnectionClosed:
                pass  # the client did not wait for the answer
        return None

    def _judge(self, request: WebSocketRequest) -> int | None:
        """The HTTP status to refuse this handshake with; None to take it."""
        target = urlsplit(request.path)
        if not _PATHS.fullmatch(target.path):
            return 404
        named = [value.decode("latin-1") for name, value in request.headers if name.lower() == b"x-goog-api-key"]
        key = next(iter(named or parse_qs(target.query).get("key", [])), "")
        return None if key and self._api_key in (None, key) else 403
