"""A tool's endpoint as a document describes it: what can be said against it without asking anybody. PURE.

Whether its address may be reached, and whether its secret is kept, is for the process that would call it to say.
"""

import re
from urllib.parse import SplitResult, urlsplit

from engine.errors import ConfigurationError
from engine.messages import Effect
from engine.tenants.tenant import ToolEndpoint, ToolSpec

# What says who we are, what for, and where the body ends is not for a document to overwrite.
_OURS = frozenset(
    {
        *("host", "connection", "content-length", "content-type", "content-encoding", "transfer-encoding", "te"),
        *("trailer", "upgrade", "expect", "accept-encoding", "cookie", "idempotency-key"),
    }
)
_OUR_PREFIXES = ("webhook-", "frontdesk-", "proxy-")
_VISIBLE = re.compile(r"[\x21-\x7e]+")


def check_endpoint(tool: ToolSpec, endpoint: ToolEndpoint, path: str) -> None:
    """Refuse an endpoint that could not work, or not safely.

    Raises:
        ConfigurationError: says where (``path``), what, and the cure.
    """
    _check_url(endpoint.url, f"{path}.url")
    if endpoint.method == "GET" and tool.effect is Effect.WRITES:
        raise ConfigurationError(f"{path}.method: GET may be repeated by anything on the way; write POST for a write")
    if endpoint.auth is not None:
        name = endpoint.auth.header.lower()
        if name in _OURS or name.startswith(_OUR_PREFIXES):
            cure = "write another, like Authorization or X-Api-Key"
            raise ConfigurationError(f"{path}.auth.header: {endpoint.auth.header} is set by us; {cure}")


def _check_url(url: str, path: str) -> None:
    cure = "write it like https://tools.example.com/bookings"
    parts = _split(url)
    if parts is None or not parts.hostname or parts.scheme not in {"http", "https"} or not _VISIBLE.fullmatch(url):
        raise ConfigurationError(f"{path}: {url[:60]!r} is no web address; {cure}")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(f"{path}: holds a password; name a secret in endpoint.auth instead")
    if "#" in url:
        raise ConfigurationError(f"{path}: what stands behind # is never sent; remove it")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None  # asking for the port also checks that it is one
    except ValueError:
        return None
