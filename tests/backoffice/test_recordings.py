"""Recordings are listed and heard by those who may, unsealed on the way; a wrong key or a lost file is told as such."""

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from engine.audio import g711
from engine.backoffice.app import build_backoffice
from engine.backoffice.office import Office
from engine.metrics import Metrics
from engine.recording.files import RecordingFiles, name_of
from engine.recording.sealed import Sealer
from engine.recording.writer import OpenRecording
from engine.server.call_recordings import open_recordings
from engine.store.postgres_recordings import PostgresRecordings
from engine.store.recordings import Recording
from engine.tenants.tenant import Tenant
from tests.backoffice.conftest import KEY, Desk, key_of

CALLER, AGENT = g711.encode(np.full(800, 1000, np.int16)), g711.encode(np.full(800, -3000, np.int16))
STARTED = "2026-11-03T12:00:00+00:00"


async def record(office: Office, tenant: Tenant, call_sid: str = "CA1", part: int = 0, secret: str = KEY) -> Path:
    sealer = Sealer(secret.encode(), tenant.id, name_of(call_sid, part))
    path = RecordingFiles(office.settings.data_dir).path(tenant.id, call_sid, part)
    path.parent.mkdir(parents=True, exist_ok=True)
    chunk = CALLER + AGENT
    path.write_bytes(sealer.head + sealer.seal(chunk) + sealer.seal(chunk) + sealer.seal(b"", last=True))
    one = Recording(tenant.id, call_sid, part, "+15550100777", STARTED, 200, path.stat().st_size)
    assert await PostgresRecordings(office.database).keep(one)
    assert not await PostgresRecordings(office.database).keep(one), "it is listed once"
    return path


async def test_a_key_that_may_read_finds_and_hears_them(app: Any, office: Office, dental: Tenant) -> None:
    for call_sid, part in (("CA1", 0), ("CA2", 0), ("CA2", 1)):
        await record(office, dental, call_sid, part)
    desk = Desk(app, await key_of(office, dental, "read"))
    listed = await desk.get(f"/v1/tenants/{dental.id}/recordings?limit=2")
    assert [(item["call_sid"], item["part"]) for item in listed["items"]] == [("CA2", 1), ("CA2", 0)]
    rest = await desk.get(f"/v1/tenants/{dental.id}/recordings?limit=2&cursor={listed['next_cursor']}")
    assert [item["call_sid"] for item in rest["items"]] == ["CA1"]
    of_call = await desk.get(f"/v1/tenants/{dental.id}/recordings?call_sid=CA2")
    assert [item["part"] for item in of_call["items"]] == [1, 0]
    response = await desk.ask("GET", listed["items"][0]["audio"])
    assert (response.status_code, response.content_type) == (200, "audio/wav")
    with wave.open(io.BytesIO(await response.get_data(as_text=False))) as read:
        assert (read.getnchannels(), read.getnframes()) == (2, 1600)
        samples = np.frombuffer(read.readframes(1600), "<i2").reshape(-1, 2)
    assert np.array_equal(samples[:, 0], np.tile(g711.decode(CALLER), 2))
    assert np.array_equal(samples[:, 1], np.tile(g711.decode(AGENT), 2))


async def test_another_tenant_s_are_not_there(app: Any, office: Office, dental: Tenant, plumbing: Tenant) -> None:
    await record(office, dental)
    desk = Desk(app, await key_of(office, plumbing, "read"))
    for path in (f"/v1/tenants/{dental.id}/recordings", f"/v1/tenants/{dental.id}/calls/CA1/recordings/0"):
        assert (await desk.ask("GET", path)).status_code == 404
    assert (await desk.ask("GET", f"/v1/tenants/{plumbing.id}/calls/CA1/recordings/0")).status_code == 404
    assert (await desk.get(f"/v1/tenants/{plumbing.id}/recordings"))["items"] == []


@pytest.mark.parametrize("how", ["another key", "gone", "changed", "no key"])
async def test_one_that_cannot_be_opened_is_a_problem_that_says_so(
    how: str, office: Office, operator: Desk, dental: Tenant
) -> None:
    path = await record(office, dental, secret="another" if how == "another key" else KEY)
    if how == "gone":
        path.unlink()
    elif how == "changed":
        data = bytearray(path.read_bytes())
        data[60] ^= 1
        path.write_bytes(data)
    desk = operator
    if how == "no key":
        from dataclasses import replace

        settings = office.settings.model_copy(update={"secret_key": None, "admin_token": SecretStr("t")})
        desk = Desk(build_backoffice(replace(office, settings=settings)), "t")
    response = await desk.ask("GET", f"/v1/tenants/{dental.id}/calls/CA1/recordings/0")
    assert response.status_code == 409
    told = await response.get_json()
    assert told["type"] == f"urn:frontdesk:problem:{'elsewhere' if how == 'gone' else 'sealed'}"


async def test_what_a_gateway_has_written_is_listed_and_can_be_heard(
    office: Office, operator: Desk, dental: Tenant
) -> None:
    metrics = Metrics()
    async with open_recordings(office.settings, metrics, office.database, office.now) as recordings:
        assert recordings.writer is not None
        line = OpenRecording(dental.id, "CA7", 0, "+15550100777", STARTED)
        recordings.writer.write(line, CALLER + AGENT)
        recordings.writer.write(line, CALLER + AGENT)
        recordings.writer.write(line, b"", last=True)
    assert 'frontdesk_recordings_total{fate="kept"} 1.0' in metrics.exposition().decode()
    (item,) = (await operator.get(f"/v1/tenants/{dental.id}/recordings"))["items"]
    assert (item["call_sid"], item["caller"], item["duration_s"]) == ("CA7", "+15550100777", 0.2)
    response = await operator.ask("GET", item["audio"])
    with wave.open(io.BytesIO(await response.get_data(as_text=False))) as read:
        assert read.getnframes() == 1600


async def test_a_disk_that_takes_nothing_costs_the_recording_and_nothing_else(office: Office, dental: Tenant) -> None:
    metrics = Metrics()
    (office.settings.data_dir / "recordings").write_bytes(b"a file where the folder should be")
    async with open_recordings(office.settings, metrics, office.database, office.now) as recordings:
        assert recordings.writer is not None
        line = OpenRecording(dental.id, "CA7", 0, "", STARTED)
        for _ in range(3):
            recordings.writer.write(line, CALLER + AGENT)
        recordings.writer.write(line, b"", last=True)
    assert 'frontdesk_recordings_total{fate="given_up"} 1.0' in metrics.exposition().decode()
    assert 'fate="kept"' not in metrics.exposition().decode()
