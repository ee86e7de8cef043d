"""A tenant's tool endpoint, simulated over real sockets: strict about requests, and it counts what it does.

Every request is verified as a careful tenant would (signature, moment, headers against body); one that is not in order
is noted in ``faults`` and refused. An effect is what was done: one for each answer with the status ``ok``, counted by
``Idempotency-Key``. An *idempotent* endpoint does a key once: who comes again gets the same answer, who comes
meanwhile waits for it, and who brings the key for something else is at fault. One that is not does as it is told every
time, so that whatever asks twice is found out.
"""

import gzip
import json
import math
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import h11
import trio

from engine.sim.link import listen, reset
from engine.sim.tool_moods import (
    Drops,
    Fails,
    Fine,
    Garbage,
    Huge,
    Kills,
    LosesAnswer,
    Redirects,
    Slow,
    ToolMood,
    TooMany,
)
from engine.sim.tool_requests import Received, ToolRequest, Unacceptable, Verifier

Answer: TypeAlias = Mapping[str, Any]
REQUEST_LIMIT = 65536
IDLE_S = 30.0
_CHUNK = 65536
_TRACE = b'Traceback (most recent call last):\n  File "/srv/tools.py", line 7, in book\nKeyError: "db_password"\n'


@dataclass(frozen=True, slots=True)
class _Done:
    meaning: tuple[object, ...]
    answer: Answer


class ToolEndpoint:
    """One endpoint for any number of tenants and tools. ``serve`` it in a nursery; then ``url`` is its address.

    Attributes:
        requests: those in order, as they came.
        faults: why others were refused.
        effects: how often each key was done.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        idempotent: bool = True,
        answer: Callable[[ToolRequest], Answer] | None = None,
        works_s: float = 0.0,
        clock: Callable[[], float] = lambda: datetime.now(UTC).timestamp(),
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Args: ``answer`` does the work of one request, and says what came of it; ``works_s``: it takes so long."""
        self.url = ""
        self.requests: list[ToolRequest] = []
        self.faults: list[str] = []
        self.effects: Counter[str] = Counter()
        self._verifier = verifier
        self._idempotent = idempotent
        self._work = answer or _agree
        self._works_s = works_s
        self._clock = clock
        self._ssl_context = ssl_context
        self._moods: deque[ToolMood] = deque()
        self._done: dict[str, _Done] = {}
        self._one_at_a_time: dict[str, trio.Lock] = {}

    def script(self, moods: Iterable[ToolMood]) -> None:
        """The next requests meet these, one each; those after them none."""
        self._moods.extend(moods)

    async def serve(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen until cancelled; started with the address."""
        listeners = await listen(host, port, self._ssl_context)
        first = listeners[0]
        tcp = first.transport_listener if isinstance(first, trio.SSLListener) else first
        assert isinstance(tcp, trio.SocketListener)
        scheme = "http" if self._ssl_context is None else "https"
        self.url = f"{scheme}://{host}:{tcp.socket.getsockname()[1]}/tools"
        async with trio.open_nursery() as connections:
            await connections.start(trio.serve_listeners, self._serve_one, listeners)
            task_status.started(self.url)

    # --- one request ---------------------------------------------------------------------------------------------

    async def _serve_one(self, stream: trio.abc.Stream) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_LIMIT)
        try:
            async with stream:
                with trio.move_on_after(IDLE_S) as patience:
                    got = await self._receive(http, stream)
                if not patience.cancelled_caught and got is not None:
                    await self._meet(got, http, stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
            return  # this client is gone or speaks no HTTP; the others go on

    async def _receive(self, http: h11.Connection, stream: trio.abc.Stream) -> Received | None:
        head: h11.Request | None = None
        body = b""
        while True:
            match http.next_event():
                case h11.NEED_DATA:
                    http.receive_data(bytes(await stream.receive_some(REQUEST_LIMIT)))
                case h11.Request() as head:
                    pass
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage() if head is not None:
                    headers = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
                    return Received(head.method.decode(), head.target.decode(), headers, body, self._clock())
                case _:
                    return None

    async def _meet(self, got: Received, http: h11.Connection, stream: trio.abc.Stream) -> None:
        try:
            request = self._verifier.read(got)
            self.requests.append(request)
            mood = self._moods.popleft() if self._moods else Fine()
            if await _answered_unworked(mood, http, stream):
                return
            answer = await self._act(request)
        except Unacceptable as fault:
            self.faults.append(str(fault))
            await _send(http, stream, fault.status, {"error": str(fault)})
        else:
            await _answer(mood, answer, http, stream)

    async def _act(self, request: ToolRequest) -> Answer:
        if not self._idempotent:
            return await self._do(request)
        async with self._one_at_a_time.setdefault(request.key, trio.Lock()):
            meaning = (request.tenant, request.call, request.tool, json.dumps(request.arguments, sort_keys=True))
            before = self._done.get(request.key)
            if before is None:
                answer = await self._do(request)
                if answer.get("status") == "ok":
                    self._done[request.key] = _Done(meaning, answer)
                return answer
            if before.meaning != meaning:
                raise Unacceptable(422, "the Idempotency-Key was used for something else")
            return before.answer

    async def _do(self, request: ToolRequest) -> Answer:
        # Done to its end, like any real backend's work, whether or not somebody still waits for the answer.
        with trio.CancelScope(shield=True):
            await trio.sleep(self._works_s)
        answer = self._work(request)
        if answer.get("status") == "ok":
            self.effects[request.key] += 1
        return answer


def _agree(request: ToolRequest) -> Answer:
    return {"status": "ok", "message": "Done.", "data": {"reference": request.key[:8]}}


async def _answered_unworked(mood: ToolMood, http: h11.Connection, stream: trio.abc.Stream) -> bool:
    """Whether this mood answers, or does not, before anything is done."""
    match mood:
        case Drops():
            await reset(stream)
        case Fails(status, done=False):
            await _send(http, stream, status, _TRACE)
        case TooMany(retry_after):
            after = [] if retry_after is None else [("Retry-After", retry_after)]
            await _send(http, stream, 429, {"error": "too many requests"}, after)
        case Redirects(to, status):
            await _send(http, stream, status, b"", [("Location", to)])
        case Kills(kill, "before"):
            kill()
            await trio.sleep(math.inf)
        case _:
            return False
    return True


async def _answer(mood: ToolMood, answer: Answer, http: h11.Connection, stream: trio.abc.Stream) -> None:
    match mood:
        case Slow(answer_s):
            if await _still_wanted(stream, answer_s):
                await _send(http, stream, 200, answer)
        case Fails(status):
            await _send(http, stream, status, _TRACE)
        case LosesAnswer():
            await reset(stream)
        case Kills(kill):
            kill()
            await trio.sleep(math.inf)
        case Huge(size, declared):
            await _send_huge(http, stream, size, declared=declared)
        case Garbage(how):
            await _send_nonsense(how, http, stream)
        case _:
            await _send(http, stream, 200, answer)


async def _still_wanted(stream: trio.abc.Stream, after_s: float) -> bool:
    """Wait so long; False as soon as whoever asked has closed the connection."""
    with trio.move_on_after(after_s):
        while await stream.receive_some(_CHUNK):
            pass
        return False
    return True


async def _send(
    http: h11.Connection,
    stream: trio.abc.Stream,
    status: int,
    body: bytes | Answer,
    headers: Iterable[tuple[str, str]] = (),
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(dict(body)).encode()
    kind = "text/plain" if isinstance(body, bytes) else "application/json"
    head = [("Content-Type", kind), ("Content-Length", str(len(content))), ("Set-Cookie", "session=1"), *headers]
    events = (h11.Response(status_code=status, headers=head), h11.Data(data=content), h11.EndOfMessage())
    await stream.send_all(b"".join(http.send(event) or b"" for event in events))


async def _send_huge(http: h11.Connection, stream: trio.abc.Stream, size: int, *, declared: bool) -> None:
    length = ("Content-Length", str(size)) if declared else ("Transfer-Encoding", "chunked")
    head = h11.Response(status_code=200, headers=[("Content-Type", "application/json"), length])
    await stream.send_all(http.send(head) or b"")
    for sent in range(0, size, _CHUNK):
        part = h11.Data(data=b" " * min(_CHUNK, size - sent))
        await stream.send_all(http.send(part) or b"")


async def _send_nonsense(how: str, http: h11.Connection, stream: trio.abc.Stream) -> None:
    match how:
        case "no_http":
            await stream.send_all(b"+OK ready\r\n\r\n")
        case "cut_short":
            await stream.send_all(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"status": "ok", "message"')
        case "packed":
            packed = gzip.compress(json.dumps({"status": "ok", "message": "Done."}).encode())
            await _send(http, stream, 200, packed, [("Content-Encoding", "gzip")])
        case "list":
            await _send(http, stream, 200, b'["ok", "Done."]')
        case "wrong_shape":
            await _send(http, stream, 200, {"status": "ok", "message": {"text": "Done."}})
        case "not_utf8":
            await _send(http, stream, 200, b'{"status": "ok", "message": "\xff\xfe"}')
        case "deep":
            await _send(http, stream, 200, b'{"status": "ok", "message": "x", "data": {"a": ' + b"[" * 5000)
        case _:
            await _send(http, stream, 200, _TRACE)
