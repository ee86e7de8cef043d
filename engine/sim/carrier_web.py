"""The carrier as a web client: signed webhooks with its timeouts, retries and fallback, and status callbacks.

Every URL is the public one, and is what gets signed. Where the account's gateway listens elsewhere (a tunnel, a proxy,
a test's own port), requests for the public origin are sent there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

import httpx
import trio

from engine.sim.carrier_twiml import Twiml, Unreadable, read_twiml
from engine.sim.debugger import Debugger
from engine.wire.twilio_signature import sign

CONNECT_S = 5.0
TOTAL_S = 15.0
CONNECT_ATTEMPTS = 2  # one retry, and only where no connection came about


class Signing(Enum):
    """What is put into ``X-Twilio-Signature``."""

    GOOD = "good"
    BAD = "bad"  # made with another key
    NONE = "none"
    SLASH = "slash"  # handshakes only: over the URL with a slash behind it, as documented


@dataclass(frozen=True, slots=True)
class CarrierAccount:
    """An account at the carrier, and where its gateway is.

    Attributes:
        gateway_url: origin at which the gateway listens (``http://127.0.0.1:8080``).
        public_url: origin by which the gateway is known, in signatures and TwiML; empty: the same.
    """

    account_sid: str
    auth_token: str
    gateway_url: str
    public_url: str = ""

    @property
    def origin(self) -> str:
        """The public origin."""
        return (self.public_url or self.gateway_url).rstrip("/")


@dataclass(frozen=True, slots=True)
class Document:
    """TwiML to run, and the URL that relative ones in it are relative to."""

    twiml: Twiml
    url: str


def signature(account: CarrierAccount, url: str, params: Mapping[str, str], how: Signing) -> dict[str, str]:
    """The header (or none) for a request of this URL with these form parameters."""
    if how is Signing.NONE:
        return {}
    token = f"not {account.auth_token}" if how is Signing.BAD else account.auth_token
    signed = f"{url}/" if how is Signing.SLASH else url
    return {"X-Twilio-Signature": sign(token, signed, params.items())}


def reachable(account: CarrierAccount, url: str) -> str:
    """Where a public URL is really to be asked."""
    if not account.public_url:
        return url
    public, gateway, asked = (urlsplit(part) for part in (account.public_url, account.gateway_url, url))
    if asked.netloc != public.netloc:
        return url
    secure = gateway.scheme == "https"
    scheme = ("wss" if secure else "ws") if asked.scheme in {"ws", "wss"} else gateway.scheme
    return urlunsplit(asked._replace(scheme=scheme, netloc=gateway.netloc))


class CarrierWeb:
    """Webhooks of one call. ``standard`` are the parameters that every one of them carries."""

    def __init__(
        self,
        account: CarrierAccount,
        http: httpx.AsyncClient,
        *,
        standard: Mapping[str, str],
        signing: Signing,
        fallback_url: str | None,
        debugger: Debugger,
    ) -> None:
        self.account = account
        self.call_status = "ringing"
        self._http = http
        self._standard = standard
        self._signing = signing
        self._fallback_url = fallback_url
        self._debugger = debugger

    async def fetch(self, url: str, method: str = "POST", params: Mapping[str, str] | None = None) -> Document | None:
        """Ask for TwiML; where that fails ask the fallback; None where nothing could be had (the caller hears
        "an application error has occurred")."""
        got = await self._fetch_once(url, method, params or {})
        if isinstance(got, Document):
            return got
        if self._fallback_url is None:
            return None
        fallback = urljoin(f"{self.account.origin}/", self._fallback_url)
        got = await self._fetch_once(fallback, "POST", {"ErrorCode": str(got), "ErrorUrl": url})
        return got if isinstance(got, Document) else None

    async def notify(self, url: str, method: str, params: Mapping[str, str]) -> None:
        """Send a status callback; it is not repeated, and an answer that is no success is a warning."""
        answer = await self._ask(url, method, params)
        if isinstance(answer, httpx.Response) and not answer.is_success:
            self._debugger.note(15003, f"callback {url} was answered {answer.status_code}", trio.current_time())

    async def _fetch_once(self, url: str, method: str, params: Mapping[str, str]) -> Document | int:
        answer = await self._ask(url, method, params)
        if isinstance(answer, int):
            return answer
        if not answer.is_success:
            return self._note(11200, f"{url} was answered {answer.status_code}")
        twiml = read_twiml(answer.content, answer.headers.get("content-type", ""))
        if isinstance(twiml, Unreadable):
            return self._note(twiml.code, f"{url}: {twiml.detail}")
        for code, detail in twiml.warnings:
            self._note(code, f"{url}: {detail}")
        return Document(twiml, url)

    async def _ask(self, url: str, method: str, params: Mapping[str, str]) -> httpx.Response | int:
        asked = urlunsplit(urlsplit(url)._replace(fragment=""))  # neither sent nor signed
        if urlsplit(asked).scheme not in {"http", "https"}:
            return self._note(11100, f"{url!r} is not an absolute URL")
        form = {**self._standard, "CallStatus": self.call_status, **params}
        headers = {"User-Agent": "TwilioProxy/1.1"}
        if method.upper() == "GET":
            asked = f"{asked}{'&' if '?' in asked else '?'}{urlencode(form)}"
            form = {}
        headers.update(signature(self.account, asked, form, self._signing))
        try:
            with trio.fail_after(TOTAL_S):
                return await self._request(method.upper(), reachable(self.account, asked), form, headers)
        except trio.TooSlowError:
            return self._note(11200, f"{url} did not answer within {TOTAL_S:g} s")
        except httpx.ConnectError as error:
            return self._note(11205, f"{url}: {error}")
        except httpx.HTTPError as error:
            return self._note(11200, f"{url}: {type(error).__name__} {error}")
        except httpx.InvalidURL as error:
            return self._note(11100, f"{url}: {error}")

    async def _request(
        self, method: str, url: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> httpx.Response:
        for attempt in range(CONNECT_ATTEMPTS):
            try:
                return await self._http.request(
                    method,
                    url,
                    data=dict(form) if form else None,
                    headers=dict(headers),
                    timeout=httpx.Timeout(TOTAL_S, connect=CONNECT_S),
                    follow_redirects=True,
                )
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if attempt + 1 == CONNECT_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _note(self, code: int, detail: str) -> int:
        self._debugger.note(code, detail, trio.current_time())
        return code
