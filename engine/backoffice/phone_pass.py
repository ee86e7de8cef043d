"""A way in that is handed out in a link: good once, for a few minutes, and never sent to a server by a browser.

It stands behind the ``#`` of ``/phone/enter``, whose script takes it to ``POST /phone/login``. Whoever starts the back
office in a process of its own hands it out (``frontdesk demo --stay``); what was used is known to that process alone.
"""

import secrets
from hashlib import sha256

from itsdangerous import BadData, URLSafeTimedSerializer

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
        token = self._office.settings.admin_token
        try:
            once = _serializer(self._office).loads(given, max_age=LASTS_S)
        except BadData:
            return None
        if token is None or not isinstance(once, str) or once in self._used:
            return None
        self._used.add(once)
        digest = sha256(token.get_secret_value().encode()).digest()
        return sessions.Session("", "", sessions.proof_of(self._office, digest))


def new_pass(office: Office) -> str:
    """One more."""
    return str(_serializer(office).dumps(secrets.token_urlsafe(16)))


def _serializer(office: Office) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(office.secret, salt="frontdesk.pass")
