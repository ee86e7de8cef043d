"""A simulated ElevenLabs: the multi-context websocket, strict where the service is, in a bad mood when told to be.

It speaks with any voice that the other simulators speak with, tells when it says each character, and keeps a record by
which a test can judge the client: ``sessions``, ``moments``, ``protocol_faults``. Moods are those of ``moods``; a turn
is a context that was given something to say, counted from 1 on each connection.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, wrap_server_stream

from engine.sim.elevenlabs_rules import Refused, Wanted, read_address
from engine.sim.elevenlabs_session import VoiceManner, VoiceRecord, run_session
from engine.sim.link import NO_CODE, Link, listen, reset
from engine.sim.manner import Voice
from engine.sim.model_record import Fault, Moment
from engine.sim.moods import MoodSchedule, Refuse, Rule, SomeMood
from engine.sim.tones import ToneVoice

_HANDSHAKE_S = 5.0
_MAX_MESSAGE = 1024 * 1024
_READ_SIZE = 65536
_QUEUE = 8


class SimElevenLabs:
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
        self.manner = VoiceManner(voice or ToneVoice(), pace, think_ms / 1000, chunk_ms)
        self.voices = None if voices is None else frozenset(voices)
        self.sessions: list[VoiceRecord] = []
        self.moments: list[Moment] = []
        self.protocol_faults: list[Fault] = []
        self.moods = MoodSchedule(*rules)
        self._api_key = api_key
        self._refusing = False

    def schedule(self, rule: Rule) -> None:
        """Behave badly once more."""
        self.moods.add(rule)

    def refuse_connections(self, refuse: bool) -> None:  # noqa: FBT001 - reads as a sentence where it is used
        """From now on reset every connection as soon as it is made (True), or take them again (False)."""
        self._refusing = refuse

    async def serve(
        self, *, host: str = "127.0.0.1", port: int = 0, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; reports the base URL (``ws://``) once it listens."""
        listeners = await listen(host, port, None)
        first = listeners[0]
        assert isinstance(first, trio.SocketListener)
        bound = first.socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self.serve_stream, listeners)
            task_status.started(f"ws://{host}:{bound}")

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection, from the handshake to its end."""
        record = VoiceRecord(len(self.sessions) + 1, trio.current_time())
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

    # --- what connections need (elevenlabs_session.House) -----------------------------------------------------------

    def mood(self, kind: type[SomeMood], connection: int, turn: int) -> SomeMood | None:
        """See ``MoodSchedule.take``."""
        return self.moods.take(kind, connection, turn)

    def note(self, session: int, what: str, detail: str = "") -> None:
        """Log a moment."""
        self.moments.append(Moment(trio.current_time(), session, what, detail))

    def fault(self, session: int, refused: Refused) -> None:
        """Log what the service would not have taken; against the client where it should have known better."""
        self.note(session, "refused", f"{refused.kind} {refused}")
        if refused.blame:
            self.protocol_faults.append(Fault(trio.current_time(), session, refused.kind, str(refused)))

    # --- one connection ----------------------------------------------------------------------------------------------

    async def _serve_websocket(self, stream: trio.abc.Stream, record: VoiceRecord, refuse: Refuse | None) -> None:
        async with trio.open_nursery() as nursery:
            opened = await self._shake_hands(nursery, stream, record, refuse)
            if opened is not None:
                link, wanted = opened
                if refuse is not None:
                    await link.close(refuse.code, refuse.reason)
                else:
                    await run_session(self, link, record, wanted)
                self._close(record, link.closed_with or NO_CODE)
            nursery.cancel_scope.cancel()

    def _close(self, record: VoiceRecord, code: int) -> None:
        if record.closed_at is None:
            record.closed_at, record.closed_code = trio.current_time(), code
            self.note(record.number, "closed", str(code))

    async def _shake_hands(
        self, nursery: trio.Nursery, stream: trio.abc.Stream, record: VoiceRecord, refuse: Refuse | None
    ) -> tuple[Link, Wanted] | None:
        with trio.move_on_after(_HANDSHAKE_S):
            wire: Any = stream  # typed for sockets; any stream will do
            request = await wrap_server_stream(nursery, wire, _QUEUE, _MAX_MESSAGE, _READ_SIZE)
            try:
                try:
                    record.wanted = wanted = self._judge(request, refuse)
                except Refused as refused:
                    self.fault(record.number, refused)
                    await request.reject(refused.status, body=str(refused).encode())
                    return None
                return Link(await request.accept(), stream), wanted
            except ConnectionClosed:
                pass  # the client did not wait for the answer
        return None

    def _judge(self, request: WebSocketRequest, refuse: Refuse | None) -> Wanted:
        if refuse is not None and refuse.how == "http":
            raise Refused("refused", "refused by the simulator", status=refuse.status, blame=False)
        named = [value.decode("latin-1") for name, value in request.headers if name.lower() == b"xi-api-key"]
        if not named or not named[0] or self._api_key not in (None, named[0]):
            raise Refused("invalid_api_key", "Invalid API key", status=401, blame=False)
        return read_address(request.path)
