"""The sockets of the light peers: handshakes, frames in any pieces, refusals, and embeddings."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import orjson
import pytest

from engine.loadtest.light_link import LightEmbeddings, LightLink
from engine.loadtest.light_loop import Loop
from engine.loadtest.light_model import LightHouse
from engine.sim.embeddings import SimEmbeddings
from engine.sim.gemini import PATH
from engine.wire.handshake import ClientHandshake
from engine.wire.websocket import CLOSE, PONG, Role, WebSocketCodec, parse_close
from tests.loadtest.light_world import START, house, sound
from tests.sim.gemini_client import SETUP


@dataclass
class Client:
    """A blocking socket whose other end is turned in between."""

    loop: Loop
    port: int
    codec: WebSocketCodec = field(default_factory=lambda: WebSocketCodec(Role.CLIENT))

    def __post_init__(self) -> None:
        self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.turn()

    def turn(self) -> None:
        for _ in range(3):
            self.loop.turn(0.01)

    def send(self, data: bytes, *, piece: int = 65536) -> None:
        for at in range(0, len(data), piece):
            self.sock.sendall(data[at : at + piece])
            self.loop.turn(0.001)
        self.turn()

    def say(self, message: object) -> None:
        self.send(self.codec.text(orjson.dumps(message)))

    def upgrade(self, path: str = PATH) -> bytes:
        handshake = ClientHandshake(f"ws://127.0.0.1:{self.port}{path}", [("x-goog-api-key", "k")])
        self.send(handshake.request())
        return self.sock.recv(65536)

    def frames(self, count: int = 1) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        while len(found) < count:
            found += self.codec.receive_data(self.sock.recv(65536))
        return found


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def light(loop: Loop) -> LightHouse:
    return house(loop, None)


@pytest.fixture
def dial(loop: Loop, light: LightHouse) -> Iterator[Callable[[], Client]]:
    def connected(sock: socket.socket) -> None:
        LightLink(light, sock)

    port, made = loop.listen(connected), []

    def one() -> Client:
        made.append(Client(loop, port))
        return made[-1]

    yield one
    for client in made:
        client.sock.close()


Dial = Callable[[], Client]


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_a_session_opens_in_whatever_pieces_it_comes(dial: Dial, piece: int) -> None:
    client = dial()
    assert client.upgrade().startswith(b"HTTP/1.1 101")
    client.send(client.codec.text(orjson.dumps({"setup": SETUP})) + client.codec.ping(b"x"), piece=piece)
    [(_, ready), pong] = client.frames(2)
    assert "setupComplete" in orjson.loads(ready)
    assert pong == (PONG, b"x")


def test_another_path_is_refused(dial: Dial) -> None:
    assert dial().upgrade("/elsewhere").startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("bad", [START, {"setup": SETUP | {"nonsense": 1}}, sound(np.zeros(1600, np.int16))])
def test_what_the_service_refuses_ends_the_connection_and_is_counted(
    dial: Dial, light: LightHouse, bad: object
) -> None:
    client = dial()
    client.upgrade()
    client.say(bad)
    [(opcode, payload)] = client.frames()
    assert opcode == CLOSE
    assert parse_close(payload)[0] == 1007
    assert len(light.faults) == 1


def test_a_frame_that_is_not_masked_is_refused(dial: Dial, light: LightHouse) -> None:
    client = dial()
    client.upgrade()
    client.send(WebSocketCodec(Role.SERVER).text(orjson.dumps(sound(np.zeros(1600, np.int16)))))
    [(opcode, _)] = client.frames()
    assert opcode == CLOSE
    assert "unmasked" in light.faults[0]


def test_a_client_that_says_goodbye_gets_one(dial: Dial, light: LightHouse) -> None:
    client = dial()
    client.upgrade()
    client.say({"setup": SETUP})
    client.frames()
    client.send(client.codec.close(1000))
    [(opcode, _)] = client.frames()
    assert opcode == CLOSE
    assert client.sock.recv(1) == b""
    assert not light.faults


def post(body: bytes, target: str = "/v1beta/models/m:batchEmbedContents") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: h\r\ncontent-length: %d\r\n\r\n%b" % (target.encode(), len(body), body)


def test_embeddings_are_the_strict_ones_and_made_once(loop: Loop) -> None:
    strict = SimEmbeddings()
    client = Client(loop, loop.listen(LightEmbeddings(loop, strict).take))
    body = orjson.dumps(
        {"requests": [{"content": {"parts": [{"text": "Where can I park?"}]}, "outputDimensionality": 4}]}
    )
    client.send(post(body), piece=50)
    first = client.sock.recv(65536)
    client.send(post(body) + post(body))
    twice = client.sock.recv(65536)
    while len(twice) < 2 * len(first):
        twice += client.sock.recv(65536)
    assert twice == first + first
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert len(orjson.loads(first.partition(b"\r\n\r\n")[2])["embeddings"][0]["values"]) == 4
    assert strict.asked == 1
    client.send(post(b"{}"))
    assert client.sock.recv(65536).startswith(b"HTTP/1.1 400")
    assert strict.faults
    client.sock.close()
