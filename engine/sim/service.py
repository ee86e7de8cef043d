"""What every simulated websocket service shares: connections, their records, moods, and how a handshake is taken.

Each service adds its own strictness (whom it lets in) and its own conversation.
"""

import ssl
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, wrap_server_stream

from engine.sim.link import NO_CODE, LatePongs, Link, listen, reset
from engine.sim.model_record import Fault, Moment
from engine.sim.moods import MoodSchedule, Refuse, Rule, SlowPongs, SomeMood

_HANDSHAKE_S = 5.0
_READ_SIZE = 65536
_QUEUE = 8  # messages between the socket and the session; a deaf session is felt by the client soon after
_REFUSED = b"refused by the simulator\n"


class ConnectionRecord(Protocol):
    """What is kept of any connection. ``closed_code``: by whomever; 1006 where the connection just ended."""

    number: int
    path: str
    closed_at: float | None
    closed_code: int | None


SomeRecord = TypeVar("SomeRecord", bound=ConnectionRecord)


class SimService(Generic[SomeRecord]):
    """One simulated service with any number of connections.

    Attributes:
        sessions: one record per connection, in order; refused ones too. Connections are numbered from 1.
        moments: what happened when, in order.
        protocol_faults: what clients did that the service would have refused.
    """

    def __init__(self, rules: Sequence[Rule], *, path: str = "", max_message: int) -> None:
        """Args: ``path``: behind the origin, in the URL that ``serve`` reports; ``max_message``: bytes."""
        self.sessions: list[SomeRecord] = []
        self.moments: list[Moment] = []
        self.protocol_faults: list[Fault] = []
        self.moods = MoodSchedule(*rules)
        self._path = path
        self._max_message = max_message
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
        """Serve until cancelled; reports the URL (``ws://`` or, with a context, ``wss://``) once it listens."""
        listeners = await listen(host, port, ssl_context)
        first = listeners[0]
        below = first.transport_listener if isinstance(first, trio.SSLListener) else first
        assert isinstance(below, trio.SocketListener)
        bound = below.socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self.serve_stream, listeners)
            task_status.started(f"{'ws' if ssl_context is None else 'wss'}://{host}:{bound}{self._path}")

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection, from the handshake to its end."""
        record = self._new_record(len(self.sessions) + 1, trio.current_time())
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

    # --- what sessions need ------------------------------------------------------------------------------------------

    def mood(self, kind: type[SomeMood], connection: int, turn: int) -> SomeMood | None:
        """See ``MoodSchedule.take``."""
        return self.moods.take(kind, connection, turn)

    def note(self, session: int, what: str, detail: str = "") -> None:
        """Log a moment."""
        self.moments.append(Moment(trio.current_time(), session, what, detail))

    def refused(self, session: int, code: int | str, said: str, *, blame: bool) -> None:
        """Log what the service would not have taken; ``blame``: the client should have known better."""
        self.note(session, "refused", f"{code} {said}")
        if blame:
            self.protocol_faults.append(Fault(trio.current_time(), session, code, said))

    # --- each service's own ------------------------------------------------------------------------------------------

    def _new_record(self, number: int, opened_at: float) -> SomeRecord:
        raise NotImplementedError

    def _judge(self, request: WebSocketRequest, record: SomeRecord) -> tuple[int, bytes] | None:
        """The HTTP status and body to refuse this handshake with; None to take it."""
        raise NotImplementedError

    async def _converse(self, link: Link, record: SomeRecord, refuse: Refuse | None) -> None:
        """From the open connection to its end."""
        raise NotImplementedError

    # --- one connection ----------------------------------------------------------------------------------------------

    async def _serve_websocket(self, stream: trio.abc.Stream, record: SomeRecord, refuse: Refuse | None) -> None:
        async with trio.open_nursery() as nursery:
            link = await self._shake_hands(nursery, stream, record, refuse)
            if link is not None:
                await self._converse(link, record, refuse)
                # Before anything else runs: a client that resumes at once must find its old session gone.
                self._close(record, link.closed_with or NO_CODE)
            nursery.cancel_scope.cancel()

    def _close(self, record: SomeRecord, code: int) -> None:
        if record.closed_at is None:
            record.closed_at, record.closed_code = trio.current_time(), code
            self.note(record.number, "closed", str(code))

    async def _shake_hands(
        self, nursery: trio.Nursery, stream: trio.abc.Stream, record: SomeRecord, refuse: Refuse | None
    ) -> Link | None:
        with trio.move_on_after(_HANDSHAKE_S):
            slow = self.mood(SlowPongs, record.number, 0)
            # Typed for sockets; any stream will do.
            wire: Any = stream if slow is None else LatePongs(stream, slow.delay_s, nursery)
            request = await wrap_server_stream(nursery, wire, _QUEUE, self._max_message, _READ_SIZE)
            record.path = request.path
            by_mood = refuse is not None and refuse.how == "http"
            answer = (refuse.status, _REFUSED) if refuse is not None and by_mood else self._judge(request, record)
            try:
                if answer is None:
                    return Link(await request.accept(), stream)
                status, body = answer
                self.note(record.number, "refused", str(status))
                await request.reject(status, body=body)
            except ConnectionClosed:
                pass  # the client did not wait for the answer
        return None
