"""The operator's own biller is told of every closed month, of every tenant: at least once, until it has taken it.

    the database ... writes one bill for each month, in the transaction that closes it (migration 6)
    └─ run_biller .. claims what is due, tells it, settles what came of it; tries again for as long as it takes

Signed as Standard Webhooks has it; ``webhook-id`` is made of tenant and month, so whoever is told twice knows. Any
number of back offices may do this at once, and one that dies leaves its claims to the next. Nothing is ever given up:
money is owed for it, and how long the oldest has waited is a metric.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import httpx
import trio

from engine.backoffice.office import Office
from engine.billing.export import told
from engine.config import Settings
from engine.errors import ConfigurationError, RemoteError
from engine.log import get_logger
from engine.store.postgres_bills import Bills, ClaimedBill
from engine.tools.http_guard import AddressGuard
from engine.tools.http_transport import tool_client
from engine.webhooks import schedule
from engine.webhooks.attempt import attempt, headers_of

URL, SECRET, PRIVATE = "FRONTDESK_BILLER_URL", "FRONTDESK_BILLER_SECRET", "FRONTDESK_BILLER_ALLOW_PRIVATE"
AT_ONCE = 4
LEASE_S = 60.0  # a try takes a quarter of it at most
LOOK_S = 15.0  # at what is to be tried again, and at what other processes left; what is new is known sooner
AWAY_S = 1.0

log = get_logger("backoffice.biller")


@dataclass(frozen=True, slots=True)
class Biller:
    """Where closed months are told, and what they are signed with."""

    url: str
    secret: str
    guard: AddressGuard


def biller_of(settings: Settings) -> Biller | None:
    """As it is set; None where there is none.

    Raises:
        ConfigurationError: it cannot be used as it is set.
    """
    if settings.biller_url is None:
        return None
    if settings.biller_secret is None:
        raise ConfigurationError(f"{SECRET}: {URL} needs it; write whsec_ and base64 of 32 random bytes")
    url, secret = str(settings.biller_url), settings.biller_secret.get_secret_value()
    guard = AddressGuard(allow_private=settings.biller_allow_private, setting=PRIVATE)
    _check_address(url, guard)
    try:
        headers_of([secret], "bill", b"", datetime.fromtimestamp(0).astimezone())
    except ValueError:  # not base64; its text is nobody's business
        raise ConfigurationError(f"{SECRET}: write whsec_ and base64 of 32 random bytes") from None
    return Biller(url, secret, guard)


def _check_address(url: str, guard: AddressGuard) -> None:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{URL}: {error}") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.userinfo or parsed.fragment:
        raise ConfigurationError(f"{URL}: write https://, a host and a path, and neither user, password nor fragment")
    guard.check_url(url, URL)


async def run_biller(office: Office, spread: Callable[[], float] = random.random) -> None:
    """Tell it until cancelled; at once done where no biller is set.

    Args:
        spread: anywhere from 0 to 1, each time: of the pauses between tries.

    Raises:
        ConfigurationError: it cannot be used as it is set.
    """
    if (biller := biller_of(office.settings)) is None:
        return
    bills, wake = Bills(office.database), [trio.Event()]
    stop = await bills.watch(lambda _: wake[0].set())
    try:
        async with tool_client(biller.guard) as client:
            telling = _Telling(office, bills, biller, client, spread)
            while True:
                wake[0] = trio.Event()  # before the look: what comes during it is looked at again
                pause_s = AWAY_S
                try:
                    pause_s = 0.0 if await telling.round() else LOOK_S
                except RemoteError as error:
                    log.warning("bills cannot be read now", detail=str(error))
                with trio.move_on_after(pause_s):
                    await wake[0].wait()
    finally:
        with trio.CancelScope(shield=True):
            await stop()


@dataclass(frozen=True, slots=True)
class _Telling:
    office: Office
    bills: Bills
    biller: Biller
    client: httpx.AsyncClient
    spread: Callable[[], float]

    async def round(self) -> bool:
        """Tell what is due, a few side by side; whether there may be more."""
        due = await self.bills.due(AT_ONCE)
        async with trio.open_nursery() as nursery:
            for tenant_id, month in due:
                nursery.start_soon(self._safely, tenant_id, month)
        return len(due) == AT_ONCE

    async def _safely(self, tenant_id: str, month: str) -> None:
        """What cannot be settled comes again when its lease has ended; it keeps nothing from the others meanwhile."""
        try:
            if (bill := await self.bills.claim(tenant_id, month, lease_s=LEASE_S)) is not None:
                await self._tell(bill)
        except RemoteError as error:
            log.warning("a bill's state cannot be kept now", tenant_id=tenant_id, month=month, detail=str(error))
        except Exception:
            # A bug met by one bill: the others are owed for as well, and the office has more to do than this.
            self.office.watch.metrics.crashes.labels("biller").inc()
            log.exception("a bill could not be told", tenant_id=tenant_id, month=month)

    async def _tell(self, bill: ClaimedBill) -> None:
        body = told(bill.event_id, bill.tenant_id, bill.document, bill.closed_at)
        headers = headers_of([self.biller.secret], bill.event_id, body, self.office.now())
        answer = await attempt(self.client, self.biller.url, headers, body)
        again_s = None if answer.taken else _again_s(bill.attempts, self.spread(), answer.retry_after_s)
        await self.bills.settle(bill, again_s=again_s, status=answer.status, error=answer.error)
        if again_s is not None:
            which = {"tenant_id": bill.tenant_id, "month": bill.month, "attempts": bill.attempts}
            log.warning("the biller did not take a month", **which, why=answer.error, again_s=round(again_s))


def _again_s(attempts: int, spread: float, asked_s: float) -> float:
    """As webhooks are tried again, at first; then with the longest pause for as long as it takes."""
    again_s = schedule.pause_s(min(attempts, schedule.MOST_ATTEMPTS - 1), spread, asked_s)
    assert again_s is not None, "there is a pause after all but the last try"
    return again_s
