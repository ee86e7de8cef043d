"""Live calls for an operator's tools: a list, one call, and three orders. On the ops port alone, with the admin token.

    GET  /ops/calls                        the worker and its calls, at most 1000
    GET  /ops/calls/{sid}?after=N          transcript, timeline from N on, levels
    POST /ops/calls/{sid}/say              {"text": ...}   said to the caller at once, by the offline voice
    POST /ops/calls/{sid}/transfer         {"to": ...}     a person of the tenant, by name or number
    POST /ops/calls/{sid}/hang_up          {}              after a goodbye

Every body may say ``by`` whom the order is given; it stands in the call's timeline. Errors are problem details (RFC
9457). Whoever asks gets callers' numbers and words: without a configured token nobody does.
"""

import hmac
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import orjson
import trio
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from quart import Blueprint, Response, request

from engine.call.oversight import Console, Glimpse, OrderRefused, Oversight
from engine.errors import ConfigurationError
from engine.log import get_logger
from engine.server.ports import Gateway
from engine.server.readiness import Readiness, judge
from engine.tenants.tenant import Person
from engine.voice.aloud import Aloud

CALLS_SHOWN = 1000
AT_ONCE = 40  # calls looked at between two turns of the loop: some 2 ms, while audio waits 20
RENDER_S = 20.0
LONGEST_LINE = 400  # characters: half a minute

log = get_logger("server.ops")

_Body = TypeVar("_Body", bound="Order")


class Order(BaseModel):
    """Any order; ``by``: whose it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Annotated[str, Field(min_length=1, max_length=100)] = "operator"


class SayOrder(Order):
    """What the caller shall hear."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_LINE)]


class TransferOrder(Order):
    """To whom; may be left out where there is only one person."""

    to: Annotated[str, Field(max_length=200)] = ""


class Refused(Exception):
    """Answered with problem details."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail = status, title, detail


def ops_calls_blueprint(gateway: Gateway, readiness: Readiness) -> Blueprint:
    """The pages; see the module."""
    pages = Blueprint("ops_calls", __name__)
    oversight, aloud, renders = gateway.oversight, Aloud(), trio.CapacityLimiter(1)
    token = gateway.settings.admin_token

    @pages.before_request
    async def authorize() -> None:
        _authorize(request.headers.get("authorization", ""), token.get_secret_value() if token else "")

    @pages.errorhandler(Refused)
    async def say_why(refused: Refused) -> Response:
        answer = _json({"title": refused.title, "status": refused.status, "detail": refused.detail}, refused.status)
        answer.content_type = "application/problem+json"
        if refused.status == 401:
            answer.headers["www-authenticate"] = "Bearer"
        return answer

    @pages.get("/ops/calls")
    async def calls() -> Response:
        now = trio.current_time()
        shown: list[Glimpse] = []
        for number, console in enumerate(oversight.consoles()[:CALLS_SHOWN], 1):
            shown.append(console.glimpse(now))
            if not number % AT_ONCE:
                await trio.lowlevel.checkpoint()
        return _json(_worker(gateway, readiness) | {"calls": shown})

    @pages.get("/ops/calls/<sid>")
    async def one(sid: str) -> Response:
        return _json(_one(_find(oversight, sid), _after(request.args.get("after", "0"))))

    @pages.post("/ops/calls/<sid>/say")
    async def say(sid: str) -> Response:
        order, console = await _read(SayOrder), _find(oversight, sid)
        mulaw = await _render(aloud, order.text, console, renders)
        return _ordered(_find(oversight, sid), "say", lambda found: found.say(order.text, mulaw, by=order.by))

    @pages.post("/ops/calls/<sid>/transfer")
    async def transfer(sid: str) -> Response:
        order, console = await _read(TransferOrder), _find(oversight, sid)
        if gateway.settings.twilio_account_sid is None or not gateway.auth_tokens:
            raise Refused(
                409, "Cannot transfer", "no carrier's REST interface is configured: nobody can be put through"
            )
        person = _person(console, order.to)
        return _ordered(console, "transfer", lambda found: found.transfer(person, by=order.by))

    @pages.post("/ops/calls/<sid>/hang_up")
    async def hang_up(sid: str) -> Response:
        order = await _read(Order)
        return _ordered(_find(oversight, sid), "hang_up", lambda found: found.hang_up(by=order.by))

    return pages


# --- what is shown -----------------------------------------------------------------------------------------------


def _worker(gateway: Gateway, readiness: Readiness) -> dict[str, Any]:
    counts, plane, lag = gateway.switchboard.statistics(), gateway.plane.statistics(), gateway.loop_lag.statistics()
    found = judge(readiness.phase, counts, plane, lag, gateway.settings.max_memory_mib)
    return {
        "worker": gateway.settings.worker_id,
        "status": found.status,
        "parts": found.parts | dict(gateway.parts()),
        "now": counts.calls_now,
        "capacity": counts.capacity,
        "loop": {
            "lag_p50_ms": round(lag.lag_p50_ms, 2),
            "lag_p90_ms": round(lag.lag_p90_ms, 2),
            "lag_max_ms": round(lag.lag_max_ms, 2),
            "late_p99_ms": round(plane.lateness_p99_ms if plane.members else 0.0, 2),
            "faults": plane.faults,
            "memory_mib": None if lag.memory_mib is None else round(lag.memory_mib, 1),
        },
    }


def _one(console: Console, after: int) -> dict[str, Any]:
    now, page = trio.current_time(), console.moments(after)
    return {
        "call": console.glimpse(now),
        "tenant": {
            "name": console.tenant.name,
            "people": [{"name": one.name, "number": one.number, "for": one.for_} for one in console.tenant.people],
        },
        "transcript": console.record.transcript(),
        "timeline": [asdict(moment) | {"n": n} for n, moment in enumerate(page.moments, page.first)],
        "first": page.first,
        "after": page.after,
        "level": asdict(console.level(now)),
        "counts": console.counts(),
        "tokens": dict(console.record.tokens),
    }


# --- what is asked -----------------------------------------------------------------------------------------------


def _authorize(header: str, token: str) -> None:
    if not token:
        detail = "set FRONTDESK_ADMIN_TOKEN for this gateway: without one nobody may look at calls"
        raise Refused(403, "No admin token is configured", detail)
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Refused(401, "Unauthorized", "send the admin token: Authorization: Bearer ...")


def _find(oversight: Oversight, sid: str) -> Console:
    console = oversight.find(sid)
    if console is None:
        raise Refused(404, "No such call", "that call is not on a line of this worker")
    return console


def _after(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise Refused(422, "Not a number", "after: the number of the first moment that is wanted")
    return int(text)


async def _read(kind: type[_Body]) -> _Body:
    try:
        return kind.model_validate_json(await request.get_data() or b"{}")
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors())
        raise Refused(422, "The order cannot be read", said) from None


def _person(console: Console, to: str) -> Person:
    people, wanted = console.tenant.people, to.strip().casefold()
    if not wanted and len(people) == 1:
        return people[0]
    for person in people:
        if wanted in {person.name.casefold(), person.number}:
            return person
    known = ", ".join(person.name for person in people) or "nobody"
    raise Refused(422, "Nobody of that name", f"this tenant's callers can be put through to: {known}")


async def _render(aloud: Aloud, text: str, console: Console, renders: trio.CapacityLimiter) -> bytes:
    """In a thread: one at a time, so that operators never take more than one core from the calls."""
    language = console.tenant.language
    try:
        with trio.fail_after(RENDER_S):
            mulaw = await trio.to_thread.run_sync(aloud.render, text, language, limiter=renders, abandon_on_cancel=True)
    except trio.TooSlowError:
        raise Refused(503, "The voice is busy", "other lines are being spoken; try again in a moment") from None
    except ConfigurationError as error:
        raise Refused(422, "This cannot be said", str(error)) from None
    if not mulaw:
        raise Refused(422, "This cannot be said", "there is nothing in it to say")
    return mulaw


def _ordered(console: Console, what: str, carry_out: Callable[[Console], None]) -> Response:
    try:
        carry_out(console)
    except OrderRefused as refused:
        raise Refused(409, "Not now", str(refused)) from None
    log.info("an operator's order", order=what, call_sid=console.record.call_sid, tenant_id=console.record.tenant_id)
    return _json({"ordered": what, "call_sid": console.record.call_sid}, 202)


def _json(document: Any, status: int = 200) -> Response:
    body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    return Response(body, status, {"cache-control": "no-store"}, content_type="application/json")
