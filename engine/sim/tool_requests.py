"""What a strict tool endpoint takes for a request in order: written from the contract, with no code of ours. PURE."""

import base64
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

TOLERANCE_S = 300
_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
_FIELDS = {"tool", "arguments", "tenant", "call", "caller", "idempotency_key"}


class Unacceptable(Exception):
    """A request that is not as the contract has it. ``status``: what it is answered with."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A request that was found in order. ``tool`` and ``caller`` are empty in a ``GET``, which has no body."""

    tenant: str
    call: str
    key: str
    tool: str
    caller: str
    arguments: Mapping[str, Any]
    at: float


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Verifier:
    """What an endpoint knows: the signing key (``whsec_...``) of each tenant that may come, and a header they send."""

    signing: Mapping[str, str]
    header: tuple[str, str] | None = None

    def read(self, got: Received) -> ToolRequest:
        """The request, found in order.

        Raises:
            Unacceptable: it is not.
        """
        tenant, call, key = (_one(got, name) for name in ("frontdesk-tenant", "frontdesk-call", "idempotency-key"))
        self._check_signature(got, tenant)
        if self.header is not None and got.headers.get(self.header[0].lower()) != self.header[1]:
            raise Unacceptable(401, f"{self.header[0]} is missing or wrong")
        if not _KEY.fullmatch(key) or got.headers["webhook-id"] != key:
            raise Unacceptable(400, f"Idempotency-Key {key!r} is no key, or not the signed one")
        if got.method == "GET":
            arguments = dict(parse_qsl(_query(got), keep_blank_values=True, strict_parsing=bool(_query(got))))
            return ToolRequest(tenant, call, key, "", "", arguments, got.at)
        said = _json(got)
        if (said["tenant"], said["call"], said["idempotency_key"]) != (tenant, call, key):
            raise Unacceptable(400, "headers and body do not speak of the same call")
        if not isinstance(said["arguments"], dict):
            raise Unacceptable(400, "arguments is no object")
        return ToolRequest(tenant, call, key, said["tool"], said["caller"], said["arguments"], got.at)

    def _check_signature(self, got: Received, tenant: str) -> None:
        if tenant not in self.signing:
            raise Unacceptable(401, f"tenant {tenant!r} is not known here")
        message_id, timestamp = _one(got, "webhook-id"), _one(got, "webhook-timestamp")
        if not timestamp.isdigit() or abs(got.at - int(timestamp)) > TOLERANCE_S:
            raise Unacceptable(401, f"webhook-timestamp {timestamp!r} is not now")
        key = base64.b64decode(self.signing[tenant].removeprefix("whsec_"))
        content = _query(got).encode() if got.method == "GET" else got.body
        signed = b".".join((message_id.encode(), timestamp.encode(), content))
        good = "v1," + base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()
        given = _one(got, "webhook-signature").split(" ")
        if not any(hmac.compare_digest(good, signature) for signature in given):
            raise Unacceptable(401, "the signature is not of this tenant over this content")


def _one(got: Received, name: str) -> str:
    if not (value := got.headers.get(name, "")):
        raise Unacceptable(400, f"{name} is missing")
    return value


def _query(got: Received) -> str:
    return got.target.partition("?")[2]


def _json(got: Received) -> dict[str, Any]:
    if got.headers.get("content-type") != "application/json":
        raise Unacceptable(415, "the body is not said to be JSON")
    try:
        said = json.loads(got.body)
    except ValueError:
        raise Unacceptable(400, "the body is no JSON") from None
    if not isinstance(said, dict) or set(said) != _FIELDS:
        raise Unacceptable(400, f"the body does not hold {', '.join(sorted(_FIELDS))}")
    return said
