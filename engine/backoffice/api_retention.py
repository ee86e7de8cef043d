"""``DELETE .../callers/{number}``: everything that is known of a caller, forgotten. What is deleted is not told anew.

    transcripts, messages, tasks, appointments, recordings ... of that number, and of its calls: deleted
    usage, statements .......................................... stay, they name nobody
    what others said of the number ............................. stays, with its digits as nines

A call of theirs that is on the line is left alone, and so is what a gateway still holds in its spool while the database
is away: both are told, and asking again afterwards deletes them too. The audit log says that somebody was forgotten,
when and by whom, and not who.
"""

from functools import partial

import trio
from quart import Blueprint

from engine.backoffice.access import requires
from engine.backoffice.chores import remove_recording
from engine.backoffice.endpoint import Body, gives
from engine.backoffice.office import Office
from engine.log import get_logger
from engine.recording.files import RecordingFiles
from engine.store.postgres_retention import PostgresRetention
from engine.store.spool_files import record_names

log = get_logger("backoffice.api_retention")


class ForgottenCaller(Body):
    """What was deleted, by what it was.

    Attributes:
        struck_out: records about others in which the number stood.
        on_line: calls of theirs that are on the line now: ask again when they have ended.
        spooled: records that wait on this machine for the database; any of them may be theirs: ask again later.
    """

    calls: int
    tasks: int
    appointments: int
    recordings: int
    other: int
    struck_out: int
    on_line: int
    spooled: int


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("retention", __name__, url_prefix="/v1/tenants/<slug:tenant_id>")

    @pages.delete("/callers/<phone:number>")
    @gives(ForgottenCaller)
    @requires("admin")
    async def forget(tenant_id: str, number: str) -> ForgottenCaller:
        """Delete everything of this caller. Asked twice, it finds nothing the second time."""
        retention, files = PostgresRetention(office.database), RecordingFiles(office.settings.data_dir)
        recordings = await retention.recordings_of(tenant_id, number)
        for key in recordings:
            await remove_recording(retention, files, key)
        found = await retention.forget_caller(tenant_id, number)
        waiting = await trio.to_thread.run_sync(partial(record_names, office.settings.data_dir / "spool"))
        deleted = dict(found.deleted)
        log.info("a caller was forgotten", tenant_id=tenant_id, recordings=len(recordings), **deleted)
        return ForgottenCaller(
            calls=deleted.pop("calls"),
            tasks=deleted.pop("follow_ups"),
            appointments=deleted.pop("appointments"),
            recordings=len(recordings),
            other=sum(deleted.values()),
            struck_out=found.struck_out,
            on_line=found.on_line,
            spooled=len(waiting),
        )

    return pages
