"""Tools that are done by a tenant's own endpoint: one signed request, sent again only where that is safe.

What is sent is described in ``http_request.py``, what is expected back in ``http_answers.py``.

When is it sent again, after a pause, within the tool's one deadline?

    no address, no connection            any tool: nothing was sent
    the answer was lost, was too slow    reads, and writes whose endpoint is declared idempotent: the same
    for its share of the time, or is     Idempotency-Key goes with it, and the effect is done once
    one of RETRIED
    any other answer                     never: the endpoint has understood, and means it
"""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import trio

from engine.errors import ConfigurationError, ToolFailed
from engine.tenants.tenant import Tenant, ToolEndpoint, ToolSpec
from engine.tools.context import Tool, ToolContext
from engine.tools.http_answers import read_answer
from engine.tools.http_guard import AddressGuard
from engine.tools.http_request import Wish, build_request
from engine.tools.http_signing import ToolSecrets
from engine.tools.http_transport import LARGEST_ANSWER, tool_client

AT_ONCE = 32  # requests of one tenant; more wait, within their deadlines, and nobody else's tools wait with them
FIRST_PAUSE_S = 0.2
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class HttpStatistics:
    """Since start. ``failed`` counts tool calls, by ``ToolFailed.kind``; the others count requests."""

    sent: int
    repeated: int
    failed: Mapping[str, int]


class _Unsettled(Exception):
    """This try settled nothing. ``unsent``: the endpoint knows nothing of it; ``after_s``: it asked for a pause."""

    def __init__(self, why: ToolFailed, *, unsent: bool = False, after_s: float = 0.0) -> None:
        super().__init__(str(why))
        self.why = why
        self.unsent = unsent
        self.after_s = after_s


@asynccontextmanager
async def open_http_tools(secrets: ToolSecrets, *, allow_private: bool = False) -> AsyncIterator["HttpTools"]:
    """The HTTP tools of a process, on a client of their own."""
    guard = AddressGuard(allow_private=allow_private)
    async with tool_client(guard) as client:
        yield HttpTools(client, guard, secrets)


class HttpTools:
    """Makes tools of endpoints in tenant documents. One for a process; ``client`` is ``tool_client(guard)``."""

    def __init__(self, client: httpx.AsyncClient, guard: AddressGuard, secrets: ToolSecrets) -> None:
        self._client = client
        self._guard = guard
        self._secrets = secrets
        self._busy: dict[str, trio.CapacityLimiter] = {}
        self._sent = self._repeated = 0
        self._failed: dict[str, int] = {}

    def tool(self, tenant: Tenant, spec: ToolSpec, endpoint: ToolEndpoint) -> Tool:
        """The tool that asks this endpoint.

        Raises:
            ConfigurationError: it can never work as things are set; names place and cure.
        """
        place = f"tenant {tenant.id}: tools: {spec.name}: endpoint"
        self._guard.check_url(endpoint.url, f"{place}.url")
        try:
            httpx.URL(endpoint.url)
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"{place}.url: {error}; correct it") from None
        if not self._secrets.keys(tenant.id):
            cure = "set FRONTDESK_SECRET_KEY, or signing for this tenant in FRONTDESK_TOOL_SECRETS"
            raise ConfigurationError(f"{place}: requests cannot be signed; {cure}")
        if endpoint.auth is not None and self._secrets.named(tenant.id, endpoint.auth.secret) is None:
            cure = f"add it to FRONTDESK_TOOL_SECRETS under {tenant.id}"
            raise ConfigurationError(f"{place}.auth.secret: {endpoint.auth.secret!r} is not kept; {cure}")

        async def handler(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
            return await self._ask(Wish(spec, endpoint, context, arguments))

        return Tool(spec, handler, idempotent=endpoint.idempotent)

    def statistics(self) -> HttpStatistics:
        """A snapshot."""
        return HttpStatistics(self._sent, self._repeated, dict(self._failed))

    async def _ask(self, wish: Wish) -> Mapping[str, Any]:
        tenant_id = wish.context.tenant.id
        limiter = self._busy.setdefault(tenant_id, trio.CapacityLimiter(AT_ONCE))
        try:
            async with limiter:
                return await self._until_settled(wish)
        except ToolFailed as failed:
            self._failed[failed.kind] = self._failed.get(failed.kind, 0) + 1
            raise

    async def _until_settled(self, wish: Wish) -> Mapping[str, Any]:
        """Try, and try again where that is safe.

        Raises:
            ToolFailed: it came to nothing, or nobody knows to what.
        """
        deadline = trio.current_effective_deadline()  # whoever runs a handler has set one
        for tried in range(wish.endpoint.retries + 1):
            last = tried == wish.endpoint.retries
            try:
                return await self._try(wish, deadline, last=last)
            except _Unsettled as unsettled:
                if last or not (wish.repeatable or unsettled.unsent):
                    raise unsettled.why from None
                pause_s = max(unsettled.after_s, _pause_s(tried, wish.context.effect_id))
                if trio.current_time() + pause_s >= deadline:
                    raise unsettled.why from None  # the caller need not wait for a try that will not come
                await trio.sleep(pause_s)
                self._repeated += 1
        raise AssertionError("unreachable")

    async def _try(self, wish: Wish, deadline: float, *, last: bool) -> Mapping[str, Any]:
        """One try. One that may be repeated has half of what is left, so that a lost answer leaves time to ask again.

        Raises:
            ToolFailed: it is settled, and came to nothing.
            _Unsettled: it may be tried again.
        """
        left_s = max(0.0, deadline - trio.current_time())
        share_s = math.inf if last or not wish.repeatable else left_s / 2
        request = build_request(self._client, wish, self._secrets)
        self._sent += 1
        try:
            with trio.fail_after(share_s):
                status, body, after_s = await self._exchange(request)
        except ToolFailed as failed:
            if failed.kind == "unresolved":  # a name server's bad moment, often
                raise _Unsettled(failed, unsent=True) from None
            raise
        except trio.TooSlowError:
            raise _Unsettled(ToolFailed("no whole answer came in time", kind="lost")) from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise _Unsettled(ToolFailed("no connection came about", kind="unreached"), unsent=True) from None
        except httpx.TransportError as error:
            why = ToolFailed(f"no whole answer came ({type(error).__name__})", kind="lost")
            raise _Unsettled(why) from None
        if status in RETRIED:
            raise _Unsettled(ToolFailed(f"it answered {status}", kind="status"), after_s=after_s)
        if not 200 <= status < 300 and not 400 <= status < 500:
            kind = "redirect" if 300 <= status < 400 else "status"
            raise ToolFailed(f"it answered {status}", kind=kind)  # a redirect is not followed: it was not checked
        return read_answer(status, body, self._secrets.all_of(wish.context.tenant.id))

    async def _exchange(self, request: httpx.Request) -> tuple[int, bytes, float]:
        """Send it; the answer's status, its body, and for how long it asks to be left alone."""
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            body = b""
            if 200 <= response.status_code < 300 or 400 <= response.status_code < 500:
                body = await _read_body(response)
            return response.status_code, body, _retry_after(response)
        finally:
            await response.aclose()


async def _read_body(response: httpx.Response) -> bytes:
    """The body, as long as it is not too long.

    Raises:
        ToolFailed: it is too long, or packed (what is small when packed may be huge).
    """
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ToolFailed("its answer is packed, which was not asked for", kind="garbled")
    body = await response.aread()  # the connection brings in no more than a little above
    if len(body) > LARGEST_ANSWER:
        raise ToolFailed(f"its answer is longer than {LARGEST_ANSWER} bytes", kind="huge")
    return body


def _retry_after(response: httpx.Response) -> float:
    """Seconds; 0 where it says nothing that is a number (a date is not worth a clock here)."""
    said: str = response.headers.get("retry-after", "").strip()
    return float(said) if said.isascii() and said.isdigit() and len(said) < 7 else 0.0


def _pause_s(tried: int, effect_id: str) -> float:
    """Twice as long each time; spread by the effect, so that many calls that failed together do not come together."""
    spread = int(effect_id[:4] or "0", 16) / 0xFFFF
    return FIRST_PAUSE_S * (1 << tried) * (0.75 + spread / 2)
