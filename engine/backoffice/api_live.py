"""``/v1/.../live``: the calls on the line now, one of them in full, and taking it over.

Everything here is asked of the gateways when it is asked for; nothing of it is kept. A call that has ended is under
``/v1/tenants/{tenant_id}/calls``.
"""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field
from quart import Blueprint

from engine.backoffice import alarms
from engine.backoffice.access import asking, requires
from engine.backoffice.endpoint import Body, asks, gives, takes
from engine.backoffice.office import Office

HIDDEN = ("gateway", "worker", "actors", "floors")


class LiveCall(Body):
    """One call on the line.

    Attributes:
        since: seconds since the epoch at which its line was taken.
        floor: who may speak: ``nobody``, ``caller``, ``agent``, ``script``, ``human``.
        response_ms: from the caller's last word to the agent's first, in the last turn; null before the first.
        down, restarted: parts of the call that do not run, and that crashed and run again.
        weight: ``bad``, ``watch``, or empty; ``wrong`` says why.
    """

    call_sid: str
    tenant_id: str
    caller: str
    since: float
    floor: str
    turn: int
    model: str
    response_ms: float | None
    sessions: int
    handovers: int
    down: list[str]
    restarted: list[str]
    queues: dict[str, int]
    faults: dict[str, int]
    ending: bool
    weight: str
    wrong: list[dict[str, str]]


class LiveCalls(Body):
    """Those of one tenant."""

    items: list[LiveCall]


class Worker(Body):
    """One gateway process; ``away`` says why it cannot be asked."""

    url: str
    away: str
    worker: str
    status: str
    now: int
    capacity: int
    parts: dict[str, str]
    loop: dict[str, float | None]


class Overview(Body):
    """All gateways and calls. ``alarms``: what is wrong, the worst first."""

    gateways: list[Worker]
    calls: list[LiveCall]
    alarms: list[dict[str, str]]


class LiveCallDetail(Body):
    """One call in full.

    Attributes:
        timeline: moments, each with its number ``n``, ``at_ms`` since the start, ``kind``, ``text`` and ``facts``.
        first, after: number of the first moment given, and what to ask for next time.
        level: dBFS of both directions just now.
    """

    call: LiveCall
    tenant: dict[str, Any]
    transcript: list[dict[str, Any]]
    timeline: list[dict[str, Any]]
    first: int
    after: int
    level: dict[str, float]
    counts: dict[str, Any]
    tokens: dict[str, int]


class After(Body):
    """``?after=``: the number of the first moment wanted."""

    after: Annotated[int, Field(ge=0, le=999_999_999)] = 0


class Line(Body):
    """What the caller shall hear, at once."""

    text: Annotated[str, Field(min_length=1, max_length=400)]


class Destination(Body):
    """A person of the tenant's document, by name or number; may be left out where there is only one."""

    to: Annotated[str, Field(max_length=200)] = ""


class Nothing(Body):
    """No more needs to be said."""


class Ordered(Body):
    """It is being done: the call's timeline says how it came out."""

    ordered: str
    call_sid: str


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A call as the API gives it."""
    return {name: value for name, value in alarms.with_alarms(row).items() if name not in HIDDEN}


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("live", __name__, url_prefix="/v1")

    @pages.get("/live")
    @gives(Overview)
    @requires("operator")
    async def overview() -> dict[str, Any]:
        """All gateways, all calls on the line, and what is wrong with them."""
        board = await office.live.board()
        return {
            "gateways": [asdict(state) for state in board.gateways],
            "calls": [shown(dict(row)) for row in board.calls.values()],
            "alarms": [asdict(alarm) for alarm in alarms.of_board(board)],
        }

    @pages.get("/tenants/<slug:tenant_id>/live/calls")
    @gives(LiveCalls)
    @requires("calls")
    async def calls(tenant_id: str) -> dict[str, Any]:
        """A tenant's calls on the line."""
        board = (await office.live.board()).of_tenant(tenant_id)
        return {"items": [shown(dict(row)) for row in board.calls.values()]}

    @pages.get("/tenants/<slug:tenant_id>/live/calls/<name:call_sid>")
    @gives(LiveCallDetail)
    @asks(After)
    @requires("calls")
    async def one(tenant_id: str, call_sid: str, query: After) -> dict[str, Any]:
        """One call on the line: what was said, what happened, how loud it is."""
        found = await office.live.call(call_sid, tenant_id, query.after)
        return found | {"call": shown(found["call"])}

    async def order(tenant_id: str, call_sid: str, what: str, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        return await office.live.order(call_sid, tenant_id, what, body | {"by": asking().name}), 202

    @pages.post("/tenants/<slug:tenant_id>/live/calls/<name:call_sid>/say")
    @gives(Ordered, 202)
    @takes(Line)
    @requires("calls")
    async def say(tenant_id: str, call_sid: str, body: Line) -> tuple[dict[str, Any], int]:
        """Say a line to the caller, at once: the agent falls silent for it."""
        return await order(tenant_id, call_sid, "say", {"text": body.text})

    @pages.post("/tenants/<slug:tenant_id>/live/calls/<name:call_sid>/transfer")
    @gives(Ordered, 202)
    @takes(Destination)
    @requires("calls")
    async def transfer(tenant_id: str, call_sid: str, body: Destination) -> tuple[dict[str, Any], int]:
        """Put the caller through to a person, after saying so."""
        return await order(tenant_id, call_sid, "transfer", {"to": body.to})

    @pages.post("/tenants/<slug:tenant_id>/live/calls/<name:call_sid>/hang-up")
    @gives(Ordered, 202)
    @takes(Nothing)
    @requires("calls")
    async def hang_up(tenant_id: str, call_sid: str, body: Nothing) -> tuple[dict[str, Any], int]:
        """End the call, after a goodbye."""
        del body
        return await order(tenant_id, call_sid, "hang_up", {})

    return pages
