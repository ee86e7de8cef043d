"""Signed tool requests, and the secrets that they are signed and authorised with. PURE.

Signing is Standard Webhooks (symmetric, ``v1``), so that a tenant can verify with a library that exists::

    webhook-id         the effect id: the same for every try of one effect (and the Idempotency-Key)
    webhook-timestamp  seconds since 1970 of this try
    webhook-signature  "v1," + base64(HMAC-SHA256(key, "<id>.<timestamp>.<content>")), one per key, space between

``content`` is the body as sent; a ``GET`` has none, there it is the query as sent. Two keys sign while one of them is
being replaced: a receiver is satisfied by either.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256

from pydantic import SecretStr

from engine.errors import ConfigurationError

SIGNING = "signing"
SIGNING_BEFORE = "signing_before"
PREFIX = "whsec_"
LEAST_KEY = 24  # bytes, as the standard has it
_WHERE = "FRONTDESK_TOOL_SECRETS"
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class ToolSecrets:
    """What the operator keeps for each tenant's tools: never in a tenant document, never another tenant's.

    The secrets ``signing`` and ``signing_before`` sign requests. A tenant without ``signing`` has a key of its own
    derived from the process's secret key; ``signing_text`` is what the tenant is to be told, in either case.
    """

    def __init__(
        self, kept: Mapping[str, Mapping[str, SecretStr]] | None = None, *, secret_key: str | None = None
    ) -> None:
        """Args: ``kept``: tenant id -> name -> secret; ``secret_key``: what keys are derived from.

        Raises:
            ConfigurationError: a secret that cannot be used; it is named and not shown.
        """
        self._secret_key = secret_key
        self._kept = {
            tenant_id: {name: secret.get_secret_value() for name, secret in named.items()}
            for tenant_id, named in (kept or {}).items()
        }
        for tenant_id, named in self._kept.items():
            for name, secret in named.items():
                _check(f"{_WHERE}: {tenant_id}.{name}", name, secret)

    def named(self, tenant_id: str, name: str) -> str | None:
        """The secret of that name of this tenant."""
        return self._kept.get(tenant_id, {}).get(name)

    def keys(self, tenant_id: str) -> tuple[bytes, ...]:
        """What this tenant's requests are signed with, newest first; empty where there is nothing to sign with."""
        texts = (self.signing_text(tenant_id), self.named(tenant_id, SIGNING_BEFORE))
        return tuple(_key(text) for text in texts if text is not None)

    def signing_text(self, tenant_id: str) -> str | None:
        """The key in the form that receivers' libraries take: ``whsec_`` and base64."""
        if (given := self.named(tenant_id, SIGNING)) is not None:
            return given
        if self._secret_key is None:
            return None
        derived = hmac.digest(self._secret_key.encode(), f"tool requests of {tenant_id}".encode(), sha256)
        return PREFIX + base64.b64encode(derived).decode()

    def all_of(self, tenant_id: str) -> tuple[str, ...]:
        """Every secret of this tenant, for keeping them out of what is said."""
        signing = self.signing_text(tenant_id)
        return (*self._kept.get(tenant_id, {}).values(), *((signing,) if signing else ()))


def signature_headers(keys: Sequence[bytes], message_id: str, timestamp: int, content: bytes) -> dict[str, str]:
    """The three headers for one try. ``timestamp`` in seconds since 1970."""
    signed = f"{message_id}.{timestamp}.".encode() + content
    signatures = (base64.b64encode(hmac.digest(key, signed, sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _key(text: str) -> bytes:
    return base64.b64decode(text.removeprefix(PREFIX), validate=True)


def _check(place: str, name: str, secret: str) -> None:
    if not _HEADER_VALUE.fullmatch(secret):
        raise ConfigurationError(f"{place}: holds characters that no header can carry; use printable ASCII")
    if name in {SIGNING, SIGNING_BEFORE}:
        cure = f"write {PREFIX} and the base64 of at least {LEAST_KEY} random bytes"
        try:
            short = len(_key(secret)) < LEAST_KEY
        except binascii.Error:
            raise ConfigurationError(f"{place}: is not base64; {cure}") from None
        if short or not secret.startswith(PREFIX):
            raise ConfigurationError(f"{place}: is no signing key; {cure}")
