"""``.../recordings``: calls as sound, for who may read the tenant's calls. Unsealed on the way out, never on a disk."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Self

import trio
from pydantic import Field
from quart import Blueprint, Response

from engine.backoffice.access import requires
from engine.backoffice.endpoint import Body, Moment, Page, Paging, asks, gives, gives_bytes, page
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.backoffice.sound import WAV
from engine.log import get_logger
from engine.recording.files import RecordingFiles, name_of
from engine.recording.sealed import Damaged, unseal
from engine.recording.wav import head, interleaved, samples_in
from engine.store.postgres_recordings import PostgresRecordings
from engine.store.recordings import Recording

log = get_logger("backoffice.api_recordings")


class RecordingItem(Body):
    """One line of a call, recorded from the consent on; ``audio`` is where it can be heard."""

    call_sid: str
    part: int
    caller: str
    started_at: Moment
    duration_s: float
    audio: str

    @classmethod
    def of(cls, one: Recording) -> Self:
        """As it is listed."""
        return cls.model_validate(
            {
                "call_sid": one.call_sid,
                "part": one.part,
                "caller": one.caller,
                "started_at": one.started_at,
                "duration_s": one.duration_ms / 1000,
                "audio": f"/v1/tenants/{one.tenant_id}/calls/{one.call_sid}/recordings/{one.part}",
            }
        )


class Recordings(Page[RecordingItem]):
    """Recorded lines of calls."""


class RecordingsAsked(Paging):
    """Which of them; without ``call_sid`` all."""

    call_sid: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")] | None = None


def _look(path: Path, secret: bytes, one: Recording) -> int:
    """How many samples it has; its first chunk is unsealed, so that one that cannot be is told as such."""
    with path.open("rb") as file:
        samples = samples_in(file)
        file.seek(0)
        next(unseal(file, secret, one.tenant_id, name_of(one.call_sid, one.part)), b"")
    return samples


async def _wav(path: Path, secret: bytes, one: Recording, samples: int) -> AsyncIterator[bytes]:
    """The whole file, piece by piece. Where it turns out to be damaged, the listener's end comes early."""
    yield head(samples)
    file = await trio.to_thread.run_sync(path.open, "rb")
    with file:
        chunks = unseal(file, secret, one.tenant_id, name_of(one.call_sid, one.part))
        try:
            while chunk := await trio.to_thread.run_sync(next, chunks, b""):
                yield interleaved(chunk)
        except Damaged as damaged:
            log.error("a recording is damaged", file=str(path), detail=str(damaged))


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("recordings", __name__, url_prefix="/v1/tenants/<slug:tenant_id>")
    recordings, files = PostgresRecordings(office.database), RecordingFiles(office.settings.data_dir)

    @pages.get("/recordings")
    @gives(Recordings)
    @asks(RecordingsAsked)
    @requires("read")
    async def listed(tenant_id: str, query: RecordingsAsked) -> Page[RecordingItem]:
        """Recorded lines of calls, newest first."""
        found = await recordings.page(tenant_id, call_sid=query.call_sid, before=query.before, limit=query.limit)
        items = [RecordingItem.of(one.recording) for one in found]
        return page(Recordings, items, [one.kept_order for one in found], query)

    @pages.get("/calls/<name:call_sid>/recordings/<int(max=1000):part>")
    @gives_bytes(WAV, "The line, 8 kHz, the caller on the left and the agent on the right.")
    @requires("read")
    async def audio(tenant_id: str, call_sid: str, part: int) -> Response:
        """A recording to listen to."""
        one = await recordings.get(tenant_id, call_sid, part)
        if one is None:
            raise Problem(404, "no such recording")
        if office.settings.secret_key is None:
            raise Problem(409, "it is sealed, and this process has no FRONTDESK_SECRET_KEY", kind="sealed")
        secret = office.settings.secret_key.get_secret_value().encode()
        path = files.path(tenant_id, call_sid, part)
        try:
            samples = await trio.to_thread.run_sync(_look, path, secret, one)
        except OSError:
            raise Problem(409, "it is listed, and its file is not in this data directory", kind="elsewhere") from None
        except Damaged as damaged:
            raise Problem(409, f"it cannot be opened: {damaged}", kind="sealed") from None
        headers = {"content-disposition": f'inline; filename="{call_sid}-{part}.wav"', "cache-control": "no-store"}
        return Response(_wav(path, secret, one, samples), content_type=WAV, headers=headers)

    return pages
