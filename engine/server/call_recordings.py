"""Recordings of calls as a gateway makes them: the thread that writes, and who lists what it has written.

A recording that has been written is listed in the database; while that is away it is tried again, for as long as this
process lives. One that is not listed when the process ends stays as a file, until it is too old to be kept.
"""

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import trio

from engine.call.recording import Recordings
from engine.config import Settings
from engine.errors import RemoteError
from engine.log import get_logger
from engine.metrics import Metrics
from engine.recording.files import RecordingFiles
from engine.recording.writer import RecordingWriter
from engine.store.database import Database
from engine.store.postgres_recordings import PostgresRecordings
from engine.store.recordings import Recording
from engine.tenants.tenant import Tenant

PAUSES_S = (0.5, 2.0, 10.0, 30.0)
LAST_CHUNKS_S = 5.0
LAST_ROWS_S = 2.0
ROWS_QUEUED = 5_000  # an hour of a full worker's calls while the database is away
NO_KEY = "calls are to be recorded, and there is no FRONTDESK_SECRET_KEY to seal them with: set one, and keep it"

log = get_logger("server.call_recordings")


def cannot_record(settings: Settings, tenants: Sequence[Tenant]) -> list[str]:
    """The ids of tenants whose calls are to be recorded and cannot be."""
    return [tenant.id for tenant in tenants if tenant.recording.enabled and settings.secret_key is None]


@asynccontextmanager
async def open_recordings(
    settings: Settings, metrics: Metrics, database: Database | None, wall_clock: Callable[[], datetime]
) -> AsyncIterator[Recordings]:
    """What calls are recorded with; on the way out everything is written that they have handed over.

    Args:
        database: where they are listed; None: nowhere.
    """
    if settings.secret_key is None:
        yield Recordings(None, metrics, wall_clock)
        return
    written, rows = trio.open_memory_channel[Recording](ROWS_QUEUED)

    def list_soon(row: Recording) -> None:
        if database is None:
            return
        try:
            written.send_nowait(row)
        except trio.WouldBlock:
            metrics.dropped_messages.labels("recordings").inc()
            log.error("a recording stays a file that is listed nowhere: too many wait", call_sid=row.call_sid)

    token = trio.lowlevel.current_trio_token()
    writer = RecordingWriter(
        RecordingFiles(settings.data_dir),
        settings.secret_key.get_secret_value().encode(),
        on_done=lambda row: token.run_sync_soon(list_soon, row),
        on_fate=lambda fate: metrics.recordings.labels(fate).inc(),
    )
    writer.start()
    async with trio.open_nursery() as nursery:
        if database is not None:
            nursery.start_soon(_list, rows, PostgresRecordings(database), metrics.crashes.labels("recordings").inc)
        try:
            yield Recordings(writer, metrics, wall_clock)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(writer.close, LAST_CHUNKS_S)
                await trio.lowlevel.checkpoint()  # for what the thread has handed over last
            written.close()
            nursery.cancel_scope.deadline = trio.current_time() + LAST_ROWS_S


async def _list(
    rows: trio.MemoryReceiveChannel[Recording], recordings: PostgresRecordings, crashed: Callable[[], None]
) -> None:
    async for row in rows:
        for attempt in itertools.count():
            try:
                await recordings.keep(row)
            except RemoteError as error:
                log.warning("a recording could not be listed yet", call_sid=row.call_sid, detail=str(error))
                await trio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            except Exception:
                # One row of an unforeseen shape must not keep all others out.
                crashed()
                log.exception("a recording was not listed", call_sid=row.call_sid)
                break
            else:
                break
