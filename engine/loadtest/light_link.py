"""The sockets of the light peers: websockets of the model, and HTTP for embeddings.

A message of sound is recognised by its size and taken as it came, masked; every other frame goes through the engine's
own codec, which is as strict as the RFC.
"""

import re
import socket
from collections.abc import Callable

import orjson
import trio

from engine.errors import HandshakeFault, WebSocketFault
from engine.loadtest.light_ear import Window, unmasked
from engine.loadtest.light_loop import Loop
from engine.loadtest.light_model import LightHouse, LightSession
from engine.sim.embeddings import SimEmbeddings
from engine.sim.gemini import PATH
from engine.sim.gemini_rules import AudioIn, read_message
from engine.sim.gemini_schema import Refusal
from engine.telephony.outbox import Outbox, OutboxBroken
from engine.wire.handshake import accept, parse_request, reject
from engine.wire.websocket import BINARY, CLOSE, PING, TEXT, Role, WebSocketCodec, parse_close

READ_BYTES = 262_144
LEAST_SOUND = 256  # bytes of payload: less than 10 ms of sound; whatever is shorter is judged whole
MOST_SOUND = 1_048_576
HEARD_AT_HZ = {8_000, 16_000}
JUDGED = 32  # every so manieth message of sound is judged whole
AGAIN_S = 0.005
_WHOLE = {0x81, 0x82}
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,7})\r\n", re.IGNORECASE)


class LightSocket:
    """One connection: bytes in, bytes out, and its end."""

    def __init__(self, loop: Loop, sock: socket.socket, on_data: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._socket = sock
        self._outbox = Outbox(sock)
        self._on_data = on_data
        self.on_end: Callable[[], None] = lambda: None
        self._open = True
        loop.watch(sock, self._readable)

    def send(self, data: bytes) -> None:
        """Hand over; harmless where the connection is gone."""
        if not self._open:
            return
        try:
            self._outbox.write(data)
        except OutboxBroken:
            self.close()
            return
        if self._outbox.backlog_bytes:
            self._loop.at(self._loop.clock() + AGAIN_S, lambda: self.send(b""))

    def close(self) -> None:
        """Let go of it, once."""
        if self._open:
            self._open = False
            self._loop.forget(self._socket)
            self._socket.close()
            self.on_end()

    def _readable(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._on_data(data)
        else:
            self.close()


class SoundReader:
    """The messages of sound of one connection: what they look like, and how long they are."""

    def __init__(self) -> None:
        self._head = self._tail = b""
        self._per_ms = 0  # samples
        self._taken = 0  # messages of sound since one was judged whole; 0: the next one is

    def read(self, key: bytes, body: bytes) -> Window | None:
        """A masked payload as sound; None where it is something else.

        Raises:
            Refusal: the service would not take it.
        """
        first, last = len(self._head), len(body) - len(self._tail)
        if self._taken % JUDGED == 0 or (last - first) % 4 or unmasked(key, body, 0, first) != self._head:
            return self._judge(key, body)
        self._taken += 1
        end = unmasked(key, body, last - 2, len(body))
        if end[2:] != self._tail:
            return self._judge(key, body)
        ms = ((last - first) // 4 * 3 - end.count(b"=", 0, 2)) / (2 * self._per_ms)
        return Window(key, body, first, last, ms, self._per_ms)

    def _judge(self, key: bytes, body: bytes) -> Window | None:
        payload = unmasked(key, body, 0, len(body))
        message = read_message(payload)
        if not isinstance(message, AudioIn):
            return None
        if message.rate not in HEARD_AT_HZ:
            raise Refusal(f"this simulator hears at 8 or 16 kHz, not at {message.rate}: ask for --checks strict")
        first = payload.index(b'"data":"') + len(b'"data":"')
        last = payload.index(b'"', first)
        self._head, self._tail, self._taken = payload[:first], payload[last:], 1
        self._per_ms = message.rate // 1000
        return Window(key, body, first, last, len(message.pcm) / self._per_ms, self._per_ms)


class LightLink:
    """One websocket of a light model."""

    def __init__(self, house: LightHouse, sock: socket.socket) -> None:
        self._house = house
        self._codec = WebSocketCodec(Role.SERVER, max_message=16 * MOST_SOUND)
        self._rest = b""
        self._shaken = self._fragments = False
        self._sound = SoundReader()
        self._socket = LightSocket(house.loop, sock, self._receive)
        self._session = LightSession(house, self._socket.send)
        self._socket.on_end = self._session.end

    def _receive(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        try:
            if not self._shaken:
                data = self._shake_hands(data)
            used = self._read(data) if self._shaken else 0
            self._rest = data[used:]
        except (Refusal, WebSocketFault) as fault:
            code = fault.code if isinstance(fault, Refusal) else fault.close_code
            self._house.faults.append(str(fault))
            self._socket.send(self._codec.close(code, str(fault)))
            self._socket.close()
        except HandshakeFault as fault:
            self._refuse(fault.status, str(fault))

    def _shake_hands(self, data: bytes) -> bytes:
        request = parse_request(data)
        if request is None:
            return data
        if not request.is_websocket or request.path != PATH or not request.headers.get("x-goog-api-key"):
            self._refuse(404 if request.path != PATH else 403, "refused by the simulator")
            return b""
        self._shaken = True
        self._socket.send(accept(request))
        return request.leftover

    def _refuse(self, status: int, reason: str) -> None:
        self._socket.send(reject(status, reason))
        self._socket.close()

    def _read(self, data: bytes) -> int:
        """Take all whole frames; how many bytes they took."""
        at, size = 0, len(data)
        while size - at >= 6:
            if not data[at + 1] & 0x80:
                self._control(data[at:])  # no client may send this: the codec says so
            length, body = data[at + 1] & 0x7F, at + 2
            if length >= 126:
                body += 2 if length == 126 else 8
                length = int.from_bytes(data[at + 2 : body], "big")
            end = body + 4 + length
            if end > size:
                break
            head = data[at]
            window = None
            if head in _WHOLE and LEAST_SOUND <= length <= MOST_SOUND and not self._fragments:
                window = self._sound.read(data[body : body + 4], data[body + 4 : end])
            if window is not None:
                self._session.audio(window)
            else:
                self._fragments = not head & 0x80 or (self._fragments and head & 0x0F != 0)
                self._control(data[at:end])
            at = end
        return at

    def _control(self, frame: bytes) -> None:
        for opcode, payload in self._codec.receive_data(frame):
            if opcode in {TEXT, BINARY}:
                message = read_message(payload)
                if isinstance(message, AudioIn):
                    raise Refusal(f"this simulator takes no sound of less than {LEAST_SOUND} bytes")
                self._session.take(message)
            elif opcode == PING:
                self._socket.send(self._codec.pong(payload))
            elif opcode == CLOSE:
                code, _ = parse_close(payload)
                self._socket.send(self._codec.close(code))
                self._socket.close()


class LightEmbeddings:
    """``SimEmbeddings`` for load: a request that was answered before gets the same bytes again."""

    def __init__(self, loop: Loop, strict: SimEmbeddings) -> None:
        self._loop = loop
        self._strict = strict
        self._known: dict[tuple[bytes, bytes], bytes] = {}

    def take(self, sock: socket.socket) -> None:
        """Serve this connection."""
        rest = b""

        def receive(data: bytes) -> None:
            nonlocal rest
            rest += data
            while (request := _request(rest)) is not None:
                head, body, rest = request
                connection.send(self._answer(head.partition(b"\r\n")[0], body))

        connection = LightSocket(self._loop, sock, receive)

    def _answer(self, line: bytes, body: bytes) -> bytes:
        known = self._known.get((line, body))
        if known is None:
            target = line.decode("latin-1").split(" ")[1]
            # There is no other run of trio here, and this happens once for each text.
            status, answer = trio.run(self._strict.answer, target, body)
            content = orjson.dumps(answer)
            known = (
                b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % (status, b"OK" if status == 200 else b"Bad Request", len(content))
            ) + content
            self._known[line, body] = known
        return known


def _request(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Head, body, and what comes behind them; None while they are not whole."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    found = _LENGTH.search(head + b"\r\n")
    length = int(found[1]) if found else 0
    return None if len(rest) < length else (head, rest[:length], rest[length:])
