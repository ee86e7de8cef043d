"""What the carrier has been told to do for a call, and who may come in because of it.

An invitation is the TwiML that opens a media stream, with the token in it. It is kept so that a repeated webhook gets
the very same bytes (a second, different ``<Connect><Stream>`` would end the first), and so that each token opens one
stream. Kept per worker: a repetition that reaches another worker gets a token of its own.
"""

import math
from dataclasses import dataclass

from engine.errors import TokenRefused
from engine.wire.stream_token import StreamClaims, StreamTokens, UsedTokens

FRESH_S = 25.0  # less than a token lives, so that one handed out again can still be used
DISPLACED_S = 10.0  # for the carrier to follow the document that displaced a stream
KEPT = 10_000  # calls whose last invitation is remembered; the oldest are forgotten


@dataclass(slots=True)
class _Invitation:
    twiml: str
    request_id: str
    issued_at: float
    redeemed: bool = False


class Invitations:
    """The last invitation of each recent call. Instants are of one monotonic clock, in seconds."""

    def __init__(self, tokens: StreamTokens) -> None:
        self._tokens = tokens
        self._used = UsedTokens()
        self._last: dict[str, _Invitation] = {}
        self._displaced: dict[str, float] = {}

    def token(self, *, call_sid: str, account_sid: str, tenant_id: str, attempt: int) -> str:
        """A new token, to be put into TwiML."""
        return self._tokens.issue(call_sid=call_sid, account_sid=account_sid, tenant_id=tenant_id, attempt=attempt)

    def remember(self, call_sid: str, twiml: str, *, request_id: str, now: float) -> None:
        """This is what the carrier is being told; ``request_id`` is its own id for the request, or empty."""
        self._last.pop(call_sid, None)
        self._last[call_sid] = _Invitation(twiml, request_id, now)
        # In the order of their issue: those that nobody can be told again are of no use to anybody.
        while (oldest := next(iter(self._last))) != call_sid:
            if len(self._last) <= KEPT and now - self._last[oldest].issued_at <= FRESH_S:
                break
            del self._last[oldest]

    def standing(self, call_sid: str, *, now: float) -> str | None:
        """The invitation that nobody has followed yet, if it is still fresh."""
        last = self._last.get(call_sid)
        if last is None or last.redeemed or now - last.issued_at > FRESH_S:
            return None
        return last.twiml

    def repeated(self, call_sid: str, request_id: str, *, now: float) -> str | None:
        """The standing invitation if it answered this very request before."""
        last = self._last.get(call_sid)
        if last is None or not request_id or last.request_id != request_id:
            return None
        return self.standing(call_sid, now=now)

    def note_displaced(self, call_sid: str, *, now: float) -> None:
        """A live call was given another document: should its stream end now, the caller did not mean it."""
        self._displaced.pop(call_sid, None)
        self._displaced[call_sid] = now
        while len(self._displaced) > KEPT:
            del self._displaced[next(iter(self._displaced))]

    def was_displaced(self, call_sid: str, *, now: float) -> bool:
        """True once, and only soon after ``note_displaced``."""
        return now - self._displaced.pop(call_sid, -math.inf) <= DISPLACED_S

    def redeem(self, token: str, *, call_sid: str, account_sid: str, now: float) -> StreamClaims:
        """Let the bearer in, once.

        Raises:
            TokenRefused: forged, expired, for another call or account, or used before.
        """
        claims = self._tokens.verify(token, call_sid=call_sid, account_sid=account_sid)
        if not self._used.use(token, now):
            raise TokenRefused("used")
        if (last := self._last.get(call_sid)) is not None:
            last.redeemed = True
        return claims
