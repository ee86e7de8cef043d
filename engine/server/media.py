"""The way in for media streams: from a taken socket to a call on the switchboard.

Four gates, each of which refuses in the words of its protocol: the HTTP upgrade (400, 403, 426, 503), the stream's
``start`` within 5 s, the single-use token in it (bound to CallSid and AccountSid of a signed webhook), and admission.
A refusal is counted by reason and logged once. The signature of a handshake is the same for every call, so it only
proves that the carrier was once seen; the token proves that this stream was invited.

Nothing leaves ``serve_line`` but cancellation, and whatever happens the socket is closed in the end.
"""

import socket
from dataclasses import dataclass

import trio

from engine.call.switchboard_types import Admission
from engine.errors import HandshakeFault, LineLost, TokenRefused
from engine.log import get_logger
from engine.server.invitations import Invitations
from engine.server.ports import Gateway
from engine.server.readiness import Readiness
from engine.server.upgrade import HEAD_S, read_request, refuse, send_all
from engine.store.live_calls import ClaimRefused
from engine.telephony.line import MediaLine
from engine.tenants.tenant import Tenant
from engine.wire.handshake import UpgradeRequest, accept
from engine.wire.stream_token import StreamClaims
from engine.wire.twilio_media import Start
from engine.wire.twilio_signature import is_valid_handshake

START_S = 5.0  # for ``start`` after the 101; the carrier sends it at once
LET_GO_S = 2.0  # for the old line of a recovered call to let go
WAITING_MOST = 256  # sockets that have not yet shown a token: a replayed signature must not exhaust descriptors

# Another worker has let this token in, or serves the call: said as where it was this one.
_REFUSED = {ClaimRefused.USED: "token_used", ClaimRefused.LIVE: "second_stream"}

NORMAL, GOING_AWAY, POLICY, INTERNAL_ERROR, TRY_AGAIN_LATER = 1000, 1001, 1008, 1011, 1013

log = get_logger("server.media")


@dataclass(frozen=True, slots=True)
class MediaStatistics:
    """Sockets by how far they have come."""

    waiting: int
    live: int
    refused: int


@dataclass(frozen=True, slots=True)
class _Live:
    stream_sid: str
    over: trio.Event


class _Refused(Exception):
    """This stream may not come in.

    Attributes:
        reason: for metrics; one of a small set.
        detail: for the log.
        status: of the HTTP answer; None where there is nobody to answer, or a websocket to close.
        close_code: of the websocket.
    """

    def __init__(self, reason: str, *, detail: str = "", status: int | None = None, close_code: int = POLICY) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.status = status
        self.close_code = close_code


class MediaEntrance:
    """Serves each media socket in a task of its own until its call is over."""

    def __init__(self, gateway: Gateway, invitations: Invitations, readiness: Readiness) -> None:
        self._gateway = gateway
        self._invitations = invitations
        self._readiness = readiness
        self._live: dict[str, _Live] = {}
        self._in_progress = self._refusals = 0
        self._empty = trio.Event()
        self._empty.set()

    async def serve_line(self, sock: socket.socket, head: bytes) -> None:
        """Serve a socket of which ``head`` has been read; owns it."""
        self._in_progress += 1
        self._empty = trio.Event() if self._empty.is_set() else self._empty
        try:
            with sock:
                await self._serve(sock, head)
        except Exception as error:  # a bug met by one socket must not end every call of the worker
            self._gateway.metrics.crashes.labels("media_entrance").inc()
            log.error("a media stream's own code failed", exc_info=error)
        finally:
            self._in_progress -= 1
            if not self._in_progress:
                self._empty.set()

    async def wait_empty(self) -> None:
        """Wait until no socket is being served."""
        while self._in_progress:
            await self._empty.wait()

    def stream_sid(self, call_sid: str) -> str | None:
        """The stream that serves this call now."""
        live = self._live.get(call_sid)
        return live.stream_sid if live else None

    async def end_old(self, call_sid: str, why: str) -> None:
        """Have this call's line ended, if it has one, and wait a little until its call has let go."""
        if (old := self._live.get(call_sid)) is not None:
            self._gateway.switchboard.carrier_says_ended(call_sid, why)
            with trio.move_on_after(LET_GO_S):
                await old.over.wait()

    def statistics(self) -> MediaStatistics:
        """A snapshot."""
        return MediaStatistics(self._in_progress - len(self._live), len(self._live), self._refusals)

    async def _serve(self, sock: socket.socket, head: bytes) -> None:
        try:
            leftover = await self._shake_hands(sock, head)
        except _Refused as refused:
            self._note(refused)
            if refused.status:
                await refuse(sock, refused.status, refused.reason)
            return
        line = MediaLine(sock, plane=self._gateway.plane, metrics=self._gateway.metrics, leftover=leftover)
        code = GOING_AWAY  # where we are cancelled: the drain has ended
        try:
            start = await self._wait_start(line)
            claims = self._check_token(start)
            tenant = await self._admit(start, claims)
            await self._run_call(line, start, tenant, claims)
            code = NORMAL
        except _Refused as refused:
            self._note(refused)
            code = refused.close_code
        except Exception:
            code = INTERNAL_ERROR
            raise
        finally:
            await line.aclose(code)

    def _note(self, refused: _Refused) -> None:
        self._refusals += 1
        self._gateway.metrics.media_refused.labels(refused.reason).inc()
        log.warning("media stream refused", reason=refused.reason, detail=refused.detail)

    async def _shake_hands(self, sock: socket.socket, head: bytes) -> bytes:
        """Answer the upgrade request; what came after it."""
        try:
            with trio.move_on_after(HEAD_S):
                request = await read_request(sock, head)
                self._check_request(request)
                await send_all(sock, accept(request))
                return request.leftover
        except HandshakeFault as fault:
            raise _Refused("bad_head", detail=str(fault), status=fault.status) from None
        except OSError as error:
            raise _Refused("broken", detail=repr(error)) from None
        raise _Refused("slow_head", status=408)

    def _check_request(self, request: UpgradeRequest) -> None:
        if not request.is_websocket:
            asked = request.headers.get("upgrade", "").lower(), request.headers.get("sec-websocket-version")
            raise _Refused("not_a_websocket", status=400 if asked == ("websocket", "13") else 426)
        signature = request.headers.get("x-twilio-signature", "")
        if not is_valid_handshake(self._gateway.auth_tokens, signature, self._gateway.settings.stream_url):
            raise _Refused("signature" if signature else "no_signature", status=403)
        if self._readiness.draining:
            raise _Refused("draining", status=503)
        if self._in_progress - len(self._live) > WAITING_MOST:
            raise _Refused("too_many_waiting", status=503)

    async def _wait_start(self, line: MediaLine) -> Start:
        try:
            with trio.move_on_after(START_S):
                return await line.wait_start()
        except LineLost as lost:
            raise _Refused("lost_before_start", detail=str(lost)) from None
        raise _Refused("no_start")

    def _check_token(self, start: Start) -> StreamClaims:
        try:
            return self._invitations.redeem(
                start.custom_parameters.get("token", ""),
                call_sid=start.call_sid,
                account_sid=start.account_sid,
                now=trio.current_time(),
            )
        except TokenRefused as refused:
            raise _Refused(f"token_{refused.reason}", detail=start.call_sid) from None

    async def _admit(self, start: Start, claims: StreamClaims) -> Tenant:
        tenant = self._gateway.directory.tenant(claims.tenant_id)
        if tenant is None:
            raise _Refused("unknown_tenant", detail=claims.tenant_id)
        if claims.attempt:
            # The carrier asked for a recovery, so an old line is dead, whatever it looks like from here.
            await self.end_old(start.call_sid, "a recovered stream has come")
        if start.call_sid in self._live:
            raise _Refused("second_stream", detail=start.call_sid)
        admission = self._gateway.switchboard.admission(tenant, call_sid=start.call_sid, recovery=claims.attempt > 0)
        if admission is not Admission.ADMITTED:
            raise _Refused(str(admission), detail=start.call_sid, close_code=TRY_AGAIN_LATER)
        return tenant

    async def _run_call(self, line: MediaLine, start: Start, tenant: Tenant, claims: StreamClaims) -> None:
        live = self._live[start.call_sid] = _Live(start.stream_sid, trio.Event())
        try:
            refused = await self._gateway.switchboard.claim_line(start, claims)
            if refused is not None:
                raise _Refused(_REFUSED[refused], detail=start.call_sid)
            await self._gateway.switchboard.take_line(line, start, tenant, claims)
        finally:
            del self._live[start.call_sid]
            live.over.set()
