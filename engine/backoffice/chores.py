"""What the back office does by itself: look how its webhooks and bills stand, and delete what tenants keep no longer.

``Tenant.retention_days`` is how long what callers left is kept: transcripts, messages, tasks, recordings, what the
ledger and lost workers have left. Sums stay (usage, statements), and so does the business's diary. 0 days: what has
ended goes with the next cleaning. Any number of back offices may do this at once.
"""

import math
import time
from collections import Counter
from dataclasses import replace

import trio

from engine.backoffice.office import Office
from engine.errors import MisuseError, RemoteError
from engine.log import get_logger
from engine.recording.files import RecordingFiles
from engine.store.postgres_bills import Bills
from engine.store.postgres_retention import PostgresRetention, RecordingKey
from engine.tenants.tenant import Tenant

LOOK_EVERY_S = 15.0
EXPIRE_EVERY_S = 24 * 3600.0
AGAIN_S = 600.0  # after a failure
DAY_S = 24 * 3600.0

log = get_logger("backoffice.chores")


async def run_chores(office: Office) -> None:
    """At start and from then on, until cancelled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_look, office)
        nursery.start_soon(_expire_daily, office)


async def _look(office: Office) -> None:
    retention, bills = PostgresRetention(office.database), Bills(office.database)
    while True:
        try:
            seen = await retention.office_state(time.time())
            if office.settings.biller_url is not None:
                waiting, oldest_s = await bills.standing()
                seen = replace(seen, bills=waiting, bills_oldest_s=oldest_s)
            office.watch.seen, office.watch.database_away = seen, None
        except RemoteError as error:
            office.watch.database_away = office.watch.database_away or str(error)  # what was found out first says most
            # How old the last look is, is a metric.
            log.warning("webhooks and bills could not be looked at", detail=str(error))
        await trio.sleep(LOOK_EVERY_S)


async def _expire_daily(office: Office) -> None:
    while True:
        whole = False
        try:
            whole = await expire_all(office)
        except RemoteError as error:
            log.warning("what has expired could not be deleted yet", detail=str(error))
        if whole:
            office.watch.retention_ran_at = time.time()
        await trio.sleep(EXPIRE_EVERY_S if whole else AGAIN_S)


async def expire_all(office: Office) -> bool:
    """Once, for all tenants; False where one of them could not be done.

    Raises:
        StoreUnavailable: the database is away.
    """
    whole = True
    for kept in await office.tenants.list():
        days = kept.document.get("retention_days", Tenant.model_fields["retention_days"].default)
        try:
            if not isinstance(days, int) or days < 0:
                raise MisuseError(f"retention_days is {days!r}")
            gone = await expire(office, kept.tenant_id, days)
        except (MisuseError, OSError) as error:
            whole = False
            log.error("what has expired of a tenant could not be deleted", tenant_id=kept.tenant_id, detail=str(error))
        except RemoteError:
            raise
        except Exception:
            # One tenant's records of an unforeseen shape must not keep all others' beyond their time.
            whole = False
            office.watch.metrics.crashes.labels("retention").inc()
            log.exception("what has expired of a tenant could not be deleted", tenant_id=kept.tenant_id)
        else:
            for what, count in gone.items():
                office.watch.metrics.expired.labels(what).inc(count)
            if gone:
                log.info("deleted what had expired", tenant_id=kept.tenant_id, days=days, **gone)
    return whole


async def expire(office: Office, tenant_id: str, days: int) -> Counter[str]:
    """One tenant's; how much was deleted, by what it was."""
    retention, files = PostgresRetention(office.database), RecordingFiles(office.settings.data_dir)
    gone: Counter[str] = Counter()
    while recordings := await retention.old_recordings(tenant_id, days):
        for key in recordings:
            await remove_recording(retention, files, key)
        gone["recordings"] += len(recordings)
    # One whose process died before it could be written down; none that is still written to is a day old.
    gone["stray_files"] += await trio.to_thread.run_sync(_remove_strays, files, tenant_id, max(days, 1))
    return +(gone + await retention.expire(tenant_id, days))


async def remove_recording(retention: PostgresRetention, files: RecordingFiles, key: RecordingKey) -> None:
    """The sound first: a row without it can be deleted again, a file without a row would be forgotten."""
    await trio.to_thread.run_sync(files.remove, key.tenant_id, key.call_sid, key.part)
    await retention.forget_recording(key)


def _remove_strays(files: RecordingFiles, tenant_id: str, days: int) -> int:
    removed = 0
    for path in files.older_than(tenant_id, math.floor(time.time() - days * DAY_S)):
        path.unlink(missing_ok=True)
        removed += 1
    return removed
