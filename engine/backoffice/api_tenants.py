"""``/v1/tenants``: the documents. A document has a version, which is its ETag: whoever changes it may say which they
have read (``If-Match``), and whoever replaces it has to.
"""

from typing import Annotated

from pydantic import Field, RootModel
from quart import Blueprint

from engine.backoffice import documents
from engine.backoffice.access import asking, audit_as, requires
from engine.backoffice.documents import Kept, etag
from engine.backoffice.endpoint import (
    Body,
    NamePaging,
    Page,
    asks,
    gives,
    gives_nothing,
    name_cursor,
    takes_as_is,
    told,
)
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.backoffice.reading import LONGEST_JSON, check_json, read_bytes
from engine.tenants.tenant import Tenant

MERGE_PATCH = "application/merge-patch+json"
VERSION = r'^(\*|"[0-9]{1,18}")$'


class TenantSummary(Body):
    """A tenant in a list."""

    id: str
    name: str
    numbers: list[str]
    version: int


class Tenants(Page[TenantSummary]):
    """Tenants by id."""


class Versioned(Body):
    """What a document comes with."""

    etag: str


class OfVersion(Body):
    """Which version is meant: the ETag that was read, or * for any."""

    if_match: Annotated[str, Field(pattern=VERSION)] | None = None


class OfVersionOrNew(OfVersion):
    """Or * in the other where there must be none yet."""

    if_none_match: Annotated[str, Field(pattern=r"^\*$")] | None = None


class Patch(RootModel[dict[str, object]]):
    """RFC 7396: what is to be otherwise; null takes a field out, so that its default holds."""


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("tenants", __name__, url_prefix="/v1/tenants")

    @pages.get("")
    @gives(Tenants)
    @asks(NamePaging)
    @requires("operator")
    async def page(query: NamePaging) -> Tenants:
        """All tenants, by id."""
        found = await office.tenants.page(after=query.after, limit=query.limit)
        items = [
            TenantSummary(
                id=kept.tenant_id,
                name=str(kept.document.get("name", "")),
                numbers=list(kept.numbers),
                version=kept.version,
            )
            for kept in found
        ]
        return Tenants(items=items, next_cursor=name_cursor(found[-1].tenant_id) if len(found) == query.limit else None)

    @pages.post("")
    @gives(Tenant, 201, Versioned)
    @takes_as_is(Tenant)
    @requires("operator")
    async def create() -> tuple[Tenant, int, dict[str, str]]:
        """A new tenant."""
        tenant = documents.check(office, await _document())
        audit_as(tenant.id)
        return _told(await documents.create(office, tenant), 201)

    @pages.get("/<slug:tenant_id>")
    @gives(Tenant, 200, Versioned)
    @requires("read")
    async def get(tenant_id: str) -> tuple[Tenant, int, dict[str, str]]:
        """One tenant's document."""
        return _told(Kept(*await office.versioned(tenant_id)), 200)

    @pages.put("/<slug:tenant_id>")
    @gives(Tenant, 201, Versioned)
    @gives(Tenant, 200, Versioned)
    @takes_as_is(Tenant)
    @told(OfVersionOrNew)
    @requires("write", known_tenant=False)
    async def put(tenant_id: str, headers: OfVersionOrNew) -> tuple[Tenant, int, dict[str, str]]:
        """Make a tenant, or put a document in the place of its own: then with the ETag of the one that it replaces."""
        tenant = documents.check(office, await _document(), tenant_id)
        there = await office.tenants.get(tenant_id)
        if there is None and headers.if_match is None:
            return _told(await documents.create(office, tenant), 201)
        if headers.if_none_match is not None:
            raise Problem(412, "there is one", kind="stale", headers={"etag": etag(there.version)} if there else None)
        if headers.if_match is None:
            raise Problem(428, "say which version this is to replace: If-Match with its ETag, or *", kind="unread")
        return _told(await documents.replace(office, asking(), tenant, _version(headers)), 200)

    @pages.patch("/<slug:tenant_id>")
    @gives(Tenant, 200, Versioned)
    @takes_as_is(Patch, media_types=(MERGE_PATCH, "application/json"))
    @told(OfVersion)
    @requires("write")
    async def patch(tenant_id: str, headers: OfVersion) -> tuple[Tenant, int, dict[str, str]]:
        """Change some of a document."""
        wanted = check_json(await read_bytes((MERGE_PATCH, "application/json"), LONGEST_JSON))
        if not isinstance(wanted, dict):
            raise Problem(422, "a merge patch of a document is an object", kind="invalid")
        kept = await documents.change(
            office, asking(), tenant_id, _version(headers), lambda document: documents.merge(document, wanted)
        )
        return _told(kept, 200)

    @pages.delete("/<slug:tenant_id>")
    @gives_nothing("It is gone, with its numbers and what it knew; what its calls left stays.")
    @told(OfVersion)
    @requires("operator", known_tenant=False)
    async def delete(tenant_id: str, headers: OfVersion) -> tuple[str, int]:
        """Take a tenant out of service."""
        await documents.delete(office, tenant_id, _version(headers))
        return "", 204

    return pages


async def _document() -> bytes:
    raw = await read_bytes(("application/json",), LONGEST_JSON)
    check_json(raw)
    return raw


def _told(kept: Kept, status: int) -> tuple[Tenant, int, dict[str, str]]:
    headers = {"etag": etag(kept.version)}
    if status == 201:
        headers["location"] = f"/v1/tenants/{kept.tenant.id}"
    return kept.tenant, status, headers


def _version(headers: OfVersion) -> int | None:
    """The one that ``If-Match`` names; None where it names none, or any."""
    return None if headers.if_match in (None, "*") else int(headers.if_match.strip('"'))
