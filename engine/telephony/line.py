"""A phone line: one media websocket of the carrier, driven by the media plane.

The line carries bytes; what they mean to a call belongs to the actors, which attach their parts: the jitter actor an
``InboundPart`` (frames in), egress an ``OutboundPart`` (playout out), and ingress reads ``controls`` (keys, then the
end of the line).

A line ends exactly once, with a ``LineLost`` that says why; ``closed by us`` is not among the reasons. The carrier's
``stop`` is a hang-up; a websocket that ends without one is ``broken``.
"""

import math
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from engine.audio.pacer import Clear, Mark, Media, Send
from engine.errors import LineLost, MediaStreamFault, WebSocketFault
from engine.metrics import Metrics
from engine.telephony.intake import Intake
from engine.telephony.outbox import Outbox, OutboxBroken
from engine.telephony.parts import InboundPart, OutboundPart
from engine.telephony.plane import MediaPlane
from engine.wire import twilio_media as media
from engine.wire.websocket import BINARY, CLOSE, PING, TEXT, Role, WebSocketCodec, parse_close

LARGEST_MESSAGE = 4 * media.MAX_MESSAGE  # up to here a message too large is counted and survived; no memory for more
SILENT_S = 10.0  # frames come every 20 ms even in silence; gaps to 5 s are survived, this long is half-open
FAULTS_TOLERATED = 20
EARLY_FRAMES = 100  # media that comes before the call's actors stand: 2 s
KEYS_QUEUED = 64
CLOSE_HANDSHAKE_S = 1.0
OVERDUE_S = 0.020  # what waited to be read along with the next frame, which does not come, waits no longer


@dataclass(frozen=True, slots=True)
class LineStatistics:
    """Counts since the websocket opened; bytes are of the websocket."""

    received_bytes: int
    sent_bytes: int
    backlog_bytes: int
    faults: int


class MediaLine:
    """One media websocket after its handshake. A plane member; see ``PlaneMember`` for the methods called by it."""

    def __init__(self, sock: socket.socket, *, plane: MediaPlane, metrics: Metrics, leftover: bytes = b"") -> None:
        self._socket = sock
        self.plane = plane
        self._metrics = metrics
        self._codec = WebSocketCodec(Role.SERVER, max_message=LARGEST_MESSAGE)
        self._decoder = media.MediaStreamDecoder()
        self._encoder: media.MediaStreamEncoder | None = None
        self._inbound: InboundPart | None = None
        self._outbound: OutboundPart | None = None
        self._early: deque[tuple[int, bytes]] = deque(maxlen=EARLY_FRAMES)
        self._outbox = Outbox(sock)
        self._faults = 0
        self._last_received_at = trio.current_time()
        self._intake = Intake(sock, self._last_received_at)
        self._controls_send, self.controls = trio.open_memory_channel[media.Dtmf](KEYS_QUEUED)
        self._start: media.Start | None = None
        self._lost: LineLost | None = None
        self._settled = trio.Event()  # start came, or the line ended before it
        self._drained = trio.Event()  # the peer has closed its side
        self._closing = False  # we have said close: nothing may follow it
        self._unread = False  # something came since the last read
        self._read_at = 0.0  # what comes before may wait until then
        plane.add(self, each_arrival_once=True)
        if leftover:
            self._receive(leftover, self._last_received_at)

    # --- for the call's actors ---------------------------------------------------------------------------------

    async def wait_start(self) -> media.Start:
        """Wait for the stream's ``start``.

        Raises:
            LineLost: it ended first.
        """
        await self._settled.wait()
        if self._start is None:
            raise self.lost
        return self._start

    @property
    def lost(self) -> LineLost:
        """Why the line ended; valid once ``controls`` has ended. A fresh one: what is raised remembers by what way."""
        lost = self._lost
        return LineLost(lost.reason, lost.detail) if lost else LineLost("our_fault", "the line was closed by us")

    def attach_inbound(self, part: InboundPart) -> None:
        """Hand over frames to this part, those that came early first."""
        self._inbound = part
        now = trio.current_time()
        while self._early:
            part.insert(*self._early.popleft(), now)
        self._read_at = part.pump(now)

    def attach_outbound(self, part: OutboundPart) -> None:
        """Send what this part has due, on every tick."""
        self._outbound = part

    def detach_inbound(self) -> None:
        """Let go of the part for frames; what comes now is dropped with the line."""
        self._inbound = None
        self._read_at = 0.0

    def detach_outbound(self) -> None:
        """Let go of the playout."""
        self._outbound = None

    def send_due(self, now: float) -> None:
        """Send what is due at once rather than on the next tick; for the first audio of an utterance."""
        if self._outbound is None or self._encoder is None or self._lost is not None:
            return
        sends = self._outbound.due(now)
        if sends:
            self._write(b"".join([self._codec.text(self._encode(send)) for send in sends]))

    async def aclose(self, code: int = 1000) -> None:
        """Close the websocket politely, within a second, and let go of the socket in any case."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_HANDSHAKE_S):
            self.detach_inbound()
            self.detach_outbound()
            if not self._drained.is_set():
                self._say_close(code)
                await self._drained.wait()
        self._release()

    def statistics(self) -> LineStatistics:
        """A snapshot."""
        out = self._outbox
        return LineStatistics(self._intake.received_bytes, out.sent_bytes, out.backlog_bytes, self._faults)

    def end(self, lost: LineLost) -> None:
        """End the line from outside the plane (the carrier told us by another way that the call is over)."""
        self._end(lost)

    # --- for the plane -----------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def on_readable(self, now: float) -> bool:
        """Something came. It is read at once where anything in it could matter at once; else with what comes next."""
        self._unread = True
        return now >= self._read_at and self._read(now)

    def on_tick(self, now: float) -> None:
        """Send what is due, let the buffer run on, and notice a peer that has fallen silent."""
        if self._outbox.backlog_bytes:
            self._write()
        if now >= self._read_at:
            if not self._unread:
                self._pump(now)
            elif now >= self._read_at + OVERDUE_S:
                self._read(now)
        self.send_due(now)
        if now - self._last_received_at > SILENT_S:
            self._peer_gone(LineLost("silent", f"nothing came for {SILENT_S:g} s"))

    def on_fault(self, error: Exception) -> None:
        """Code of ours raised on the plane: the call ends, the plane goes on."""
        self._peer_gone(LineLost("our_fault", repr(error)))

    # --- inside ------------------------------------------------------------------------------------------------

    def _read(self, now: float) -> bool:
        """Read once: all that a telephone sends in a while fits into one read. Whether there may be more."""
        try:
            data = self._intake.read(now)
        except OSError as error:
            self._peer_gone(LineLost("broken", error.strerror or "reset"))
            return False
        self._unread = more = self._intake.has_more
        if data:
            self._last_received_at = now
            self._receive(data, now)
            if more:
                self._read_at = now
        elif data is not None:
            self._peer_gone(LineLost("broken", "the connection ended without a close"))
        return more

    def _receive(self, data: bytes, now: float) -> None:
        try:
            self._messages(self._codec.receive_data(data), now)
        except WebSocketFault as fault:
            # What came before the fault counts (it may be the stop); nothing after it can be read.
            self._messages(fault.decoded, now)
            self._metrics.media_faults.labels("websocket").inc()
            self._say_close(fault.close_code)
            self._peer_gone(LineLost("fault", str(fault)))
            return
        self._pump(now)

    def _pump(self, now: float) -> None:
        if self._inbound is not None:
            self._read_at = self._inbound.pump(now)

    def _messages(self, messages: Sequence[tuple[int, bytes]], now: float) -> None:
        receive, inbound = self._decoder.receive, self._inbound
        for opcode, payload in messages:
            if opcode == TEXT:
                try:
                    event = receive(payload)
                except MediaStreamFault as fault:
                    self._count_fault(fault.kind)
                    continue
                if type(event) is not media.Media:
                    self._control(event, now)
                elif inbound is not None:
                    inbound.insert(event.timestamp_ms, event.payload, now)
                else:
                    self._early.append((event.timestamp_ms, event.payload))
            elif opcode == PING:
                self._write(self._codec.pong(payload))
            elif opcode == CLOSE:
                self._closed_by_peer(payload)
            elif opcode == BINARY:
                self._count_fault("binary")

    def _control(self, event: media.Event, now: float) -> None:
        match event:
            case media.Mark():
                if self._outbound is not None:
                    self._outbound.on_mark(event.name, now)
            case media.Dtmf():
                self._offer_key(event)
            case media.Start():
                self._start = event
                self._encoder = media.MediaStreamEncoder(event.stream_sid)
                self._settled.set()
            case media.Stop():
                self._end(LineLost("hang_up"))

    def _offer_key(self, key: media.Dtmf) -> None:
        try:
            self._controls_send.send_nowait(key)
        except trio.WouldBlock:
            self._metrics.dropped_messages.labels("keys").inc()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the call is ending and ingress reads no more

    def _count_fault(self, kind: str) -> None:
        self._faults += 1
        self._metrics.media_faults.labels(kind).inc()
        # A stray message is survived in a live call; before the start, or many of them, mean a foreign peer.
        if self._start is None or self._faults > FAULTS_TOLERATED:
            self._say_close(1008, "bad media stream")
            self._end(LineLost("fault", kind))

    def _encode(self, send: Send) -> bytes:
        assert self._encoder is not None
        match send:
            case Media(mulaw):
                return self._encoder.media(mulaw)
            case Mark(name):
                return self._encoder.mark(name)
            case Clear():
                return self._encoder.clear()

    def _write(self, data: bytes = b"") -> None:
        try:
            self._outbox.write(data)
        except OutboxBroken as broken:
            self._peer_gone(LineLost("broken", str(broken)))

    def _say_close(self, code: int, reason: str = "") -> None:
        if not self._closing:
            self._closing = True
            self._write(self._codec.close(code, reason))

    def _closed_by_peer(self, payload: bytes) -> None:
        code, _ = parse_close(payload)
        self._say_close(code or 1000)
        self._peer_gone(LineLost("broken", f"closed with {code} without a stop"))

    def _peer_gone(self, lost: LineLost) -> None:
        self._last_received_at = math.inf
        self.plane.remove(self)
        self._drained.set()
        self._end(lost)

    def _end(self, lost: LineLost) -> None:
        if self._lost is None:
            self._lost = lost
            self._settled.set()
            self._controls_send.close()

    def _release(self) -> None:
        self.plane.remove(self)
        self._end(self.lost)
        self._socket.close()
