"""What an endpoint is sent for one tool call. PURE.

The request (``POST`` by default) has a JSON body::

    {"tool": ..., "arguments": {...}, "tenant": ..., "call": ..., "caller": "+1555...", "idempotency_key": ...}

and the headers ``Frontdesk-Tenant``, ``Frontdesk-Call``, ``Idempotency-Key`` (the effect id, the same in every try),
those of ``http_signing.py``, and the one that ``endpoint.auth`` names. A ``GET`` has the arguments in its query instead
of a body: text as it is, everything else as JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson

from engine.messages import Effect
from engine.tenants.tenant import ToolEndpoint, ToolSpec
from engine.tools.context import ToolContext
from engine.tools.http_signing import ToolSecrets, signature_headers


@dataclass(frozen=True, slots=True)
class Wish:
    """One tool call on its way to its endpoint."""

    spec: ToolSpec
    endpoint: ToolEndpoint
    context: ToolContext
    arguments: Mapping[str, Any]

    @property
    def repeatable(self) -> bool:
        """Whether the endpoint may be asked twice for this, and does it once."""
        return self.spec.effect is Effect.READS or self.endpoint.idempotent


def build_request(client: httpx.AsyncClient, wish: Wish, secrets: ToolSecrets) -> httpx.Request:
    """A request for one try; a new one for each, since the signature holds the moment."""
    context, endpoint = wish.context, wish.endpoint
    body = b"" if endpoint.method == "GET" else _body(wish)
    request = client.build_request(endpoint.method, _url(wish), content=body or None)
    content = request.url.query if endpoint.method == "GET" else body
    keys, at = secrets.keys(context.tenant.id), int(context.now().timestamp())
    request.headers.update(
        {
            **signature_headers(keys, context.effect_id, at, content),
            "idempotency-key": context.effect_id,
            "frontdesk-tenant": context.tenant.id,
            "frontdesk-call": context.call_sid,
            "connection": "close",
        }
    )
    if body:
        request.headers["content-type"] = "application/json"
    if (auth := endpoint.auth) is not None:
        secret = secrets.named(context.tenant.id, auth.secret) or ""
        request.headers[auth.header] = f"{auth.scheme} {secret}".lstrip()
    return request


def _body(wish: Wish) -> bytes:
    return orjson.dumps(
        {
            "tool": wish.spec.name,
            "arguments": dict(wish.arguments),
            "tenant": wish.context.tenant.id,
            "call": wish.context.call_sid,
            "caller": wish.context.caller,
            "idempotency_key": wish.context.effect_id,
        }
    )


def _url(wish: Wish) -> str:
    url = wish.endpoint.url
    if wish.endpoint.method != "GET" or not wish.arguments:
        return url
    written = {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in wish.arguments.items()
    }
    return f"{url}{'&' if '?' in url else '?'}{urlencode(written)}"
