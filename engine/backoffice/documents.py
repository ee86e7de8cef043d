"""Tenants' documents as they are changed over the API: checked as an import checks them, and never over somebody
else's change.

A document is refused here where a gateway could not serve it: fields, what fields say, tools that nothing can do, lines
that are blank. What a tenant's own key may not change is what the operator answers for: numbers and quotas.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import trio
from pydantic import ValidationError

from engine.backoffice.access import Operator, Who
from engine.backoffice.office import Office
from engine.backoffice.problems import Mistake, Problem
from engine.errors import ConfigurationError
from engine.fallback.prompts import PromptLibrary
from engine.store.postgres_tenants import Stale
from engine.store.tenants import NumberTaken, TenantDocument
from engine.tenants.documents import parse_tenant
from engine.tenants.tenant import Tenant

OPERATORS_FIELDS = ("numbers", "quotas")
TRIES = 5  # where somebody else's change came between reading and writing, and the asker named no version

Edit = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """A document with its version."""

    tenant: Tenant
    version: int


def etag(version: int) -> str:
    """A version as HTTP has it."""
    return f'"{version}"'


def check(office: Office, raw: bytes, tenant_id: str | None = None) -> Tenant:
    """The tenant of a document, as it can be served.

    Raises:
        Problem: 422 with every mistake found.
    """
    try:
        Tenant.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise Problem.of_validation(error, "body") from None
    try:
        tenant = parse_tenant(raw.decode(), origin="body")
        office.catalog.for_tenant(tenant)
        PromptLibrary(_Unspoken()).prepare(tenant)
    except ConfigurationError as error:
        said = [line.removeprefix("body: ").removeprefix(f"tenant {_id(raw)}: ") for line in str(error).splitlines()]
        raise _unusable(*said) from None
    if tenant_id is not None and tenant.id != tenant_id:
        raise _unusable(f"id: {tenant.id!r}, but the path says {tenant_id!r}; an id cannot be changed")
    return tenant


async def create(office: Office, tenant: Tenant) -> Kept:
    """A new one.

    Raises:
        Problem: 409 there is one of that id, or a number is another's.
    """
    outcome = await _write(office, tenant, 0)
    if isinstance(outcome, Stale):
        raise Problem(409, f"there is a tenant {tenant.id!r}", kind="exists")
    return outcome


async def replace(office: Office, who: Who, tenant: Tenant, expected: int | None) -> Kept:
    """Put this document in the place of the one there. ``expected`` None: of whichever version.

    Raises:
        Problem: 403 not theirs to change, 404 none there, 409 a number is another's, 412 of another version.
    """
    document = _dumped(tenant)
    return await change(office, who, tenant.id, expected, lambda _: document)


async def change(office: Office, who: Who, tenant_id: str, expected: int | None, edit: Edit) -> Kept:
    """Make a new document of the one there. ``edit`` may be called again, with a newer one.

    Raises:
        Problem: as ``replace``; 422 what comes out cannot be served.
    """
    for _ in range(TRIES):
        found = await office.tenants.get(tenant_id)
        if found is None:
            raise Problem(404, "no such tenant")
        if expected not in (None, found.version):
            raise _stale(found.version)
        tenant = check(office, orjson.dumps(edit(dict(found.document))), tenant_id)
        _refuse_what_is_the_operators(who, found.document, tenant)
        outcome = await _write(office, tenant, found.version)
        if isinstance(outcome, Kept):
            return outcome
    raise Problem(409, "others are changing this document; try again", kind="busy", headers={"retry-after": "1"})


async def delete(office: Office, tenant_id: str, expected: int | None) -> None:
    """Its document, numbers and knowledge; what its calls left stays.

    Raises:
        Problem: 404 none there, 412 of another version.
    """
    if expected is None:
        if not await office.tenants.delete(tenant_id):
            raise Problem(404, "no such tenant")
        return
    outcome = await office.tenants.delete_if(tenant_id, expected)
    if isinstance(outcome, Stale):
        raise Problem(404, "no such tenant") if outcome.version == 0 else _stale(outcome.version)


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396: null takes out, objects are merged, everything else is put in the place of what was there. PURE."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


async def _write(office: Office, tenant: Tenant, version: int) -> Kept | Stale:
    """And what the document itself knows. The notes come second: a search finds nothing of a tenant that is not there.

    Raises:
        Problem: 409 a number is another's.
    """
    outcome = await office.tenants.put_if(TenantDocument(tenant.id, _dumped(tenant), tenant.numbers), version)
    if isinstance(outcome, Stale):
        return outcome
    if isinstance(outcome, NumberTaken):
        raise Problem(409, f"number {outcome.number} belongs to another tenant", kind="number-taken")
    with trio.CancelScope(shield=True):  # half of a change is what nobody would look for
        await office.shelf.library.add_notes(tenant)
    return Kept(tenant, outcome.version)


def _refuse_what_is_the_operators(who: Who, before: Mapping[str, Any], tenant: Tenant) -> None:
    if isinstance(who, Operator):
        return
    after = _dumped(tenant)
    if changed := [name for name in OPERATORS_FIELDS if before.get(name) != after[name]]:
        raise Problem(403, f"{' and '.join(changed)}: only the operator may change that", kind="operator-only")


def _dumped(tenant: Tenant) -> dict[str, Any]:
    return tenant.model_dump(mode="json", by_alias=True)


def _stale(version: int) -> Problem:
    return Problem(412, "it was changed meanwhile: read it again", kind="stale", headers={"etag": etag(version)})


def _unusable(*said: str) -> Problem:
    mistakes = []
    for line in said:
        place, _, rest = line.partition(": ")
        mistakes.append(Mistake(at=f"body.{place}" if rest else "body", says=rest or place))
    return Problem(422, "the body cannot be used", kind="invalid", mistakes=tuple(mistakes))


def _id(raw: bytes) -> str:
    return str(orjson.loads(raw)["id"])


class _Unspoken:
    """Lines are looked at, not rendered: whichever gateway serves them first does that."""

    def mulaw(self, text: str, *, language: str = "en-US") -> bytes:  # noqa: ARG002
        return b""
