"""The browser phone: its page, the start of a call, and the line that the page speaks on.

A call is begun with ``POST /phone/calls`` (signed in, and from our own page) and spoken on ``WS /phone/line/{ticket}``,
which is good for a few seconds and for the session that asked; and again while the call is on: a page whose socket
broke opens another. What was said, found and done in the call comes from ``/ops/stream``, as on the ops page.
"""

from typing import Annotated, Any, cast

import trio
from pydantic import Field
from quart import Blueprint, Response, current_app, g, request, websocket
from quart_trio import QuartTrio

from engine.backoffice import phone_wire, sessions
from engine.backoffice.access import TenantKey, Who, audit_as, who_asks
from engine.backoffice.endpoint import Body
from engine.backoffice.office import Office
from engine.backoffice.ops import LOGINS_PER_MINUTE, page_file
from engine.backoffice.phone_desk import PhoneDesk
from engine.backoffice.phone_line import PhoneLine
from engine.backoffice.phone_pass import Passes
from engine.backoffice.phone_wire import Garbled, HungUp
from engine.backoffice.problems import Problem
from engine.backoffice.rate import Buckets
from engine.backoffice.reading import read_json

ENDED, GARBLED, NO_TICKET = 1000, 1003, 4404


class Ring(Body):
    """Whom to call, and as whom."""

    tenant_id: Annotated[str, Field(min_length=1, max_length=63)]
    caller: Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")]


class Pass(Body):
    """What a link brought along."""

    token: Annotated[str, Field(min_length=1, max_length=500)]


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("phone", __name__)
    desk, passes, tries = PhoneDesk(office), Passes(office), Buckets(LOGINS_PER_MINUTE)

    @pages.get("/phone")
    async def page() -> Response:
        return await page_file("phone.html")

    @pages.get("/phone/enter")
    async def enter() -> Response:
        return await page_file("enter.html")

    @pages.post("/phone/login")
    async def login() -> Response:
        if sessions.PAGE_HEADER not in request.headers:
            raise Problem(403, f"send the header {sessions.PAGE_HEADER}", kind="not-our-page")
        if (wait_s := tries.take(request.remote_addr or "")) > 0:
            raise Problem(429, "ask more slowly", kind="too-often", headers={"retry-after": str(max(1, round(wait_s)))})
        session = passes.redeem((await read_json(Pass)).token)
        if session is None:
            raise Problem(401, "this link was used, or is too old")
        response = Response("", 204)
        sessions.begin(office, response, session)
        return response

    @pages.get("/phone/setup")
    async def setup() -> dict[str, Any]:
        who = await _caller(office)
        if isinstance(who, TenantKey):
            kept = [one for one in [await office.tenants.get(who.tenant_id)] if one is not None]
        else:
            kept = await office.tenants.list()
        named = [{"id": one.tenant_id, "name": one.document.get("name"), "numbers": one.numbers} for one in kept]
        return {
            "tenants": [one for one in named if one["numbers"]],
            "trouble": desk.trouble,
            "captions": bool(office.settings.gateway_urls) and office.settings.admin_token is not None,
        }

    @pages.post("/phone/calls")
    async def ring() -> tuple[dict[str, str], int]:
        g.who = who = await _caller(office)  # a write: it is written down as those of the API are
        asked = await read_json(Ring)
        if isinstance(who, TenantKey) and who.tenant_id != asked.tenant_id:
            raise Problem(404, "no such tenant")
        tenant = await office.tenant(asked.tenant_id)
        audit_as(tenant.id)
        ticket, call = await desk.ring(tenant, asked.caller, request.cookies.get(sessions.COOKIE, ""))
        return {"call_sid": call.sid, "tenant_id": tenant.id, "line": f"/phone/line/{ticket}"}, 201

    @pages.websocket("/phone/line/<ticket>")
    async def line(ticket: str) -> None:
        taken = desk.pick_up(ticket, websocket.cookies.get(sessions.COOKIE, ""))
        await websocket.accept()
        if taken is None:
            await websocket.close(NO_TICKET, "no such call")
            return
        is_first = not taken.was_up
        with taken.take_up() as told:
            if is_first:
                # Not of this socket: the call outlives it. (``add_background_task`` would log our own leaving.)
                cast("QuartTrio", current_app).nursery.start_soon(desk.carry, ticket)
            await websocket.close(await _serve(taken, told))

    return pages


async def _serve(line: PhoneLine, told: trio.MemoryReceiveChannel[str]) -> int:
    """As long as the call, or this socket, or as it has the line; the code to close with."""
    code = ENDED

    async def listen(done: trio.CancelScope) -> None:
        nonlocal code
        try:
            while True:
                line.take(phone_wire.read(await websocket.receive()))
        except Garbled:
            code = GARBLED
            line.take(HungUp())
            done.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, nursery.cancel_scope)
        async for message in told:
            await websocket.send(message)
        nursery.cancel_scope.cancel()
    return code


async def _caller(office: Office) -> Who:
    who = await who_asks(office)
    if who is None:
        raise Problem(401, "log in first")
    if not who.may("calls"):
        raise Problem(403, "this key has not the scope 'calls'", kind="scope")
    return who
