"""The ops page: its files, its login, and its stream of what happens now.

The page is static; all it shows comes from ``/v1`` with the session's cookie, and from two streams of server-sent
events, which are ``/v1/live`` told as it changes. Nothing is fetched from elsewhere, and the policy says so.
"""

from collections.abc import Mapping
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated

from pydantic import Field
from quart import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from engine.backoffice import sessions
from engine.backoffice.access import Operator, TenantKey, Who, session_for, who_asks
from engine.backoffice.endpoint import Body, read_json
from engine.backoffice.office import Office
from engine.backoffice.ops_stream import board_events, call_events
from engine.backoffice.problems import Problem
from engine.backoffice.rate import Buckets

FOLDER = Path(__file__).parent / "static"
LOGINS_PER_MINUTE = 30  # from one address
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src 'self' blob:; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


class Login(Body):
    """The operator's token, or a tenant's key."""

    token: Annotated[str, Field(min_length=1, max_length=500)]


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("ops", __name__)
    logins = Buckets(LOGINS_PER_MINUTE)

    @pages.get("/")
    async def home() -> AnyResponse:
        return redirect("/ops", 302)

    @pages.get("/ops")
    async def page() -> Response:
        return await page_file("ops.html")

    @pages.get("/static/<path:name>")
    async def file(name: str) -> Response:
        return await page_file(name)

    @pages.post("/ops/login")
    async def login() -> Response:
        _from_our_page()
        if (wait_s := logins.take(request.remote_addr or "")) > 0:
            raise Problem(429, "ask more slowly", kind="too-often", headers={"retry-after": str(max(1, round(wait_s)))})
        session = await session_for(office, (await read_json(Login)).token.strip())
        if session is None:
            raise Problem(401, "that token or key is not known here")
        response = Response("", 204)
        sessions.begin(office, response, session)
        return response

    @pages.post("/ops/logout")
    async def logout() -> Response:
        _from_our_page()
        response = Response("", 204)
        sessions.end(response)
        return response

    @pages.get("/ops/me")
    async def me() -> dict[str, object]:
        who = await _known(office)
        tenant_id = who.tenant_id if isinstance(who, TenantKey) else ""
        scopes = who.scopes if isinstance(who, TenantKey) else ("read", "write", "calls", "admin")
        return {"name": who.name, "tenant_id": tenant_id, "scopes": list(scopes)}

    @pages.get("/ops/stream")
    async def stream() -> Response:
        who = await _known(office, scope="calls")
        return _events(Response(board_events(office, who), content_type="text/event-stream"))

    @pages.get("/ops/stream/<slug:tenant_id>/<name:call_sid>")
    async def call_stream(tenant_id: str, call_sid: str) -> Response:
        who = await _known(office, scope="calls")
        if isinstance(who, TenantKey) and who.tenant_id != tenant_id:
            raise Problem(404, "no such tenant")
        return _events(Response(call_events(office, tenant_id, call_sid), content_type="text/event-stream"))

    return pages


@cache
def _files() -> Mapping[str, tuple[bytes, str]]:
    """Their bytes and types by name. Read once: a browser that goes away in mid-file leaves no open one behind."""
    return {
        path.relative_to(FOLDER).as_posix(): (path.read_bytes(), guess_type(path.name)[0] or "application/octet-stream")
        for path in FOLDER.rglob("*")
        if path.is_file()
    }


async def page_file(name: str) -> Response:
    """A file of the pages, with their headers; ``Problem`` 404 where there is none of that name."""
    if name not in _files():
        raise Problem(404, "no such file")
    data, content_type = _files()[name]
    response = Response(data, content_type=content_type)
    response.headers.update(HEADERS)
    await response.add_etag()
    await response.make_conditional(request)
    return response


def _events(response: Response) -> Response:
    response.timeout = None  # it ends by itself, minutes later
    response.headers.update({"cache-control": "no-store", "x-accel-buffering": "no"})
    return response


def _from_our_page() -> None:
    """A header that no foreign page can make a browser send."""
    if sessions.PAGE_HEADER not in request.headers:
        raise Problem(403, f"send the header {sessions.PAGE_HEADER}", kind="not-our-page")


async def _known(office: Office, scope: str = "") -> Who:
    who = await who_asks(office)
    if who is None:
        raise Problem(401, "log in first")
    if scope and not isinstance(who, Operator) and not who.may(scope):
        raise Problem(403, f"this key has not the scope {scope!r}", kind="scope")
    return who
