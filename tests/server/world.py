"""A gateway on a real port with a switchboard of a few lines, and the carrier's side of HTTP and websocket."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import trio
import trio_websocket
from pydantic import SecretStr

from engine.call.switchboard_types import (
    Admission,
    CallSnapshot,
    CarrierRecording,
    EndState,
    SwitchboardStatistics,
)
from engine.config import Settings
from engine.errors import LineLost
from engine.metrics import Metrics
from engine.server.app import Serving, serve_gateway
from engine.server.ports import Gateway
from engine.store.live_calls import ClaimRefused
from engine.telephony.line import MediaLine
from engine.telephony.plane import MediaPlane
from engine.tenants.directory import MemoryDirectory
from engine.tenants.tenant import Person, Tenant
from engine.wire.stream_token import StreamClaims, StreamTokens
from engine.wire.twilio_media import Start
from engine.wire.twilio_signature import sign
from tests.server.carrier import (
    ACCOUNT,
    AUTH_TOKEN,
    CALL,
    PUBLIC_URL,
    STREAM_URL,
    opening,
    read_response,
    token_in,
    upgrade_head,
)

NUMBER = "+15005550001"
BAKERY = Tenant(
    id="bakery",
    name="Bakery",
    numbers=(NUMBER,),
    greeting="Bakery, good morning.",
    people=(Person(name="Ann", number="+15005550009", **{"for": "anything"}),),
)


@dataclass
class FakeSwitchboard:
    """Takes lines and holds them until they end; remembers what it was told."""

    admit: Admission = Admission.ADMITTED
    capacity: int = 10
    draining: bool = False
    states: dict[str, EndState] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    lines: dict[str, MediaLine] = field(default_factory=dict)
    taken: list[tuple[Start, Tenant, StreamClaims]] = field(default_factory=list)
    told_ended: list[tuple[str, str]] = field(default_factory=list)
    rung: list[tuple[str, str, str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    crash: bool = False
    looked_up: list[str] = field(default_factory=list)
    elsewhere: dict[str, EndState] = field(default_factory=dict)
    refuse: ClaimRefused | None = None
    flushed: int = 0
    looks_s: float = 0.0
    told_of: list[str] = field(default_factory=list)
    ended_on: Callable[[LineLost], EndState] = lambda _: EndState.LOST

    def admission(self, tenant: Tenant, *, call_sid: str = "", recovery: bool = False) -> Admission:
        return self.admit

    async def take_line(self, line: MediaLine, start: Start, tenant: Tenant, claims: StreamClaims) -> None:
        if self.crash:
            raise ZeroDivisionError("a bug")
        self.taken.append((start, tenant, claims))
        self.lines[start.call_sid] = line
        self.states[start.call_sid] = EndState.LIVE
        try:
            async for key in line.controls:
                self.keys.append(key.digit)
        finally:
            del self.lines[start.call_sid]
            self.states[start.call_sid] = self.ended_on(line.lost)

    def end_reason(self, call_sid: str) -> EndState:
        return self.states.get(call_sid, EndState.UNKNOWN)

    async def look_up(self, call_sid: str, tenant_id: str, *, within_s: float, patient: bool = True) -> None:
        self.looked_up.append(call_sid)
        await trio.sleep(self.looks_s)
        if call_sid in self.elsewhere:
            self.states.setdefault(call_sid, self.elsewhere[call_sid])

    async def claim_line(self, start: Start, claims: StreamClaims) -> ClaimRefused | None:
        return self.refuse

    def move_all(self) -> None:
        for line in self.lines.values():
            line.end(LineLost("moved", "this worker goes"))

    async def flush(self) -> None:
        self.flushed += 1

    async def take_over(self, call_sid: str) -> int:
        if all(call_sid != rung[0] for rung in self.rung):
            return 1  # as the real one: what it never heard of it cannot count
        self.attempts[call_sid] = self.attempts.get(call_sid, 0) + 1
        return self.attempts[call_sid]

    def carrier_says_ended(self, call_sid: str, why: str, *, tenant_id: str = "") -> None:
        self.told_ended.append((call_sid, why))
        self.told_of.append(tenant_id)
        if call_sid in self.lines:
            self.lines[call_sid].end(LineLost("broken", why))

    def ring(self, call_sid: str, tenant_id: str, caller: str, called: str) -> None:
        self.rung.append((call_sid, tenant_id, caller, called))

    def begin_drain(self) -> None:
        self.draining = True

    def statistics(self) -> SwitchboardStatistics:
        calls = tuple(CallSnapshot(sid, "bakery", "nobody", 1.0, queues=(("inbox", 0),)) for sid in self.lines)
        return SwitchboardStatistics(len(self.lines), self.capacity, self.draining, calls)


@dataclass
class World:
    """A serving gateway and its surroundings."""

    gateway: Gateway
    switchboard: FakeSwitchboard
    serving: Serving
    http: httpx.AsyncClient
    shutdown: trio.Event
    leave: trio.Event
    finished: trio.Event
    recordings: list[CarrierRecording]
    wall: list[float]

    async def post(
        self,
        name: str,
        /,
        *,
        sign_with: str | None = AUTH_TOKEN,
        headers: dict[str, str] | None = None,
        more: Mapping[str, str] | None = None,
        **params: str,
    ) -> httpx.Response:
        """A form of the carrier's, with the parameters that every one has."""
        form = (
            {"CallSid": CALL, "AccountSid": ACCOUNT, "From": "+15005550006", "To": NUMBER, "CallerName": ""}
            | params
            | dict(more or {})
        )
        path = f"/twilio/{name}"
        sent = dict(headers or {})
        if sign_with is not None:
            sent["X-Twilio-Signature"] = sign(sign_with, PUBLIC_URL + path, form.items())
        return await self.http.post(path, data=form, headers=sent)

    async def token(self) -> str:
        """The token of a fresh voice webhook."""
        return token_in((await self.post("voice")).text)

    def refused(self, reason: str) -> float:
        """How often a media stream was refused for this."""
        return self._sample("media_refused", reason=reason)

    def counted(self, path: str, result: str) -> float:
        """How often a webhook ended like this."""
        return self._sample("webhooks", path=path, result=result)

    def crashes(self, place: str) -> float:
        """How often code of ours failed there."""
        return self._sample("crashes", place=place)

    def _sample(self, name: str, **labels: str) -> float:
        return self.gateway.metrics.registry.get_sample_value(f"frontdesk_{name}_total", labels) or 0.0

    @asynccontextmanager
    async def dial(
        self, *, path: str = "/twilio/media", signature: str | None = None
    ) -> AsyncIterator[trio_websocket.WebSocketConnection]:
        """The carrier's media websocket, by an independent client."""
        signature = sign(AUTH_TOKEN, STREAM_URL) if signature is None else signature
        headers = [(b"x-twilio-signature", signature.encode())]
        # A stream of our own, because this client leaves its socket to the garbage collector where it was refused.
        stream = await trio.open_tcp_stream(self.serving.host, self.serving.port)
        async with stream, trio.open_nursery() as nursery:
            websocket = await trio_websocket.wrap_client_stream(
                nursery, stream, "voice.example.com", path, extra_headers=headers
            )
            yield websocket
            with trio.move_on_after(1):
                await websocket.aclose()
            nursery.cancel_scope.cancel()

    async def refused_with(self, *, path: str = "/twilio/media", signature: str | None = None) -> int:
        """The status that a handshake is answered with."""
        async with await trio.open_tcp_stream(self.serving.host, self.serving.port) as stream:
            await stream.send_all(upgrade_head(path=path, signature=signature))
            return (await read_response(stream))[0]

    async def start(self, websocket: trio_websocket.WebSocketConnection, token: str, **changes: str) -> None:
        """Send what a stream begins with."""
        for text in opening(token, **changes):
            await websocket.send_message(text)

    async def wait_for(self, what: Callable[[], Any]) -> None:
        """Wait until it is true; the test's own time limit ends this."""
        with trio.fail_after(5):
            while not what():
                await trio.sleep(0.002)


@asynccontextmanager
async def open_world(
    *, settings: dict[str, Any] | None = None, switchboard: FakeSwitchboard | None = None
) -> AsyncIterator[World]:
    """A gateway serving on a free port; ended, and checked to have ended, with the block."""
    wall, recordings = [1_700_000_000.0], list[CarrierRecording]()
    fixed: dict[str, Any] = {
        "public_url": PUBLIC_URL,
        "bind": "127.0.0.1:0",
        "twilio_auth_token": SecretStr(AUTH_TOKEN),
    }
    board = switchboard or FakeSwitchboard()
    gateway = Gateway(
        settings=Settings(**(fixed | (settings or {}))),
        directory=MemoryDirectory([BAKERY]),
        switchboard=board,
        plane=MediaPlane(),
        tokens=StreamTokens("a secret of our own", clock=lambda: wall[0]),
        metrics=Metrics(),
        keep_recording=recordings.append,
    )
    shutdown, leave, finished = trio.Event(), trio.Event(), trio.Event()

    async def serve(*, task_status: trio.TaskStatus[Serving]) -> None:
        await serve_gateway(gateway, shutdown=shutdown, leave=leave, task_status=task_status)
        finished.set()

    async with trio.open_nursery() as nursery:
        serving: Serving = await nursery.start(serve)
        async with httpx.AsyncClient(base_url=serving.url) as http:
            yield World(gateway, board, serving, http, shutdown, leave, finished, recordings, wall)
        nursery.cancel_scope.cancel()
