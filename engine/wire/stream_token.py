"""Single-use tokens that tie a media websocket to the signed voice webhook that asked for it.

The webhook's answer carries a token as a stream parameter; the stream's start brings it back.  It is signed
(itsdangerous, HMAC-SHA256), names call, account, tenant and attempt, and lives for seconds.  ``StreamTokens`` says
whether a token is genuine, ``UsedTokens`` whether it is new.

The clock given must be one that all workers share (seconds since the epoch): the worker that takes the stream need not
be the one that answered the webhook.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from itsdangerous import BadData, BadSignature, URLSafeSerializer

from engine.errors import MisuseError, TokenRefused

MAX_TOKEN = 400  # characters; with its name it has to fit into a stream parameter
MIN_SECRET = 16  # characters


@dataclass(frozen=True, slots=True)
class StreamClaims:
    """What a genuine token says; ``issued_at`` is in whole seconds of the shared clock."""

    call_sid: str
    account_sid: str
    tenant_id: str
    attempt: int
    issued_at: int


class StreamTokens:
    """Issues and verifies stream tokens under one secret.

    Args:
        secret: the same for every worker.
        lifetime_s: how long after its issue a token opens a stream.
        clock: seconds since the epoch.

    Raises:
        MisuseError: a secret of fewer than 16 characters.
    """

    def __init__(self, secret: str, *, lifetime_s: float = 30, clock: Callable[[], float]) -> None:
        if len(secret) < MIN_SECRET:
            raise MisuseError(f"the secret of stream tokens needs at least {MIN_SECRET} characters")
        self._serializer = URLSafeSerializer(
            secret, salt="frontdesk.stream", signer_kwargs={"digest_method": hashlib.sha256}
        )
        self._lifetime_s = lifetime_s
        self._clock = clock

    def issue(self, *, call_sid: str, account_sid: str, tenant_id: str, attempt: int) -> str:
        """A token for one stream of one call; the same claims within one second of the clock give the same token.

        Raises:
            MisuseError: the claims are too long for a stream parameter.
        """
        written = self._serializer.dumps([call_sid, account_sid, tenant_id, attempt, int(self._clock())])
        token = written if isinstance(written, str) else written.decode("ascii")
        if len(token) > MAX_TOKEN:
            raise MisuseError("the claims are too long for a stream token")
        return token

    def verify(self, token: str, *, call_sid: str, account_sid: str) -> StreamClaims:
        """What the token says, once it is known to be ours, fresh, and meant for this call.

        Raises:
            TokenRefused: with its ``reason``.
        """
        payload, dot, mac = token.rpartition(".")
        if len(token) > MAX_TOKEN or not (payload and dot and mac and token.isascii()):
            raise TokenRefused("malformed")
        try:
            claims = _claims(self._serializer.loads(token))
        except BadSignature:
            raise TokenRefused("forged") from None
        except BadData:
            raise TokenRefused("malformed") from None
        # Base64 has several spellings of one signature; only ours counts, or a used token could be spelled anew.
        if self._serializer.make_signer().sign(payload) != token.encode("ascii"):
            raise TokenRefused("forged")
        if self._clock() >= claims.issued_at + self._lifetime_s:
            raise TokenRefused("expired")
        if (claims.call_sid, claims.account_sid) != (call_sid, account_sid):
            raise TokenRefused("foreign")
        return claims


def _claims(said: object) -> StreamClaims:
    match said:
        case [str(call_sid), str(account_sid), str(tenant_id), int(attempt), int(issued_at)]:
            return StreamClaims(call_sid, account_sid, tenant_id, attempt, issued_at)
        case _:
            raise TokenRefused("malformed")  # signed by us, in another version of this format


class UsedTokens:
    """Remembers tokens for as long as they could open a stream, and not longer.

    Only verified tokens belong here: so its size is bounded by what was issued within one lifetime.
    """

    def __init__(self, *, lifetime_s: float = 30) -> None:
        self._lifetime_s = lifetime_s
        self._forget_at: dict[str, float] = {}  # in the order of their use

    def use(self, token: str, now: float) -> bool:
        """Whether this is the token's first use; ``now`` is on any clock that runs at the pace of the tokens'."""
        while self._forget_at:
            oldest = next(iter(self._forget_at))
            if self._forget_at[oldest] > now:
                break
            del self._forget_at[oldest]
        if token in self._forget_at:
            return False
        self._forget_at[token] = now + self._lifetime_s
        return True

    def __len__(self) -> int:
        return len(self._forget_at)
