"""One media stream as the carrier holds it: a member of the media plane.

Sends the caller's voice (``Mouth``) on the plane's tick, plays what the server sends (``Playback``), echoes marks,
answers pings.

A stream ends once: ``ended`` is set and ``end`` says why.
"""

import math
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import trio

from engine.errors import WebSocketFault
from engine.sim.carrier_wire import BINARY_FRAME, CarrierWire, ClearSent, MarkSent, MediaSent, WireFault, audio_fault
from engine.sim.debugger import Debugger
from engine.sim.echo import EchoPath
from engine.sim.handset import Handset, StreamRecording
from engine.sim.hearing import FRAME_BYTES
from engine.sim.mouth import Mouth, Parts, Voice
from engine.sim.network import Route
from engine.sim.playback import Playback, PlaybackStatistics
from engine.sim.scenario import Ending
from engine.telephony.outbox import Outbox, OutboxBroken
from engine.telephony.plane import FRAME_S, MediaPlane
from engine.wire.websocket import BINARY, CLOSE, PING, TEXT, Role, WebSocketCodec, parse_close

RECEIVE_BYTES = 65536
SOON_S = FRAME_S / 2  # what is due before half of the next tick goes with this one
LARGEST_MESSAGE = 1_048_576  # the carrier's own limit is not published; this is 98 s of audio
SEND_LIMIT_BYTES = 65536  # above this the carrier throws the caller's audio away: 31930
GONE_S = {Ending.STOP_THEN_CLOSE: 2.0, Ending.STOP_ONLY: 10.0, Ending.CLOSE_ONLY: 2.0, Ending.HALF_OPEN: 60.0}


@dataclass(frozen=True, slots=True)
class PhoneOptions:
    """How this carrier misbehaves, within what carriers do.

    Attributes:
        chunk_bytes: sizes of media messages, in turn; a carrier promises none.
        slow_reader_bytes_per_s: read no faster than this (None: as it comes).
        echo: of what the caller hears, in what is sent; the recording of the caller's mouth is without.
        starts: how often ``start`` is sent.
        voice: makes what it sends of the caller.
    """

    chunk_bytes: tuple[int, ...] = (FRAME_BYTES,)
    slow_reader_bytes_per_s: float | None = None
    echo: EchoPath | None = None
    starts: int = 1
    voice: Callable[[Parts], Voice] = Mouth


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Why a stream ended: ``server_closed`` (with its code), ``broken``, ``fault``, ``carrier`` (our side)."""

    reason: str
    code: int | None = None


class Phone:
    """A plane member; ``ended`` is set when the stream is over, ``wait_gone`` lets go of its socket."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        wire: CarrierWire,
        parameters: Mapping[str, str],
        plane: MediaPlane,
        handset: Handset,
        route: Route,
        debugger: Debugger,
        options: PhoneOptions,
        leftover: bytes = b"",
    ) -> None:
        now = trio.current_time()
        self._socket = sock
        self._wire = wire
        self._plane = plane
        self._handset = handset
        self._route = route
        self._debugger = debugger
        self._codec = WebSocketCodec(Role.CLIENT, max_message=LARGEST_MESSAGE)
        self._outbox = Outbox(sock)
        self.playback = Playback(now)
        self._voice = options.voice(
            Parts(wire, handset, route, self._codec, self.playback, now, options.chunk_bytes, options.echo)
        )
        self._started_at = now
        self._delayed: deque[tuple[float, bytes]] = deque()
        self._read_budget = self._read_rate = options.slow_reader_bytes_per_s or math.inf
        self.discarded_chunks = 0
        self.ended = trio.Event()
        self.end = StreamEnd("carrier")
        self.heard: PlaybackStatistics | None = None  # once it has ended
        self._gone = trio.Event()
        self._hung_up: Ending | None = None
        plane.add(self)
        handset.attach(self, now)
        starts = (self._codec.text(wire.start(parameters)) for _ in range(options.starts))
        self._write(self._codec.text(wire.connected()) + b"".join(starts))
        if leftover:
            self._receive(leftover, now)

    # --- for the call --------------------------------------------------------------------------------------------

    def press(self, digit: str) -> None:
        """Send a key, in order with the caller's voice."""
        self._control(self._wire.dtmf(digit), trio.current_time())

    def hang_up(self, how: Ending) -> None:
        """End the stream from the carrier's side; harmless where it is over. Follow with ``wait_gone``."""
        if self.ended.is_set():
            return
        held = b"".join(message for _, message in self._delayed)
        self._delayed.clear()
        self._hung_up = how
        if how in {Ending.STOP_THEN_CLOSE, Ending.STOP_ONLY}:
            held += self._codec.text(self._wire.stop())
        if how in {Ending.STOP_THEN_CLOSE, Ending.CLOSE_ONLY}:
            held += self._codec.close(1000)
        if how is Ending.RESET:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._let_go()
        elif how is not Ending.HALF_OPEN:  # there not a byte more; what still comes is read by nobody
            self._write(held)
        self._end(StreamEnd("carrier"))

    async def wait_gone(self) -> float:
        """Wait (shielded, bounded) until the server has ended its side too, then close; returns the seconds waited."""
        began = trio.current_time()
        patience = 0.0 if self._hung_up is None else GONE_S.get(self._hung_up, 0.0)
        with trio.CancelScope(shield=True, deadline=began + patience):
            await self._gone.wait()
        self._let_go()
        return trio.current_time() - began

    # --- for the plane -------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def on_readable(self, now: float) -> None:
        """Read once and act on what came; in slow-reader mode, only as much as the rate allows."""
        room = min(RECEIVE_BYTES, self._read_budget)
        if room < 1:
            return
        try:
            data = self._socket.recv(int(room))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(error.strerror or "reset", now)
            return
        if not data:
            self._lost("the server's connection ended without a close", now)
            return
        self._read_budget -= len(data)
        self._receive(data, now)

    def on_tick(self, now: float) -> None:
        """Send the frames that are due, let held ones go, echo marks that were reached."""
        self._read_budget = min(self._read_rate, self._read_budget + self._read_rate * FRAME_S)
        if self._outbox.backlog_bytes:
            self._write(b"")
        if self.ended.is_set():
            return
        while self._delayed and self._delayed[0][0] <= now + SOON_S:
            self._write(self._delayed.popleft()[1])
        self._speak(now)
        self._echo_marks(now)

    def on_fault(self, error: Exception) -> None:
        """A bug of the simulator's own: the stream ends, and the report says so."""
        self._debugger.note(31900, f"the simulator failed: {error!r}", trio.current_time())
        self._let_go()
        self._end(StreamEnd("fault"))

    # --- out -----------------------------------------------------------------------------------------------------

    def _speak(self, now: float) -> None:
        full = self._outbox.backlog_bytes > SEND_LIMIT_BYTES
        for leaves_at, framed in self._voice.due(now, full=full):
            if framed is not None:
                self._send(framed, leaves_at, now)
            else:
                self.discarded_chunks += 1
                self._debugger.note_once(31930, "the server reads too slowly: caller audio thrown away", now)

    def _control(self, message: bytes, now: float) -> None:
        if not self.ended.is_set():
            self._send(self._codec.text(message), self._route.control(now), now)

    def _send(self, framed: bytes, leaves_at: float, now: float) -> None:
        if leaves_at <= now + SOON_S and not self._delayed:
            self._write(framed)
        else:
            self._delayed.append((leaves_at, framed))

    def _write(self, data: bytes) -> None:
        if self._gone.is_set():
            return
        try:
            self._outbox.write(data)
        except OutboxBroken as broken:
            self._lost(str(broken), trio.current_time())

    # --- in ------------------------------------------------------------------------------------------------------

    def _receive(self, data: bytes, now: float) -> None:
        try:
            for opcode, payload in self._codec.receive_data(data):
                if opcode == CLOSE:
                    self._closed_by_server(payload, now)
                    return
                if self.ended.is_set():
                    continue  # hung up: what still comes on its way is heard by nobody
                if opcode == TEXT:
                    self._message(payload, now)
                elif opcode == PING:
                    self._write(self._codec.pong(payload))
                elif opcode == BINARY:
                    self._debugger.note(BINARY_FRAME, f"a binary message of {len(payload)} bytes", now)
        except WebSocketFault as fault:
            self._debugger.note(31924, str(fault), now)
            self._let_go()
            self._end(StreamEnd("fault", fault.close_code))
            return
        self._echo_marks(now)

    def _message(self, payload: bytes, now: float) -> None:
        match self._wire.decode(payload):
            case MediaSent(media=media):
                fault = audio_fault(media.payload)
                if fault is not None:
                    self._debugger.note(fault.code, fault.detail, now)
                if not self.playback.push(media.payload, now):
                    self._debugger.note_once(31931, "more than 10 minutes of audio queued", now)
                self._handset.notice()
            case MarkSent(mark=mark):
                self.playback.mark(mark.name, now)
            case ClearSent():
                self.playback.clear(now)
            case WireFault(code, detail):
                self._debugger.note(code, detail, now)

    def _echo_marks(self, now: float) -> None:
        for name in self.playback.advance(now):
            self._control(self._wire.mark(name), now)

    def _closed_by_server(self, payload: bytes, now: float) -> None:
        code, reason = parse_close(payload)
        if self._hung_up is None:
            self._debugger.note(31921, f"the server closed its stream: {code} {reason}".rstrip(), now)
        if self._hung_up in {None, Ending.STOP_ONLY}:
            self._write(self._codec.close(code if code not in {None, 1005, 1006} else 1000))
        self._let_go()
        self._end(StreamEnd("server_closed", code))

    # --- the end -------------------------------------------------------------------------------------------------

    def _lost(self, detail: str, now: float) -> None:
        if self._hung_up is None and not self.ended.is_set():
            self._debugger.note(31903, detail, now)
        self._let_go()
        self._end(StreamEnd("broken"))

    def _let_go(self) -> None:
        self._plane.remove(self)
        self._socket.close()
        self._gone.set()

    def _end(self, end: StreamEnd) -> None:
        if self.ended.is_set():
            return
        now = trio.current_time()
        self.end = end
        self.heard = self.playback.statistics(now)
        self.ended.set()
        self._handset.detach(StreamRecording(self._started_at, self._voice.spoken, self.playback.heard(now)))
