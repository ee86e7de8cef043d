"""``.../tools``: what a tenant's receptionist can do, and trying it out.

A try is a tool call like a model's, done by the same executor through the same ledger, of a call that is none: its id
is made from the ``Idempotency-Key``, so a request that is repeated, whatever became of the first, does the thing once.
What it does is real: an appointment is booked, an endpoint is asked.
"""

from hashlib import sha256
from typing import Annotated, Any
from uuid import uuid4

import trio
from pydantic import Field
from quart import Blueprint, request

from engine.backoffice import once
from engine.backoffice.access import asking, requires
from engine.backoffice.endpoint import Body, gives, takes
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.messages import Effect, FloorEvent, ToolCall, ToolCallsCancelled, ToolResult
from engine.store.postgres_idempotency import KEPT_S
from engine.tenants.tenant import Person, Tenant, ToolSpec
from engine.tools.context import ToolContext
from engine.tools.executor import run_tool_executor

QUEUED = 16  # at most two events of one call; more than enough


class ToolItem(Body):
    """One thing that the receptionist can do. ``endpoint`` is where it is done, where that is the tenant's own."""

    name: str
    description: str
    effect: Effect
    parameters: dict[str, Any]
    timeout_s: float
    filler: str
    endpoint: str | None


class Tools(Body):
    """All of them, in the document's order."""

    items: list[ToolItem]


class Try(Body):
    """What to try it with, and as which caller."""

    arguments: dict[str, Any] = Field(default_factory=dict)
    caller: Annotated[str, Field(max_length=64)] = ""


class Tried(Body):
    """What the model would have been told; ``deduplicated``: it had been done before, and was not done again."""

    response: dict[str, Any]
    deduplicated: bool
    took_ms: float


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("tools", __name__, url_prefix="/v1/tenants/<slug:tenant_id>/tools")

    @pages.get("")
    @gives(Tools)
    @requires("read")
    async def tools(tenant_id: str) -> Tools:
        """What the receptionist can do."""
        tenant = await office.tenant(tenant_id)
        return Tools(items=[_item(tool) for tool in tenant.tools])

    @pages.post("/<name:tool>/try")
    @gives(Tried)
    @takes(Try)
    @requires("write")
    async def try_it(tenant_id: str, tool: str, body: Try) -> Tried:
        """Do it, once for an Idempotency-Key."""
        tenant = await office.tenant(tenant_id)
        if tool not in {one.name for one in tenant.tools}:
            raise Problem(404, "no such tool")
        key = request.headers.get(once.HEADER) or uuid4().hex
        mark = sha256("\0".join((tenant_id, asking().name, key)).encode()).hexdigest()[:32]
        await office.work.forget_tries(tenant_id, KEPT_S)
        result = await run_once(office, tenant, f"try-{mark}", tool, body)
        return Tried(response=dict(result.response), deduplicated=result.deduplicated, took_ms=round(result.took_ms, 1))

    return pages


async def run_once(office: Office, tenant: Tenant, call_sid: str, tool: str, wanted: Try) -> ToolResult:
    """One call of one tool, of a call that is none."""
    calls_send, calls = trio.open_memory_channel[ToolCall | ToolCallsCancelled](1)
    inbox, events = trio.open_memory_channel[FloorEvent](QUEUED)
    context = ToolContext(
        tenant=tenant,
        call_sid=call_sid,
        caller=wanted.caller,
        control=_NobodyOnTheLine(),
        follow_ups=office.store,
        diary=office.diary,
        now=office.now,
    )
    async with calls_send, events:
        await calls_send.send(ToolCall(tenant.id, call_sid, 0, "try", tool, wanted.arguments))
        await calls_send.aclose()
        await run_tool_executor(
            tenant=tenant,
            call_sid=call_sid,
            calls=calls,
            inbox=inbox,
            catalog=office.catalog,
            ledger=office.ledger,
            context=context,
        )
        async for event in events:
            if isinstance(event, ToolResult):
                return event
    raise AssertionError("the executor answers every call")


class _NobodyOnTheLine:
    """What a tool may ask of its call: there is nobody to put through, and nothing to end."""

    def request_transfer(self, person: Person) -> None:
        """Nothing."""

    def request_end(self, reason: str) -> None:
        """Nothing."""


def _item(spec: ToolSpec) -> ToolItem:
    return ToolItem(
        name=spec.name,
        description=spec.description,
        effect=spec.effect,
        parameters=spec.parameters,
        timeout_s=spec.timeout_s,
        filler=spec.filler,
        endpoint=None if spec.endpoint is None else spec.endpoint.url,
    )
