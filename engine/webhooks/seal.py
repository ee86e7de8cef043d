"""Endpoints' secrets: made here, and encrypted at rest under the process's secret key. PURE but for randomness.

The key is derived for each tenant, and what is sealed is bound to its endpoint: a row that is copied to another tenant,
or another endpoint, opens nothing there.
"""

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.errors import ConfigurationError

PREFIX = "whsec_"
SECRET_BYTES = 32
NONCE_BYTES = 12


def new_secret() -> str:
    """As receivers' libraries take it: ``whsec_`` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


class Sealer:
    """Seals and opens. Made once, in the composition root."""

    def __init__(self, secret_key: str | None) -> None:
        self._secret_key = secret_key

    def seal(self, tenant_id: str, endpoint_id: str, secret: str) -> bytes:
        """Nonce and ciphertext.

        Raises:
            ConfigurationError: there is no key to seal with.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher(tenant_id).encrypt(nonce, secret.encode(), endpoint_id.encode())

    def open(self, tenant_id: str, endpoint_id: str, sealed: bytes) -> str:
        """The secret.

        Raises:
            ConfigurationError: there is no key, or it was sealed with another.
        """
        nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._cipher(tenant_id).decrypt(nonce, text, endpoint_id.encode()).decode()
        except InvalidTag:
            raise ConfigurationError(
                f"the secret of webhook endpoint {endpoint_id} was sealed with another FRONTDESK_SECRET_KEY; "
                "bring that one back, or rotate the endpoint's secret"
            ) from None

    def _cipher(self, tenant_id: str) -> AESGCM:
        if self._secret_key is None:
            raise ConfigurationError("webhooks need FRONTDESK_SECRET_KEY, under which their secrets are kept")
        info = f"frontdesk webhook secrets of {tenant_id}".encode()
        return AESGCM(HKDF(SHA256(), length=32, salt=None, info=info).derive(self._secret_key.encode()))
