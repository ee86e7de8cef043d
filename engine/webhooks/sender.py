"""The process-lived actor that tells endpoints what has happened. At least once each, in each call's order.

    run_sender
    ├─ look ............. what is due: told by the database's notices, by our own retries, and now and then by looking
    └─ one per endpoint   as long as that has something due: claims a few, sends them side by side, settles, again

An endpoint that hangs holds only its own: each has its own task, and its own few sends at once. A tenant has a bound of
its own, so that many slow endpoints of one take nobody else's places. Any number of processes may do this at once: what
one has claimed, the others leave alone until its lease has ended. A process that dies leaves its claims to the next.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import trio

from engine.errors import ConfigurationError, RemoteError
from engine.log import get_logger
from engine.store.postgres_outbox import Outbox, Turn
from engine.store.webhooks import Claimed, Endpoint, Tried
from engine.webhooks.attempt import GONE, Answer, attempt, body_of, headers_of
from engine.webhooks.schedule import FAILS_AFTER_S, pause_s
from engine.webhooks.seal import Sealer

AT_ONCE = 4  # sends to one endpoint
ENDPOINTS_AT_ONCE = 8  # of one tenant
LEASE_S = 60.0  # a try takes a quarter of it at most
LOOK_S = 5.0  # at what other processes left; what is new, or ours, is known sooner

AWAY_S = 1.0

log = get_logger("webhooks.sender")


@dataclass(frozen=True, slots=True)
class SenderStatistics:
    """``busy`` endpoints are now; the others count since start."""

    busy: int
    sent: int
    failed: int
    dead: int


class Sender:
    """See the module. ``on_failed(tenant_id, endpoint, why)``: one was turned off by us, and its owner must be told.

    ``crashed`` counts what nobody foresaw.
    """

    def __init__(
        self,
        outbox: Outbox,
        client: httpx.AsyncClient,
        sealer: Sealer,
        *,
        on_failed: Callable[[str, Endpoint, str], Awaitable[None]],
        crashed: Callable[[], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._outbox, self._client, self._sealer = outbox, client, sealer
        self._on_failed, self._crashed, self._now, self._spread = on_failed, crashed, now, spread
        self._told: set[str] = set()  # tenants of whom a notice came
        self._everybody = True  # some notice may have been missed
        self._looked_at = 0.0  # at everybody
        self._again: dict[tuple[str, str], float] = {}  # endpoints with a retry of ours, and when it is due
        self._busy: set[tuple[str, str]] = set()
        self._busy_of: Counter[str] = Counter()
        self._wake = trio.Event()
        self._sent = self._failed = self._dead = 0

    def statistics(self) -> SenderStatistics:
        """A snapshot."""
        return SenderStatistics(len(self._busy), self._sent, self._failed, self._dead)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled."""
        stop = await self._outbox.watch(self._on_notice)
        try:
            async with trio.open_nursery() as nursery:
                task_status.started()
                while True:
                    try:
                        for tenant_id, endpoint_id in await self._look():
                            self._serve(nursery, tenant_id, endpoint_id)
                    except RemoteError as error:
                        log.warning("the outbox cannot be read now", detail=str(error))
                        self._everybody = True
                        await trio.sleep(AWAY_S)
                        continue
                    await self._rest()
        finally:
            with trio.CancelScope(shield=True):
                await stop()

    def _on_notice(self, tenant_id: str | None) -> None:
        if tenant_id is None:
            self._everybody = True
        else:
            self._told.add(tenant_id)
        self._wake.set()

    async def _rest(self) -> None:
        """Until something may be due."""
        with trio.move_on_at(min([self._looked_at + LOOK_S, *self._again.values()])):
            await self._wake.wait()
        self._wake = trio.Event()

    async def _look(self) -> list[tuple[str, str]]:
        now = trio.current_time()
        found = [key for key, at in self._again.items() if at <= now]
        for key in found:
            del self._again[key]
        if self._everybody or now >= self._looked_at + LOOK_S:
            self._everybody, self._looked_at = False, now
            self._told.clear()
            return [*found, *await self._outbox.due()]
        told, self._told = self._told, set()
        for tenant_id in told:
            found += [(tenant_id, endpoint_id) for endpoint_id in await self._outbox.due_of(tenant_id)]
        return found

    def _serve(self, nursery: trio.Nursery, tenant_id: str, endpoint_id: str) -> None:
        key = (tenant_id, endpoint_id)
        if key in self._busy:
            self._again.setdefault(key, trio.current_time() + AWAY_S)  # something came while it was at its last turn
        elif self._busy_of[tenant_id] >= ENDPOINTS_AT_ONCE:
            self._again[key] = trio.current_time() + AWAY_S
        else:
            self._busy.add(key)
            self._busy_of[tenant_id] += 1
            nursery.start_soon(self._endpoint, tenant_id, endpoint_id)

    # --- one endpoint ------------------------------------------------------------------------------------------------

    async def _endpoint(self, tenant_id: str, endpoint_id: str) -> None:
        try:
            while (turn := await self._outbox.claim(tenant_id, endpoint_id, most=AT_ONCE, lease_s=LEASE_S)) is not None:
                async with trio.open_nursery() as nursery:
                    for event in turn.events:
                        nursery.start_soon(self._tell_safely, turn, event)
        except* RemoteError as away:
            log.warning("an outbox cannot be read now", tenant_id=tenant_id, detail=str(away.exceptions[0]))
            self._again[tenant_id, endpoint_id] = trio.current_time() + LOOK_S
        except* Exception as bug:
            # In the nursery that all endpoints share: what goes wrong with one must keep nothing from the others.
            self._crashed()
            log.error("telling an endpoint crashed", tenant_id=tenant_id, endpoint_id=endpoint_id, exc_info=bug)
            self._again[tenant_id, endpoint_id] = trio.current_time() + LEASE_S
        finally:
            self._busy.discard((tenant_id, endpoint_id))
            self._busy_of[tenant_id] -= 1

    async def _tell_safely(self, turn: Turn, event: Claimed) -> None:
        """What cannot be settled comes again when its lease has ended; it keeps nothing from the others meanwhile."""
        try:
            await self._tell(turn, event)
        except RemoteError as error:
            log.warning("a webhook's state cannot be kept now", event_id=event.event_id, detail=str(error))
        except Exception:
            # The others of this turn are on their way: a bug met by one event must not break them off.
            self._crashed()
            log.exception("telling an endpoint crashed", tenant_id=turn.endpoint.tenant_id, event_id=event.event_id)

    async def _tell(self, turn: Turn, event: Claimed) -> None:
        endpoint = turn.endpoint
        if event.data is None:
            await self._settle(endpoint, event, Tried("gone", error="it was deleted"))
            return
        answer = await self._send(endpoint, event)
        if answer.taken:
            self._sent += 1
            await self._settle(endpoint, event, Tried("done", status=answer.status))
            return
        self._failed += 1
        again_s = pause_s(event.attempts, self._spread(), answer.retry_after_s)
        if again_s is None:
            self._dead += 1
            log.error("a webhook was given up", tenant_id=endpoint.tenant_id, event_id=event.event_id, why=answer.error)
            tried = Tried("dead", 0.0, answer.status, answer.error)
        else:
            tried = Tried("waiting", again_s, answer.status, answer.error)
        failing_s = await self._settle(endpoint, event, tried)
        if again_s is not None:
            # Counted from here, the database's own clock has come at least as far by then.
            key, due = (endpoint.tenant_id, endpoint.endpoint_id), trio.current_time() + again_s
            self._again[key] = min(due, self._again.get(key, due))
            self._wake.set()
        if answer.status == GONE:
            await self._turn_off(endpoint, "it answered 410: it wants nothing more")
        elif failing_s >= FAILS_AFTER_S:
            await self._turn_off(endpoint, f"it has taken nothing for {failing_s / 86400:.0f} days: {answer.error}")

    async def _send(self, endpoint: Endpoint, event: Claimed) -> Answer:
        body = body_of(event, endpoint.tenant_id)
        try:
            headers = headers_of(self._secrets(endpoint), event.event_id, body, self._now())
        except ConfigurationError as error:
            log.error("a webhook cannot be signed", tenant_id=endpoint.tenant_id, detail=str(error))
            return Answer(None, str(error))
        return await attempt(self._client, endpoint.url, headers, body)

    def _secrets(self, endpoint: Endpoint) -> list[str]:
        sealed = [endpoint.secret]
        if endpoint.secret_before is not None and endpoint.before_until and endpoint.before_until > self._now():
            sealed.append(endpoint.secret_before)
        return [self._sealer.open(endpoint.tenant_id, endpoint.endpoint_id, one) for one in sealed]

    async def _settle(self, endpoint: Endpoint, event: Claimed, tried: Tried) -> float:
        return await self._outbox.settle(endpoint.tenant_id, endpoint.endpoint_id, event, tried)

    async def _turn_off(self, endpoint: Endpoint, why: str) -> None:
        if await self._outbox.fail(endpoint.tenant_id, endpoint.endpoint_id, why):
            log.error("a webhook endpoint was turned off", tenant_id=endpoint.tenant_id, url=endpoint.url, why=why)
            await self._on_failed(endpoint.tenant_id, endpoint, why)
