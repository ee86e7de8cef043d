"""Who asks, and whether they may: asked of every request under ``/v1`` before its handler runs; fail closed.

A handler says what it needs with ``@requires("read")``; the application refuses to start with one under ``/v1`` that
says nothing. Then, in this order: who is it (401), how often do they ask (429), is it their tenant and is that there
(404: whose ids exist is nobody's business), may they do that (403). ``asking()`` is who it was.

Every write is written down afterwards, with its outcome, whoever asked and however it ended.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeAlias, TypeVar

from quart import Response, g, request
from quart_trio import QuartTrio

from engine.backoffice import sessions
from engine.backoffice.keys import parse_key
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.backoffice.rate import Buckets
from engine.errors import RemoteError
from engine.log import get_logger
from engine.store.postgres_audit import OPERATOR

Scope: TypeAlias = Literal["read", "write", "calls", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "write", "calls", "admin")
SAFE = ("GET", "HEAD", "OPTIONS")
BEARER = {"www-authenticate": 'Bearer realm="frontdesk"'}

_NEEDS = "_frontdesk_needs"
Handler = TypeVar("Handler", bound=Callable[..., object])
log = get_logger("backoffice.access")


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever runs this installation: may do everything, for every tenant."""

    name = "operator"

    def may(self, scope: str) -> bool:  # noqa: ARG002 - the same question as of a key
        """Yes."""
        return True


@dataclass(frozen=True, slots=True)
class TenantKey:
    """A tenant's own key."""

    tenant_id: str
    key_id: str
    scopes: tuple[str, ...]

    @property
    def name(self) -> str:
        """As it is written down."""
        return f"key {self.key_id}"

    def may(self, scope: str) -> bool:
        """Whether the key was given that scope; ``operator`` is none that a key can have."""
        return scope in self.scopes


Who: TypeAlias = Operator | TenantKey


@dataclass(frozen=True, slots=True)
class Needs:
    """What a route asks of its askers. ``known_tenant`` False: the tenant in its path need not be there."""

    scope: Scope | Literal["operator"]
    known_tenant: bool = True


def requires(scope: Scope | Literal["operator"], *, known_tenant: bool = True) -> Callable[[Handler], Handler]:
    """A handler's decorator: who may ask for it.

    A route with ``tenant_id`` in its path is that tenant's and the operator's; one without it is the operator's alone.
    """

    def mark(handler: Handler) -> Handler:
        setattr(handler, _NEEDS, Needs(scope, known_tenant))
        return handler

    return mark


def needs_of(app: QuartTrio, endpoint: str) -> Needs | None:
    """What that route's handler has said; None where it said nothing."""
    return getattr(app.view_functions[endpoint], _NEEDS, None)


def asking() -> Who:
    """Who asks for what is being answered now."""
    who: Who = g.who
    return who


def audit_as(tenant_id: str) -> None:
    """For a write whose tenant is not in its path: in whose log it belongs."""
    g.audit_tenant = tenant_id


def install(app: QuartTrio, office: Office) -> None:
    """Guard everything under ``/v1``. Call it once all routes are there.

    Raises:
        LookupError: a route there does not say who may ask for it.
    """
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/v1/") and needs_of(app, rule.endpoint) is None:
            raise LookupError(f"{rule.rule} says nothing about who may ask for it: decorate it with @requires(...)")
    buckets = Buckets(office.settings.backoffice_requests_per_minute)

    @app.before_request
    async def guard() -> None:
        if not request.path.startswith("/v1/"):
            return
        g.who = who = await identify(office, buckets)
        if (rule := request.url_rule) is None:
            return  # which routes there are is for those to know whom we know
        needs = needs_of(app, rule.endpoint)
        assert needs is not None, "was looked at when the application was made"
        await _admit(office, who, needs, (request.view_args or {}).get("tenant_id"))

    @app.after_request
    async def write_down(response: Response) -> Response:
        if request.path.startswith("/v1/"):
            response.headers.setdefault("cache-control", "no-store")  # names, numbers, secrets
        if request.method not in SAFE and "who" in g:
            await _audit(office, g.who, response.status_code)
        return response


async def identify(office: Office, buckets: Buckets) -> Who:
    """Who sends this request.

    Raises:
        Problem: 401 nobody we know, 429 they ask too often, 403 a page's write without its header.
    """
    who = await who_asks(office)
    # Guessing is hopeless (256 bits), but every guess costs a look into the database.
    pays = f"from {request.remote_addr}" if who is None else who.name if isinstance(who, TenantKey) else None
    tenant = who.tenant_id if isinstance(who, TenantKey) else ""
    if pays is not None and (wait_s := buckets.take(f"{tenant} {pays}")) > 0:
        raise Problem(429, "ask more slowly", kind="too-often", headers={"retry-after": str(max(1, round(wait_s)))})
    if who is None:
        raise Problem(401, "send Authorization: Bearer with the operator's token or a tenant's key", headers=BEARER)
    return who


async def who_asks(office: Office) -> Who | None:
    """By the bearer's token, or else by a page's cookie; None where neither is good.

    Raises:
        Problem: 403, a write with a cookie that does not come from our own page.
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token:
        return await who_holds(office, token.strip())
    if kind or (cookie := request.cookies.get(sessions.COOKIE)) is None:
        return None
    who = await _who_of_session(office, cookie)
    if who is not None and request.method not in SAFE and sessions.PAGE_HEADER not in request.headers:
        raise Problem(403, f"a write with a cookie needs the header {sessions.PAGE_HEADER}", kind="not-our-page")
    return who


async def who_holds(office: Office, token: str) -> Who | None:
    """The holder of the operator's token or of a tenant's key; None where it is neither."""
    expected = office.settings.admin_token
    if expected is not None and hmac.compare_digest(token.encode(), expected.get_secret_value().encode()):
        return Operator()
    if (key := parse_key(token)) is None:
        return None
    proof = await office.keys.proof(key.tenant_id, key.key_id)
    if proof is None or not hmac.compare_digest(proof.digest, key.digest) or proof.revoked or not proof.served:
        return None
    return TenantKey(key.tenant_id, key.key_id, proof.scopes)


async def session_for(office: Office, token: str) -> sessions.Session | None:
    """The session that a page may begin with this token or key; None where it opens nothing."""
    match await who_holds(office, token):
        case Operator():
            return sessions.Session("", "", sessions.proof_of(office, sha256(token.encode()).digest()))
        case TenantKey(tenant_id, key_id, _):
            key = parse_key(token)
            assert key is not None, "it has just been read"
            return sessions.Session(tenant_id, key_id, sessions.proof_of(office, key.digest))
        case None:
            return None


async def _who_of_session(office: Office, cookie: str) -> Who | None:
    if (session := sessions.read(office, cookie)) is None:
        return None
    if not session.tenant_id:
        token = office.settings.admin_token
        known = None if token is None else sha256(token.get_secret_value().encode()).digest()
        return Operator() if known and _same(session.proof, sessions.proof_of(office, known)) else None
    proof = await office.keys.proof(session.tenant_id, session.key_id)
    if proof is None or proof.revoked or not proof.served:
        return None
    if not _same(session.proof, sessions.proof_of(office, proof.digest)):
        return None
    return TenantKey(session.tenant_id, session.key_id, proof.scopes)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


async def _admit(office: Office, who: Who, needs: Needs, tenant_id: str | None) -> None:
    if isinstance(who, TenantKey):
        if tenant_id is None:
            raise Problem(403, "this is for the operator", kind="operator-only")
        if tenant_id != who.tenant_id:
            raise Problem(404, "no such tenant")
        if not who.may(needs.scope):
            raise Problem(403, f"this key has not the scope {needs.scope!r}", kind="scope")
    elif tenant_id is not None and needs.known_tenant and await office.tenants.get(tenant_id) is None:
        raise Problem(404, "no such tenant")


async def _audit(office: Office, who: Who, status: int) -> None:
    tenant_id = g.get("audit_tenant") or (request.view_args or {}).get("tenant_id") or OPERATOR
    if isinstance(who, TenantKey):
        tenant_id = who.tenant_id  # also where they tried somebody else's
    # Who was forgotten must not stand in the log of it, nor whom an attempt at that was about.
    number = (request.view_args or {}).get("number")
    path = (request.path if number is None else request.path.replace(number, "*"))[:500]
    try:
        await office.audit.note(tenant_id, who=who.name, method=request.method, path=path, status=status)
    except RemoteError as error:
        # It has been done: the log is what is left to say so in.
        log.error("a write could not be audited", who=who.name, path=path, status=status, detail=str(error))
