"""Where browser calls begin: asks the gateway for one as the carrier would, and keeps it for its browser to pick up."""

import hmac
import math
import secrets
import ssl
from dataclasses import dataclass

import httpx
import trio

from engine.backoffice.office import Office
from engine.backoffice.phone_call import PhoneCall
from engine.backoffice.phone_line import AWAY_S, PhoneLine
from engine.backoffice.phone_stream import new_sid
from engine.backoffice.problems import Problem
from engine.log import get_logger
from engine.sim.carrier_web import CarrierAccount, CarrierWeb, Signing
from engine.sim.debugger import Debugger
from engine.tenants.tenant import Tenant

MOST_CALLS = 20  # of one back office, those that wait for their browser among them
PICK_UP_S = 20.0  # the gateway's own invitation lives hardly longer
NO_ACCOUNT = "AC" + "0" * 32
log = get_logger("backoffice.phone")
UNSET = (
    "The gateway takes calls from its carrier only, which this page plays: set FRONTDESK_TWILIO_AUTH_TOKEN, to the "
    "same for gateway and back office. Without a carrier's account any text will do."
)


@dataclass(slots=True)
class _Held:
    """A line, and until when it is to be had: endlessly while its call is on."""

    line: PhoneLine
    until: float


class PhoneDesk:
    """See the module."""

    def __init__(self, office: Office) -> None:
        self._office = office
        # The system's authorities, as for everything else that we dial: once, not per call.
        secure = office.settings.public_url.startswith("https:")
        self._tls = ssl.create_default_context() if secure else None
        # Nothing is kept open between two requests, so there is nothing to close.
        self._http = httpx.AsyncClient(
            trust_env=False, limits=httpx.Limits(max_keepalive_connections=0), verify=self._tls or True
        )
        self._held: dict[str, _Held] = {}

    @property
    def trouble(self) -> str:
        """Why no call can be placed as things are set up; empty where one can."""
        return "" if self._office.settings.twilio_auth_token is not None else UNSET

    async def ring(self, tenant: Tenant, caller: str, cookie: str) -> tuple[str, PhoneCall]:
        """A call to the tenant's first number, and the ticket by which its browser picks it up.

        Args:
            cookie: of the session that asks: the ticket is good for no other.

        Raises:
            Problem: 409 not set up for it, 422 a tenant without a number, 429 too many, 502 the gateway would not.
        """
        token = self._office.settings.twilio_auth_token
        if token is None:
            raise Problem(409, UNSET, kind="no-auth-token")
        if not tenant.numbers:
            raise Problem(422, "this tenant has no number to call", kind="no-number")
        self._forget_late()
        if sum(held.line.call.how_ended is None for held in self._held.values()) >= MOST_CALLS:
            raise Problem(429, f"{MOST_CALLS} calls from browsers are on the line: hang one up", kind="too-many")
        settings = self._office.settings
        account = CarrierAccount(
            settings.twilio_account_sid or NO_ACCOUNT, token.get_secret_value(), settings.public_url
        )
        call = await self._ask(account, tenant, caller)
        ticket = secrets.token_urlsafe(32)
        self._held[ticket] = _Held(PhoneLine(call, cookie), trio.current_time() + PICK_UP_S)
        return ticket, call

    def pick_up(self, ticket: str, cookie: str) -> PhoneLine | None:
        """The line of that ticket; None where it is none, is too old, or was given to another session.

        Good once to begin the call, and as often as its socket breaks while the call is on. Whoever tries a ticket
        that is not theirs before it was picked up spoils it.
        """
        self._forget_late()
        held = self._held.get(ticket)
        if held is None:
            return None
        if not hmac.compare_digest(held.line.cookie.encode(), cookie.encode()):
            if not held.line.was_up:
                del self._held[ticket]
            return None
        return held.line

    async def carry(self, ticket: str) -> None:
        """The call of a ticket that was picked up, to its end. Orders of a simulated carrier reach it meanwhile."""
        held, exchange = self._held[ticket], self._office.exchange
        held.until = math.inf
        if exchange is not None:
            exchange.add(held.line.call)
        try:
            await held.line.run()
        except Exception:
            # Whatever one call throws ends that call, and no other.
            log.exception("a browser's call failed", call_sid=held.line.call.sid)
        finally:
            held.until = trio.current_time() + AWAY_S  # a page that comes back now is told how it ended
            if exchange is not None:
                exchange.remove(held.line.call)

    async def _ask(self, account: CarrierAccount, tenant: Tenant, caller: str) -> PhoneCall:
        sid = new_sid("CA")
        debugger = Debugger(trio.current_time())
        standard = {
            "AccountSid": account.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": sid,
            "Direction": "inbound",
            "From": caller,
            "To": tenant.numbers[0],
            "Caller": caller,
            "Called": tenant.numbers[0],
        }
        web = CarrierWeb(
            account, self._http, standard=standard, signing=Signing.GOOD, fallback_url=None, debugger=debugger
        )
        first = await web.fetch(f"{account.origin}/twilio/voice")
        if first is None:
            raise Problem(502, _why_not(account, debugger), kind="gateway-away")
        return PhoneCall(sid, tenant.id, account, web, debugger, first, self._tls)

    def _forget_late(self) -> None:
        now = trio.current_time()
        self._held = {ticket: one for ticket, one in self._held.items() if one.until > now}


def _why_not(account: CarrierAccount, debugger: Debugger) -> str:
    last = debugger.entries[-1] if debugger.entries else None
    where = f"the gateway at {account.origin} (FRONTDESK_PUBLIC_URL)"
    if last is None:
        return f"{where} did not say what to do with the call"
    if "answered 403" in last.detail:
        return f"{where} took us for no carrier: it must have the same FRONTDESK_TWILIO_AUTH_TOKEN and public address"
    if last.code == 11205:
        return f"{where} cannot be reached: is it running? ({last.detail.rpartition(': ')[2]})"
    return f"{where} did not say what to do with the call: {last.detail}"
