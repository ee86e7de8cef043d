"""A tenant's key as text: ``fd_<tenant-id>_<key-id>_<secret>``. PURE, but for the dice.

Tenant ids have no underscore, so the parts are told apart. The key names its tenant: it is looked for under that
tenant's row level security, and nowhere else.
"""

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256

_KEY = re.compile(r"fd_([a-z0-9][a-z0-9-]{0,62})_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class SentKey:
    """A key as somebody sent it; whether it is one is not known yet."""

    tenant_id: str
    key_id: str
    digest: bytes


def new_key_id() -> str:
    """12 letters and digits."""
    return secrets.token_hex(6)


def new_secret(tenant_id: str, key_id: str) -> tuple[str, bytes]:
    """A new key's text, to be shown once, and the digest to keep."""
    secret = secrets.token_urlsafe(32)
    return f"fd_{tenant_id}_{key_id}_{secret}", _digest(secret)


def parse_key(text: str) -> SentKey | None:
    """Its parts; None where it is not of a key's form."""
    parts = _KEY.fullmatch(text)
    return None if parts is None else SentKey(parts[1], parts[2], _digest(parts[3]))


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
