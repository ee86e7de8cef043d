"""A simulated OpenAI Realtime service: strict where the service is strict, and in a bad mood when told to be.

Speaks the protocol to our own client and to the official SDK alike, over TCP (``serve``) or over any stream
(``serve_stream``, for tests under virtual time). It hears with an ``Ear``, thinks with a ``Brain``, and keeps a record
by which a test can judge the client: ``sessions``, ``moments``, ``protocol_faults``, as ``SimGemini`` does.
"""

import random
import re
import time
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import trio
from trio_websocket import WebSocketRequest

from engine.sim import openai_events as events
from engine.sim.brain import Brain
from engine.sim.ear import Ear
from engine.sim.link import Link
from engine.sim.manner import Manner, Voice
from engine.sim.moods import Refuse, Rule
from engine.sim.openai_config import Config
from engine.sim.openai_record import SessionRecord
from engine.sim.openai_rules import MODELS
from engine.sim.openai_schema import Refused
from engine.sim.openai_session import run_session
from engine.sim.openai_stage import out_of_quota
from engine.sim.service import SimService
from engine.sim.tones import ToneVoice

PATH = "/v1/realtime"
_PATHS = re.compile(r"(/openai)?/v1/realtime")
_HANDSHAKE_S = 5.0
_MAX_MESSAGE = 32 * 1024 * 1024
_READ_SIZE = 65536
_QUEUE = 8  # messages between the socket and the session; a deaf session is felt by the client soon after


class SimOpenAI(SimService[SessionRecord]):
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
        super().__init__(rules, path=PATH, max_message=_MAX_MESSAGE)
        self.ear = ear
        self.manner = Manner(brain, voice or ToneVoice(), pace, think_ms / 1000, chunk_ms)
        self.transcribe_s = transcribe_ms / 1000
        self.limit_s = limit_s
        self._api_key = api_key
        self._random = random.Random(seed)

    # --- what sessions need (openai_stage.House) ---------------------------------------------------------------------

    def fault(self, session: int, refused: Refused) -> None:
        """Log what the service would not have taken; against the client where it should have known better."""
        self.refused(session, refused.code, str(refused), blame=refused.blame)

    def new_id(self, kind: str) -> str:
        """A fresh identifier, the same for the same seed."""
        return f"{kind}_{self._random.getrandbits(64):016x}"

    # --- one connection ----------------------------------------------------------------------------------------------

    def _new_record(self, number: int, opened_at: float) -> SessionRecord:
        return SessionRecord(number, opened_at)

    def _judge(self, request: WebSocketRequest, record: SessionRecord) -> tuple[int, bytes] | None:
        record.headers = _headers_of(request)
        if not _PATHS.fullmatch(urlsplit(record.path).path):
            return 404, b"not found"
        return None if _key_in(record.headers) else (401, b"unauthorized")

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


def _headers_of(request: WebSocketRequest) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers}


def _key_in(headers: dict[str, str]) -> str:
    """The key of a bearer, or of Azure's own header."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key if scheme == "Bearer" else headers.get("api-key", "")
