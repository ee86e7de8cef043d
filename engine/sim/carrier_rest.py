"""The carrier's REST interface for live calls: update and read one, as strict as the real one about who asks.

``POST /2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}.json`` with ``Status=completed``, ``Twiml`` or ``Url``, and
``GET`` of the same. Moods are scripted: a refusal for too many requests (nothing was done), an answer that is
lost (it *was* done), a server error, a live call that is not found, slowness. Creating calls is not part of it: the
simulator places its own. Codes 20004 and 20422 are our best guess; clients should go by the status there.
"""

import base64
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol
from urllib.parse import parse_qs

import h11
import trio

from engine.sim.carrier_call import NewDocument
from engine.sim.carrier_web import CarrierAccount

REQUEST_LIMIT = 65536
IDLE_S = 30.0
LONGEST_TWIML = 4000  # characters of ``Twiml``


class Mood(Enum):
    """What becomes of a request."""

    TOO_MANY = "too_many"  # 429, code 20429; not processed
    UNAVAILABLE = "unavailable"  # 503, code 20503; not processed
    NOT_FOUND = "not_found"  # 404, code 20404, though the call is live; not processed
    LOST = "lost"  # processed, and the connection ends without an answer
    SLOW = "slow"  # processed at once, answered after `CarrierRest.slow_s`


class Updatable(Protocol):
    """A live call as this interface sees it."""

    sid: str

    @property
    def is_live(self) -> bool:
        """Can it still be updated?"""

    def complete(self) -> None:
        """End it."""

    def replace(self, document: NewDocument) -> None:
        """Run this instead."""


@dataclass(frozen=True, slots=True)
class Update:
    """A request that was processed, for tests to look at."""

    call_sid: str
    form: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: dict[str, object]


class CarrierRest:
    """One account's interface. ``serve`` it in a nursery; then ``url`` is its origin."""

    def __init__(self, account_sid: str, auth_token: str, *, slow_s: float = 3.0) -> None:
        self.url = ""
        self.slow_s = slow_s
        self.updates: list[Update] = []
        self._account_sid = account_sid
        self._calls: dict[str, Updatable] = {}
        self._moods: deque[Mood] = deque()
        self._credentials = "Basic " + base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()

    @classmethod
    def of(cls, account: CarrierAccount, *, slow_s: float = 3.0) -> "CarrierRest":
        """The interface of this account."""
        return cls(account.account_sid, account.auth_token, slow_s=slow_s)

    def add(self, call: Updatable) -> None:
        """From now on this call can be updated."""
        self._calls[call.sid] = call

    def remove(self, call: Updatable) -> None:
        """The call is over: from now on it answers 404."""
        self._calls.pop(call.sid, None)

    def script(self, moods: Iterable[Mood]) -> None:
        """The next requests meet these, one each; those after them none."""
        self._moods.extend(moods)

    async def serve(self, *, port: int = 0, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen on loopback until cancelled; started with the origin."""
        listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        self.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with trio.open_nursery() as connections:
            await connections.start(trio.serve_listeners, self._serve_one, listeners)
            task_status.started(self.url)

    # --- HTTP ----------------------------------------------------------------------------------------------------

    async def _serve_one(self, stream: trio.SocketStream) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_LIMIT)
        try:
            async with stream:
                while http.states == {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE}:
                    with trio.move_on_after(IDLE_S) as patience:
                        request, body = await _read_request(http, stream)
                    if patience.cancelled_caught or request is None:
                        return
                    answer = await self._answer(request, body)
                    if answer is None:
                        return
                    await stream.send_all(_written(http, answer))
                    if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                        return
                    http.start_next_cycle()
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            return  # this client is gone or speaks no HTTP; the others go on

    async def _answer(self, request: h11.Request, body: bytes) -> _Answer | None:
        mood = self._moods.popleft() if self._moods else None
        if mood is Mood.TOO_MANY:
            return _error(429, 20429, "Too Many Requests")
        if mood is Mood.UNAVAILABLE:
            return _error(503, 20503, "Service unavailable")
        if mood is Mood.NOT_FOUND:
            return _error(404, 20404, "The requested resource was not found")
        answer = self._process(request, body)
        if mood is Mood.SLOW:
            await trio.sleep(self.slow_s)
        return None if mood is Mood.LOST else answer

    # --- what is asked -------------------------------------------------------------------------------------------

    def _process(self, request: h11.Request, body: bytes) -> _Answer:
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        if headers.get("authorization") != self._credentials:
            return _error(401, 20003, "Authenticate")
        prefix = f"/2010-04-01/Accounts/{self._account_sid}/Calls/"
        path = request.target.decode("latin-1").partition("?")[0]
        call = self._calls.get(path.removeprefix(prefix).removesuffix(".json"))
        if not path.startswith(prefix) or not path.endswith(".json") or call is None or not call.is_live:
            return _error(404, 20404, f"The requested resource {path} was not found")
        if request.method == b"GET":
            return _Answer(200, self._described(call))
        if request.method != b"POST":
            return _error(405, 20004, "Method not allowed")
        if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _error(415, 20422, "A form is expected")
        form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        return self._update(call, form)

    def _update(self, call: Updatable, form: dict[str, str]) -> _Answer:
        if form.get("Status", "completed") != "completed":
            return _error(400, 21218, "Status of a live call can only become completed")
        if len(form.get("Twiml", "")) > LONGEST_TWIML:
            return _error(400, 20422, f"Twiml is longer than {LONGEST_TWIML} characters")
        if "Status" in form:
            call.complete()
        elif "Url" in form:
            call.replace(NewDocument(None, form["Url"], form.get("Method", "POST")))
        elif "Twiml" in form:
            call.replace(NewDocument(form["Twiml"], None))
        else:
            return _error(400, 20422, "nothing to update")
        self.updates.append(Update(call.sid, form))
        return _Answer(200, self._described(call))

    def _described(self, call: Updatable) -> dict[str, object]:
        status = "in-progress" if call.is_live else "completed"
        return {"sid": call.sid, "account_sid": self._account_sid, "status": status, "direction": "inbound"}


def _error(status: int, code: int, message: str) -> _Answer:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return _Answer(status, {"code": code, "message": message, "more_info": more, "status": status})


def _written(http: h11.Connection, answer: _Answer) -> bytes:
    body = json.dumps(answer.body).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    parts = (h11.Response(status_code=answer.status, headers=headers), h11.Data(data=body), h11.EndOfMessage())
    return b"".join(http.send(part) or b"" for part in parts)


async def _read_request(http: h11.Connection, stream: trio.SocketStream) -> tuple[h11.Request | None, bytes]:
    """The next request and its body; (None, b"") where the client has gone."""
    request: h11.Request | None = None
    body = b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive_some(REQUEST_LIMIT))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return request, body
        else:
            return None, b""
