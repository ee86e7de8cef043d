"""A page's session: a signed cookie that stands for the operator or for one of a tenant's keys.

It holds no secret. A key that was revoked or rotated since ends its sessions, since it is looked up for each request;
another operator token ends the operator's. What writes needs a header too, which no foreign page can make a browser
send: ``X-Frontdesk-Page``.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from itsdangerous import BadData, URLSafeTimedSerializer
from quart import Response, request

from engine.backoffice.office import Office

COOKIE = "frontdesk_session"
PAGE_HEADER = "x-frontdesk-page"
LASTS_S = 12 * 3600


@dataclass(frozen=True, slots=True)
class Session:
    """Whose it is: the operator's where ``tenant_id`` is empty. ``proof`` binds it to the secret it was begun with."""

    tenant_id: str
    key_id: str
    proof: str


def proof_of(office: Office, digest: bytes) -> str:
    """What a session remembers of a secret's digest: enough to see that it is still that one."""
    return hmac.new(office.secret, b"session\0" + digest, sha256).hexdigest()


def begin(office: Office, response: Response, session: Session) -> None:
    """Set the cookie, in answer to the request at hand; where that came over TLS, ours or a proxy's, for TLS alone."""
    value = _serializer(office).dumps([session.tenant_id, session.key_id, session.proof])
    # Whoever makes this header up only keeps a cookie of their own from being sent in the clear.
    forwarded = request.headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
    secure = request.is_secure or forwarded == "https"
    response.set_cookie(COOKIE, value, max_age=LASTS_S, httponly=True, samesite="Strict", secure=secure, path="/")


def end(response: Response) -> None:
    """Take the cookie away."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="Strict")


def read(office: Office, cookie: str) -> Session | None:
    """The session of a cookie; None where it is not ours, or too old."""
    try:
        tenant_id, key_id, proof = _serializer(office).loads(cookie, max_age=LASTS_S)
    except (BadData, ValueError, TypeError):
        return None
    return Session(tenant_id, key_id, proof)


def _serializer(office: Office) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(office.secret, salt="frontdesk.session")
