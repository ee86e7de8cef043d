"""A way in that is handed out in a link: good once, for half an hour, and never sent to a server by a browser itself.

It stands behind the ``#`` of ``/phone/enter``, whose script takes it to ``POST /phone/login``. Whoever starts the back
office in a process of its own hands it out (``frontdesk demo --stay``); what was used is known to that process alone.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

from engine.backoffice import sessions
from engine.backoffice.office import Office

LASTS_S = 1800


class Passes:
    """Those that were used."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._used: set[str] = set()

    def redeem(self, given: str) -> sessions.Session | None:
        """The operator's session for a pass; None where it is none, too old, or was used."""
        until, _, _ = given.partition(".")
        proof = _proof(self._office)
        if given in self._used or not proof or not hmac.compare_digest(given.encode(), _sealed(self._office, given)):
            return None
        if int(until, 16) < self._office.now().timestamp():
            return None
        self._used.add(given)
        return sessions.Session("", "", proof)


def new_pass(office: Office) -> str:
    """One more."""
    until = int(office.now().timestamp()) + LASTS_S
    return _sealed(office, f"{until:x}.{secrets.token_urlsafe(9)}.").decode()


def _sealed(office: Office, given: str) -> bytes:
    """A pass with the seal that belongs to it, whatever seal it has."""
    body = given[: given.rfind(".") + 1].encode()
    # Sealed with the operator's token as well: a pass of before another token is good no more.
    mac = hmac.new(office.secret, b"pass\0" + _proof(office).encode() + b"\0" + body, sha256).digest()
    return body + urlsafe_b64encode(mac[:15])


def _proof(office: Office) -> str:
    """Of the operator's token; empty where there is none."""
    token = office.settings.admin_token
    return "" if token is None else sessions.proof_of(office, sha256(token.get_secret_value().encode()).digest())
