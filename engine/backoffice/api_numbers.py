"""``.../numbers``: a tenant's numbers, which its document names, one at a time. They are the operator's to give."""

from collections.abc import Callable
from typing import Any

from quart import Blueprint

from engine.backoffice import documents
from engine.backoffice.access import asking, requires
from engine.backoffice.endpoint import Body, gives, gives_nothing
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem


class Numbers(Body):
    """E.164, in the document's order."""

    items: list[str]


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("numbers", __name__, url_prefix="/v1/tenants/<slug:tenant_id>/numbers")

    @pages.get("")
    @gives(Numbers)
    @requires("read")
    async def numbers(tenant_id: str) -> Numbers:
        """Those that are answered for this tenant."""
        return Numbers(items=list((await office.tenant(tenant_id)).numbers))

    @pages.put("/<e164:number>")
    @gives(Numbers)
    @requires("operator")
    async def put(tenant_id: str, number: str) -> Numbers:
        """Answer this number for this tenant from now on."""
        return await _change(tenant_id, lambda before: before if number in before else [*before, number])

    @pages.delete("/<e164:number>")
    @gives_nothing("It is answered for this tenant no longer.")
    @requires("operator")
    async def delete(tenant_id: str, number: str) -> tuple[str, int]:
        """Give a number up."""
        if number not in (await office.tenant(tenant_id)).numbers:
            raise Problem(404, "this tenant has no such number")
        await _change(tenant_id, lambda before: [one for one in before if one != number])
        return "", 204

    async def _change(tenant_id: str, edit: Callable[[list[str]], list[str]]) -> Numbers:
        def edit_document(document: dict[str, Any]) -> dict[str, Any]:
            return {**document, "numbers": edit(document["numbers"])}

        kept = await documents.change(office, asking(), tenant_id, None, edit_document)
        return Numbers(items=list(kept.tenant.numbers))

    return pages
