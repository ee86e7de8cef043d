"""A simulated Gemini Live service: strict where Google is strict, and in a bad mood when told to be.

Speaks the protocol to our own client and to the official SDK alike, over TCP or TLS (``serve``) or over any stream
(``serve_stream``, for tests under virtual time).  It hears with an ``Ear``, thinks with a ``Brain``, and keeps a record
by which a test can judge the client: ``sessions``, ``moments``, ``protocol_faults``.
"""

import random
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import trio
from trio_websocket import WebSocketRequest

from engine.sim.brain import Brain, Said
from engine.sim.ear import Ear
from engine.sim.gemini_record import Saved, SessionRecord
from engine.sim.gemini_schema import Refusal
from engine.sim.gemini_session import run_session
from engine.sim.link import Link
from engine.sim.manner import Manner, Voice
from engine.sim.moods import Refuse, Rule
from engine.sim.service import SimService
from engine.sim.tones import ToneVoice

PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
_PATHS = re.compile(r"/ws/google\.ai\.generativelanguage\.(v1|v1beta|v1alpha)\.GenerativeService\.BidiGenerateContent")
_HANDSHAKE_S = 5.0
_MAX_MESSAGE = 16 * 1024 * 1024
_READ_SIZE = 65536
_QUEUE = 8  # messages between the socket and the session; a deaf session is felt by the client soon after
_HANDLE_VALID_S = 2 * 3600.0


class SimGemini(SimService[SessionRecord]):
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
        super().__init__(rules, max_message=_MAX_MESSAGE)
        self.ear = ear
        self.manner = Manner(brain, voice or ToneVoice(), pace, think_ms / 1000, chunk_ms)
        self._api_key = api_key
        self._random = random.Random(seed)
        self._saved: dict[str, Saved] = {}

    # --- what sessions need (gemini_stage.House) ---------------------------------------------------------------------

    def fault(self, session: int, refusal: Refusal) -> None:
        """Log what the service would not have taken; against the client where it should have known better."""
        self.refused(session, refusal.code, str(refusal), blame=refusal.blame)

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

    def _new_record(self, number: int, opened_at: float) -> SessionRecord:
        return SessionRecord(number, opened_at)

    def _judge(self, request: WebSocketRequest, record: SessionRecord) -> tuple[int, bytes] | None:  # noqa: ARG002
        target = urlsplit(request.path)
        if not _PATHS.fullmatch(target.path):
            return 404, b"not found"
        named = [value.decode("latin-1") for name, value in request.headers if name.lower() == b"x-goog-api-key"]
        key = next(iter(named or parse_qs(target.query).get("key", [])), "")
        return None if key and self._api_key in (None, key) else (403, b"forbidden")

    async def _converse(self, link: Link, record: SessionRecord, refuse: Refuse | None) -> None:
        await run_session(self, link, record, refuse)
