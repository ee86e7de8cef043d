"""The calls on the line now, at all gateways: asked for while somebody looks, at most once a second, and not otherwise.

``FRONTDESK_GATEWAYS`` names the gateways' ops pages. One that does not answer is shown as away and keeps nobody
waiting: each poll has its own short deadline. However many pages are open, a gateway is asked once a second.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx
import orjson
import trio

from engine.backoffice.problems import Problem
from engine.config import Settings

FRESH_S = 0.9  # a little less than a second: who asks every second is not told the same twice
POLL_S = 2.5
ORDER_S = 25.0  # a line is rendered first
CONNECTIONS = 64
PROBLEM = "application/problem+json"

Row: TypeAlias = Mapping[str, Any]
_LATER = {"retry-after": "2"}


@dataclass(frozen=True, slots=True)
class GatewayState:
    """One gateway as it answered last.

    Attributes:
        url: of its ops pages.
        away: why it cannot be asked; empty where it answered.
        worker, status: its name, and whether it may be given calls (``ok``, ``under_load``, ``draining``, ...).
        parts: a word on each part of it; everything but ``ok`` deserves a look.
        loop: how late it is, and how large.
    """

    url: str
    away: str = ""
    worker: str = ""
    status: str = "away"
    now: int = 0
    capacity: int = 0
    parts: Mapping[str, str] = field(default_factory=dict)
    loop: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Board:
    """All gateways and calls at one instant. ``calls``: by CallSid, each with its ``worker``, and ``since`` (epoch)."""

    gateways: tuple[GatewayState, ...] = ()
    calls: Mapping[str, Row] = field(default_factory=dict)

    def of_tenant(self, tenant_id: str) -> "Board":
        """What a tenant may see of it: its own calls."""
        return Board((), {sid: row for sid, row in self.calls.items() if row["tenant_id"] == tenant_id})


class Live:
    """See the module. ``clock``: seconds since the epoch."""

    def __init__(self, http: httpx.AsyncClient, urls: tuple[str, ...], token: str, clock: Callable[[], float]) -> None:
        self._http, self._urls, self._token, self._clock = http, urls, token, clock
        self._board = Board()
        self._at = float("-inf")
        self._since: dict[str, float] = {}
        self._lock = trio.Lock()
        self.polls = 0

    async def board(self) -> Board:
        """All there is; as it was less than a second ago."""
        async with self._lock:
            if trio.current_time() >= self._at + FRESH_S:
                self._at = trio.current_time()
                self._board = await self._poll()
                self.polls += 1
            return self._board

    async def call(self, call_sid: str, tenant_id: str, after: int = 0) -> dict[str, Any]:
        """One call in full: its timeline from the moment numbered ``after`` on.

        Raises:
            Problem: 404 no such call of this tenant is on the line, 502 or 504 its gateway failed.
        """
        row, url = await self._find(call_sid, tenant_id)
        answer = await self._ask("GET", f"{url}/ops/calls/{call_sid}", {"after": after})
        answer["call"] = self._row(answer["call"], row["worker"], self._clock())
        return answer

    async def order(self, call_sid: str, tenant_id: str, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Have its gateway carry out an order (``say``, ``transfer``, ``hang_up``).

        Raises:
            Problem: as ``call``; 409 not now, 422 it cannot be done.
        """
        _, url = await self._find(call_sid, tenant_id)
        return await self._ask("POST", f"{url}/ops/calls/{call_sid}/{what}", json=body)

    # --- inside ------------------------------------------------------------------------------------------------

    async def _find(self, call_sid: str, tenant_id: str) -> tuple[Row, str]:
        board = await self.board()
        row = board.calls.get(call_sid)
        if row is None or row["tenant_id"] != tenant_id:
            raise Problem(404, "that call is not on the line", kind="not-on-the-line")
        return row, str(row["gateway"])

    async def _poll(self) -> Board:
        states: dict[str, GatewayState] = {}
        calls: dict[str, Row] = {}
        now = self._clock()

        async def look(url: str) -> None:
            try:
                with trio.fail_after(POLL_S):
                    page = await self._ask("GET", f"{url}/ops/calls")
            except (Problem, trio.TooSlowError) as error:
                states[url] = GatewayState(url, away=str(error) or "it does not answer in time")
                return
            states[url] = _state(url, page)
            for one in page["calls"]:
                calls[one["call_sid"]] = self._row(one, states[url].worker, now) | {"gateway": url}

        async with trio.open_nursery() as nursery:
            for url in self._urls:
                nursery.start_soon(look, url)
        self._since = {sid: self._since[sid] for sid in calls}
        return Board(tuple(states[url] for url in self._urls), calls)

    def _row(self, call: dict[str, Any], worker: str, now: float) -> dict[str, Any]:
        """As a list shows it; ``since`` is judged once, so that it does not tremble with the network."""
        since = self._since.setdefault(call["call_sid"], round(now - call.pop("age_s"), 1))
        call.pop("age_s", None)
        return call | {"queues": dict(call["queues"]), "worker": worker, "since": since}

    async def _ask(self, method: str, url: str, query: Mapping[str, Any] | None = None, **told: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._token}"}
        try:
            with trio.fail_after(ORDER_S):
                answer = await self._http.request(method, url, params=query, headers=headers, **told)
        except trio.TooSlowError:
            raise Problem(504, "the gateway does not answer in time", headers=_LATER) from None
        except httpx.HTTPError as error:
            raise Problem(502, f"the gateway cannot be reached: {str(error) or type(error).__name__}") from None
        try:
            said = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            raise Problem(502, f"what answers at that address is no gateway ({answer.status_code})") from None
        if answer.is_success:
            return dict(said)
        if answer.status_code in {404, 409, 422, 503}:
            raise Problem(answer.status_code, said.get("detail", ""), kind="gateway-refused")
        # That we may not ask is no fault of whoever asks us.
        raise Problem(502, f"the gateway refused to be asked: {said.get('detail', answer.status_code)}")


def _state(url: str, page: Mapping[str, Any]) -> GatewayState:
    known = ("worker", "status", "now", "capacity", "parts", "loop")
    return GatewayState(url, **{name: page[name] for name in known})


@asynccontextmanager
async def open_live(settings: Settings, clock: Callable[[], float]) -> AsyncIterator[Live]:
    """A client of all gateways that the settings name."""
    token = settings.admin_token.get_secret_value() if settings.admin_token else ""
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(limits=limits, timeout=ORDER_S, trust_env=False) as http:
        yield Live(http, settings.gateway_urls, token, clock)
