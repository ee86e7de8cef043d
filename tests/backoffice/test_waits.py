"""A back office that is started before its database serves as soon as that is there, and says so meanwhile."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from engine.backoffice import chores, reaching
from engine.backoffice.app import serve_backoffice
from engine.backoffice.chores import run_chores
from engine.backoffice.office import open_office
from engine.backoffice.telling import run_webhooks
from engine.errors import StoreUnavailable
from engine.store.pghome import Home
from engine.tenants import examples
from tests.backoffice.conftest import TOKEN, settings_for
from tests.commands.conftest import Run, home, run
from tests.commands.test_backoffice import free_port
from tests.postgres.conftest import Cluster, copied
from tests.postgres.test_calls_outage import external
from tests.postgres.test_spool import control

__all__ = ["home", "run"]  # the fixtures of the commands' own tests
pytestmark = pytest.mark.real_time

BEARER = {"authorization": f"Bearer {TOKEN}"}
SOON_S = 30.0
DENTAL = examples.load("harbor-dental").model_copy(update={"knowledge": ()})


async def test_it_serves_as_soon_as_its_database_is_there(
    made: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "PAUSES_S", (0.2,))
    monkeypatch.setattr(chores, "LOOK_EVERY_S", 0.2)
    server = copied(made, tmp_path / "server")
    with external(server) as url:
        await trio.to_thread.run_sync(control, server, "stop")
        with pytest.raises(StoreUnavailable):
            async with open_office(settings_for(url, tmp_path)):
                pass
        shutdown = trio.Event()
        async with open_office(settings_for(url, tmp_path), waits=True) as office, trio.open_nursery() as nursery:
            nursery.start_soon(run_chores, office)
            nursery.start_soon(run_webhooks, office)
            serving = await nursery.start(partial(serve_backoffice, office, shutdown=shutdown))
            async with httpx.AsyncClient(base_url=serving.url, trust_env=False, timeout=10) as client:
                assert (await client.get("/health/live")).status_code == 200
                unready = await client.get("/health/ready")
                assert (unready.status_code, "cannot be reached" in unready.json()["database"]) == (503, True)
                assert (await client.get("/health")).json()["status"] == "unavailable"
                refused = await client.get("/v1/tenants", headers=BEARER)
                assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
                assert (await client.get("/openapi.json")).status_code == 200

                await trio.to_thread.run_sync(control, server, "start")
                with trio.fail_after(SOON_S):
                    while (await client.get("/health/ready")).status_code != 200:
                        await trio.sleep(0.05)
                    made_one = await client.post(
                        "/v1/tenants", headers=BEARER, json=DENTAL.model_dump(mode="json", by_alias=True)
                    )
                    assert made_one.status_code == 201
                    while (await client.get("/health")).json()["webhooks"] is None:
                        await trio.sleep(0.05)

                await trio.to_thread.run_sync(control, server, "stop")
                with trio.fail_after(SOON_S):
                    while (await client.get("/health/ready")).status_code != 503:
                        await trio.sleep(0.05)
                await trio.to_thread.run_sync(control, server, "start")
                with trio.fail_after(SOON_S):
                    while (await client.get("/health")).json()["status"] != "ok":
                        await trio.sleep(0.05)
            shutdown.set()
            await trio.sleep(0.1)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("what", ["database", "biller"])
def test_a_mistake_of_set_up_is_not_waited_for(
    run: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setenv("FRONTDESK_BACKOFFICE_BIND", "127.0.0.1:0")
    monkeypatch.setenv("FRONTDESK_EMBEDDINGS", "offline")
    monkeypatch.setenv("FRONTDESK_DATABASE_URL", cluster.url("there_is_none"))
    if what == "biller":
        monkeypatch.setenv("FRONTDESK_DATABASE_URL", "postgresql://127.0.0.1:1/nobody-listens-there")
        monkeypatch.setenv("FRONTDESK_BILLER_URL", "https://biller.example/")
    ran = run("backoffice")
    assert ran.status == 2, ran.err
    assert ("FRONTDESK_DATABASE_URL" if what == "database" else "FRONTDESK_BILLER_SECRET") in ran.err


def until_it_answers(url: str, office: subprocess.Popen[bytes]) -> httpx.Response:
    until = time.monotonic() + SOON_S
    while time.monotonic() < until:
        assert office.poll() is None
        try:
            return httpx.get(url, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer in {SOON_S:.0f} s")


def test_the_command_itself_waits_says_so_and_can_be_stopped_meanwhile(tmp_path: Path) -> None:
    bind = f"127.0.0.1:{free_port()}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FRONTDESK_")} | {
        "FRONTDESK_BACKOFFICE_BIND": bind,
        "FRONTDESK_DATA_DIR": str(tmp_path / "data"),
        "FRONTDESK_DATABASE_URL": "postgresql://127.0.0.1:1/nobody-listens-there",
        "FRONTDESK_EMBEDDINGS": "offline",
    }
    command = (sys.executable, "-m", "engine", "backoffice")
    with (
        open(tmp_path / "log", "w") as log,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=log) as office,
    ):
        try:
            ready = until_it_answers(f"http://{bind}/health/ready", office)
            assert ready.status_code == 503
            office.send_signal(signal.SIGTERM)
            assert office.wait(SOON_S) == 0
        finally:
            office.kill()
    assert "the database is away: waiting for it" in (tmp_path / "log").read_text()
