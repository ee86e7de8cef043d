"""Tools that are asked over HTTP: of a simulated endpoint over real sockets, or of a handler under virtual time."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import trio
from pydantic import SecretStr

from engine.messages import Effect
from engine.sim.tool_endpoint import ToolEndpoint
from engine.sim.tool_requests import Verifier
from engine.tenants.tenant import EndpointAuth, Tenant, ToolSpec
from engine.tenants.tenant import ToolEndpoint as EndpointOfDocument
from engine.tools.catalog import Catalog
from engine.tools.http_guard import AddressGuard
from engine.tools.http_signing import ToolSecrets
from engine.tools.http_tool import HttpTools
from engine.tools.http_transport import tool_client
from tests.tools.room import NOW, PARAMETERS, TENANT, World

TOKEN = "t0ken-of-acme"
SECRETS = ToolSecrets({"acme": {"backend": SecretStr(TOKEN)}}, secret_key="the operator's")
VERIFIER = Verifier(
    {tenant_id: SECRETS.signing_text(tenant_id) or "" for tenant_id in ("acme", "other")},
    ("Authorization", f"Bearer {TOKEN}"),
)
AUTH = EndpointAuth(secret="backend")


def a_spec(name: str, url: str, effect: Effect = Effect.WRITES, timeout_s: float = 5.0, **endpoint: Any) -> ToolSpec:
    where = EndpointOfDocument(url=url, **{"auth": AUTH, **endpoint})
    return ToolSpec(
        name=name, description="", parameters=PARAMETERS, effect=effect, timeout_s=timeout_s, endpoint=where
    )


def a_tenant(url: str, timeout_s: float = 5.0, **endpoint: Any) -> Tenant:
    """``look`` reads; ``write`` must not be repeated; ``book`` may be."""
    specs = (
        a_spec("look", url, Effect.READS, timeout_s, **endpoint),
        a_spec("write", url, Effect.WRITES, timeout_s, **endpoint),
        a_spec("book", url, Effect.WRITES, timeout_s, idempotent=True, **endpoint),
    )
    return TENANT.model_copy(update={"tools": specs})


def an_endpoint(**how: Any) -> ToolEndpoint:
    return ToolEndpoint(VERIFIER, clock=NOW.timestamp, **how)


@asynccontextmanager
async def served(endpoint: ToolEndpoint) -> AsyncIterator[HttpTools]:
    """The endpoint listens, and there are tools that may reach it."""
    guard = AddressGuard(allow_private=True)
    async with trio.open_nursery() as nursery, tool_client(guard) as client:
        await nursery.start(endpoint.serve)
        yield HttpTools(client, guard, SECRETS)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def answered_by(handler: Callable[[httpx.Request], Any]) -> AsyncIterator[HttpTools]:
    """No sockets: for virtual time."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        yield HttpTools(client, AddressGuard(allow_private=True), SECRETS)


def catalog(tools: HttpTools) -> Catalog:
    return Catalog((), tools)


async def ask(tools: HttpTools, spec: ToolSpec, effect_id: str = "e" * 32, **arguments: Any) -> Mapping[str, Any]:
    """Run a tool as the executor would, and nothing around it."""
    assert spec.endpoint is not None
    tool = tools.tool(TENANT, spec, spec.endpoint)
    with trio.fail_after(spec.timeout_s):
        return await tool.handler(replace(World().context(), effect_id=effect_id), arguments or {"what": "a"})
