"""A simulated ElevenLabs: the multi-context websocket, strict where the service is, in a bad mood when told to be.

It speaks with any voice that the other simulators speak with, tells when it says each character, and keeps a record by
which a test can judge the client: ``sessions``, ``moments``, ``protocol_faults``. Moods are those of ``moods``; a turn
is a context that was given something to say, counted from 1 on each connection.
"""

from collections.abc import Iterable, Sequence

from trio_websocket import WebSocketRequest

from engine.sim.elevenlabs_rules import Refused, read_address
from engine.sim.elevenlabs_session import VoiceManner, VoiceRecord, run_session
from engine.sim.link import Link
from engine.sim.manner import Voice
from engine.sim.moods import Refuse, Rule
from engine.sim.service import SimService
from engine.sim.tones import ToneVoice

_HANDSHAKE_S = 5.0
_MAX_MESSAGE = 1024 * 1024
_READ_SIZE = 65536
_QUEUE = 8


class SimElevenLabs(SimService[VoiceRecord]):
    """One simulated service with any number of connections.

    Attributes:
        sessions: one record per connection, in order; refused ones too. Connections are numbered from 1.
        moments: what happened when, in order.
        protocol_faults: what clients did that the service would have refused.

    Args:
        voice: text -> 16 bit at 24 kHz; tones by default, which cost nothing and can be recognised.
        voices: the ids of those that exist; None takes any.
        pace: times real time at which sound is sent.
        think_ms: from a sentence to its first sound.
        chunk_ms: sound per message.
        api_key: the one accepted; None takes any that is not empty.
    """

    def __init__(
        self,
        *,
        voice: Voice | None = None,
        voices: Iterable[str] | None = None,
        pace: float = 10.0,
        think_ms: int = 120,
        chunk_ms: int = 200,
        api_key: str | None = None,
        rules: Sequence[Rule] = (),
    ) -> None:
        super().__init__(rules, max_message=_MAX_MESSAGE)
        self.manner = VoiceManner(voice or ToneVoice(), pace, think_ms / 1000, chunk_ms)
        self.voices = None if voices is None else frozenset(voices)
        self._api_key = api_key

    # --- what connections need (elevenlabs_session.House) -----------------------------------------------------------

    def fault(self, session: int, refused: Refused) -> None:
        """Log what the service would not have taken; against the client where it should have known better."""
        self.refused(session, refused.kind, str(refused), blame=refused.blame)

    # --- one connection ----------------------------------------------------------------------------------------------

    def _new_record(self, number: int, opened_at: float) -> VoiceRecord:
        return VoiceRecord(number, opened_at)

    def _judge(self, request: WebSocketRequest, record: VoiceRecord) -> tuple[int, bytes] | None:
        try:
            named = [value.decode("latin-1") for name, value in request.headers if name.lower() == b"xi-api-key"]
            if not named or not named[0] or self._api_key not in (None, named[0]):
                raise Refused("invalid_api_key", "Invalid API key", status=401, blame=False)
            record.wanted = read_address(request.path)
        except Refused as refused:
            self.fault(record.number, refused)
            return refused.status, str(refused).encode()
        return None

    async def _converse(self, link: Link, record: VoiceRecord, refuse: Refuse | None) -> None:
        assert record.wanted is not None, "it was let in"
        if refuse is not None:
            await link.close(refuse.code, refuse.reason)
        else:
            await run_session(self, link, record, record.wanted)
