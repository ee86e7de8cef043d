"""Webhooks are sent from here: the sender of ``engine.webhooks`` over the office's database, and what becomes of an
endpoint that was turned off: its tenant gets a task, so that somebody is told in a way that does not need the endpoint.
"""

import trio

from engine.backoffice.office import Office
from engine.errors import RemoteError
from engine.log import get_logger
from engine.store.follow_ups import FollowUp
from engine.store.postgres_outbox import Outbox
from engine.store.webhooks import Endpoint
from engine.tools.http_guard import AddressGuard
from engine.tools.http_transport import tool_client
from engine.webhooks.seal import Sealer
from engine.webhooks.sender import Sender

TIDY_S = 3600.0

log = get_logger("backoffice.telling")


async def run_webhooks(office: Office) -> None:
    """Tell endpoints what happens, and forget what everybody has been told; until cancelled."""
    key = office.settings.secret_key
    outbox = Outbox(office.database)
    guard = AddressGuard(allow_private=office.settings.tools_allow_private)
    async with tool_client(guard) as client, trio.open_nursery() as nursery:

        async def on_failed(tenant_id: str, endpoint: Endpoint, why: str) -> None:
            await office.store.keep_follow_up(_task(tenant_id, endpoint, why, office.now().isoformat()))

        sender = Sender(
            outbox,
            client,
            Sealer(key.get_secret_value() if key else None),
            on_failed=on_failed,
            crashed=office.watch.metrics.crashes.labels("webhooks").inc,
            now=office.now,
        )
        nursery.start_soon(_tidy, office, outbox)
        await sender.run()


def _task(tenant_id: str, endpoint: Endpoint, why: str, noted_at: str) -> FollowUp:
    return FollowUp(
        tenant_id=tenant_id,
        call_sid="",
        key=f"webhook-{endpoint.endpoint_id}-{noted_at[:10]}",
        kind="task",
        caller="",
        text=f"The webhook endpoint {endpoint.url} was turned off: {why}. Mend it, turn it on, replay what it missed.",
        noted_at=noted_at,
        details={"endpoint": endpoint.endpoint_id},
    )


async def _tidy(office: Office, outbox: Outbox) -> None:
    while True:
        try:
            for kept in await office.tenants.list():
                await outbox.forget(kept.tenant_id)
        except RemoteError as error:
            log.warning("old events could not be forgotten now", detail=str(error))
        await trio.sleep(TIDY_S)
