"""``.../keys`` and ``.../audit``: who may ask for a tenant, and who has changed what.

A key's secret is in one answer only: the one that makes it.
"""

from typing import Annotated

from pydantic import Field
from quart import Blueprint

from engine.backoffice.access import Operator, Scope, asking, requires
from engine.backoffice.endpoint import Body, Moment, Page, Paging, asks, gives, page, takes
from engine.backoffice.keys import new_key_id, new_secret
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.store.postgres_api_keys import ApiKey
from engine.store.postgres_audit import OPERATOR, AuditEntry


class NewKey(Body):
    """What a key is for, and what it may."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]


class KeyItem(Body):
    """A key, without its secret."""

    id: str
    name: str
    scopes: list[str]
    created_by: str
    created_at: Moment
    rotated_at: Moment | None
    revoked_at: Moment | None


class KeyWithSecret(KeyItem):
    """A key with its secret, which is not shown again: what is sent as the bearer's token."""

    secret: str


class Keys(Page[KeyItem]):
    """Keys; revoked ones too."""


class AuditItem(Body):
    """One write: who, what, when, and how it was answered."""

    at: Moment
    who: str
    method: str
    path: str
    status: int


class Audit(Page[AuditItem]):
    """What was changed, newest first."""


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("keys", __name__, url_prefix="/v1")

    @pages.get("/tenants/<slug:tenant_id>/keys")
    @gives(Keys)
    @asks(Paging)
    @requires("admin")
    async def keys(tenant_id: str, query: Paging) -> Keys:
        """A tenant's keys, newest first."""
        found = await office.keys.page(tenant_id, before=query.before, limit=query.limit)
        return page(Keys, [_item(key) for key in found], [key.kept_order for key in found], query)

    @pages.post("/tenants/<slug:tenant_id>/keys")
    @gives(KeyWithSecret, 201)
    @takes(NewKey)
    @requires("admin")
    async def create(tenant_id: str, body: NewKey) -> tuple[KeyWithSecret, int, dict[str, str]]:
        """A new key; nobody gives more than they have."""
        who = asking()
        if beyond := [scope for scope in body.scopes if not who.may(scope)]:
            raise Problem(403, f"this key has not {', '.join(beyond)} itself", kind="scope")
        key_id = new_key_id()
        secret, digest = new_secret(tenant_id, key_id)
        scopes = tuple(dict.fromkeys(body.scopes))
        made = await office.keys.add(
            tenant_id, key_id, name=body.name, scopes=scopes, digest=digest, created_by=who.name
        )
        if made is None:
            raise Problem(404, "no such tenant")
        return _shown(made, secret), 201, {"location": f"/v1/tenants/{tenant_id}/keys/{key_id}"}

    @pages.get("/tenants/<slug:tenant_id>/keys/<name:key_id>")
    @gives(KeyItem)
    @requires("admin")
    async def key(tenant_id: str, key_id: str) -> KeyItem:
        """One key."""
        return _item(_there(await office.keys.get(tenant_id, key_id)))

    @pages.post("/tenants/<slug:tenant_id>/keys/<name:key_id>/rotate")
    @gives(KeyWithSecret)
    @requires("admin")
    async def rotate(tenant_id: str, key_id: str) -> KeyWithSecret:
        """Another secret; the one before opens nothing from now on."""
        before = _there(await office.keys.get(tenant_id, key_id))
        who = asking()
        if not isinstance(who, Operator) and (beyond := [scope for scope in before.scopes if not who.may(scope)]):
            raise Problem(403, f"this key has not {', '.join(beyond)} itself", kind="scope")
        secret, digest = new_secret(tenant_id, key_id)
        rotated = await office.keys.rotate(tenant_id, key_id, digest)
        if rotated is None:
            raise Problem(409, "this key was revoked: make a new one", kind="revoked")
        return _shown(rotated, secret)

    @pages.post("/tenants/<slug:tenant_id>/keys/<name:key_id>/revoke")
    @gives(KeyItem)
    @requires("admin")
    async def revoke(tenant_id: str, key_id: str) -> KeyItem:
        """It opens nothing from now on, for good."""
        return _item(_there(await office.keys.revoke(tenant_id, key_id)))

    @pages.get("/tenants/<slug:tenant_id>/audit")
    @gives(Audit)
    @asks(Paging)
    @requires("admin")
    async def audit(tenant_id: str, query: Paging) -> Audit:
        """What was changed of this tenant."""
        return await _audit(tenant_id, query)

    @pages.get("/audit")
    @gives(Audit)
    @asks(Paging)
    @requires("operator")
    async def operators_audit(query: Paging) -> Audit:
        """Attempts of the operator that were of no tenant."""
        return await _audit(OPERATOR, query)

    async def _audit(tenant_id: str, query: Paging) -> Audit:
        found = await office.audit.page(tenant_id, before=query.before, limit=query.limit)
        return page(Audit, [_entry(entry) for entry in found], [entry.kept_order for entry in found], query)

    return pages


def _there(key: ApiKey | None) -> ApiKey:
    if key is None:
        raise Problem(404, "no such key")
    return key


def _item(key: ApiKey) -> KeyItem:
    return KeyItem(
        id=key.key_id,
        name=key.name,
        scopes=list(key.scopes),
        created_by=key.created_by,
        created_at=key.created_at,
        rotated_at=key.rotated_at,
        revoked_at=key.revoked_at,
    )


def _shown(key: ApiKey, secret: str) -> KeyWithSecret:
    return KeyWithSecret(**_item(key).model_dump(), secret=secret)


def _entry(entry: AuditEntry) -> AuditItem:
    return AuditItem(at=entry.at, who=entry.who, method=entry.method, path=entry.path, status=entry.status)
