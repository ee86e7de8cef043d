"""``frontdesk serve --with-backoffice``: two processes, one data directory, one signal for both."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from engine.commands.backoffice import agreed
from engine.config import Settings
from engine.tenants import examples
from engine.voice.cache import VoiceCache
from tests.commands.conftest import Run

pytestmark = pytest.mark.real_time

EXAMPLES = Path(examples.__file__).parent
PATIENCE_S = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
    return port


def test_both_agree_on_a_secret_and_on_where_the_workers_are(home: Path) -> None:
    told = agreed(Settings(ops_bind="0.0.0.0:9200", data_dir=home), workers=2)
    assert told.gateways == "http://127.0.0.1:9200,http://127.0.0.1:9201"
    assert told.secret_key == agreed(Settings(data_dir=home), workers=1).secret_key
    assert agreed(Settings(data_dir=home, gateways="http://other:1"), workers=1).gateways == "http://other:1"


def test_without_a_database_there_is_no_back_office(run: Run) -> None:
    ran = run("serve", "--memory", "--with-backoffice")
    assert (ran.status, "--with-backoffice need a database" in ran.err) == (2, True)


def test_the_gateways_tenants_are_the_back_offices_until_both_end(tmp_path: Path, speech: VoiceCache) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    speech._directory.mkdir(parents=True, exist_ok=True)
    (tmp_path / "data" / "voice").symlink_to(speech._directory)  # lines that other tests have rendered already
    url, office = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    settings = {name: value for name, value in os.environ.items() if not name.startswith("FRONTDESK_")} | {
        "FRONTDESK_BIND": url.removeprefix("http://"),
        "FRONTDESK_BACKOFFICE_BIND": office.removeprefix("http://"),
        "FRONTDESK_OPS_BIND": f"127.0.0.1:{free_port()}",
        "FRONTDESK_DATA_DIR": str(tmp_path / "data"),
        "FRONTDESK_ADMIN_TOKEN": "token",
        "FRONTDESK_DRAIN_S": "1",
        "FRONTDESK_LOCAL_MODEL": "false",
    }
    command = (sys.executable, "-m", "engine", "serve", "--with-backoffice")
    tenants = ("--tenants", str(EXAMPLES / "harbor-dental.yaml"))
    with (
        open(tmp_path / "log", "w") as log,
        subprocess.Popen((*command, *tenants), cwd=tmp_path, env=settings, stderr=log) as server,
    ):
        try:
            bearer = {"authorization": "Bearer token"}
            found = wait_for(f"{office}/v1/tenants", server, bearer)
            assert [tenant["id"] for tenant in found.json()["items"]] == ["harbor-dental"]
            wait_for(f"{url}/health/ready", server, {})
            (child,) = (one for one in psutil.Process(server.pid).children() if "backoffice" in one.cmdline())
            child.kill()
            wait_for(f"{office}/v1/tenants", server, bearer)  # started again, and no caller noticed
            (child,) = (one for one in psutil.Process(server.pid).children() if "backoffice" in one.cmdline())
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE_S)
            assert server.returncode == 0
            assert not child.is_running()
        finally:
            server.kill()


def test_a_back_office_whose_gateway_was_killed_leaves_its_port(tmp_path: Path) -> None:
    settings = {name: value for name, value in os.environ.items() if not name.startswith("FRONTDESK_")} | {
        "FRONTDESK_BACKOFFICE_BIND": f"127.0.0.1:{free_port()}",
        "FRONTDESK_DATA_DIR": str(tmp_path / "data"),
    }
    command = (sys.executable, "-m", "engine", "backoffice", "--beside")
    with subprocess.Popen(
        command, cwd=tmp_path, env=settings, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as office:
        try:
            wait_for(f"http://{settings['FRONTDESK_BACKOFFICE_BIND']}/openapi.json", office, {})
            assert office.stdin is not None
            office.stdin.close()  # as the kernel does for a parent that was killed
            assert office.wait(PATIENCE_S) == 0
        finally:
            office.kill()


def wait_for(url: str, server: subprocess.Popen[bytes], headers: dict[str, str]) -> httpx.Response:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        assert server.poll() is None
        try:
            found = httpx.get(url, headers=headers, trust_env=False)
            if found.status_code == 200:
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{url} did not answer in {PATIENCE_S:.0f} s")
