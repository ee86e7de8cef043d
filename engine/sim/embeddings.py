"""Google's embedding endpoint, simulated: ``POST …/models/{model}:batchEmbedContents`` over HTTP/1.1.

Vectors are of hashed words, so that texts which share words are near each other. As strict as the service about what
it is sent; refused requests are noted in ``faults``.
"""

import json
import re

import h11
import trio

from engine.retrieval.embed import HashedWords

_TARGET = re.compile(r"/v1(beta)?/models/[\w.-]+:batchEmbedContents(\?.*)?")
_MOST_TEXTS = 100
_REQUEST_LIMIT = 4 * 2**20


class SimEmbeddings:
    """``serve`` it in a nursery, which is started with its base URL.

    Attributes:
        asked: texts embedded so far.
        faults: why requests were refused.
    """

    def __init__(self, *, takes_s: float = 0.0) -> None:
        """Args: ``takes_s``: how long an answer takes."""
        self.asked = 0
        self.faults: list[str] = []
        self._takes_s = takes_s
        self._vectors: dict[int, HashedWords] = {}

    async def serve(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen on loopback until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with trio.open_nursery() as connections:
            await connections.start(trio.serve_listeners, self._serve_one, listeners)
            task_status.started(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}")

    async def _serve_one(self, stream: trio.SocketStream) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
        try:
            async with stream:
                while (asked := await _read(http, stream)) is not None:
                    status, answer = await self.answer(*asked)
                    await stream.send_all(_written(http, status, answer))
                    if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                        return
                    http.start_next_cycle()
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            return  # this client is gone, or speaks no HTTP

    async def answer(self, target: str, body: bytes) -> tuple[int, object]:
        """One request: the answer's status, and what it says, to be written as JSON."""
        try:
            if not _TARGET.fullmatch(target):
                raise ValueError(f"no such method: {target}")
            requests = json.loads(body)["requests"]
            if not 0 < len(requests) <= _MOST_TEXTS:
                raise ValueError(f"1 to {_MOST_TEXTS} texts, not {len(requests)}")
            rows = [await self._row(request) for request in requests]
        except (ValueError, KeyError, TypeError, IndexError) as wrong:
            self.faults.append(repr(wrong))
            return 400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": repr(wrong)}}
        await trio.sleep(self._takes_s)
        self.asked += len(rows)
        return 200, {"embeddings": rows}

    async def _row(self, request: dict[str, object]) -> dict[str, list[float]]:
        parts = request["content"]["parts"]  # type: ignore[index]
        dimensions = request.get("outputDimensionality", 3072)
        if not isinstance(dimensions, int) or not 1 <= dimensions <= 3072:
            raise ValueError("outputDimensionality is 1 to 3072")
        words = self._vectors.setdefault(dimensions, HashedWords(dimensions))
        vector = await words.embed_query(" ".join(str(part["text"]) for part in parts))
        return {"values": [round(value, 8) for value in vector]}


async def _read(http: h11.Connection, stream: trio.SocketStream) -> tuple[str, bytes] | None:
    """The next request's target and body; None where the client has gone."""
    target, body = "", b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive_some(65536))
        elif isinstance(event, h11.Request):
            target = event.target.decode("latin-1")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _REQUEST_LIMIT:
                raise h11.RemoteProtocolError("too large")
        elif isinstance(event, h11.EndOfMessage):
            return target, body
        else:
            return None


def _written(http: h11.Connection, status: int, answer: object) -> bytes:
    content = json.dumps(answer).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
    parts = (h11.Response(status_code=status, headers=headers), h11.Data(data=content), h11.EndOfMessage())
    return b"".join(http.send(part) or b"" for part in parts)
