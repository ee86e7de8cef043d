"""What the parent hands down, and how a service of workers begins and ends as a process."""

import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.config import Settings
from engine.voice.cache import VoiceCache
from engine.workers.service import _environment, _ops_bind, kept_secret
from tests.commands.conftest import Run, home, run  # noqa: F401 - fixtures
from tests.commands.test_serve import environment

pytestmark = pytest.mark.real_time

SERVE = (sys.executable, "-m", "engine", "serve", "--workers", "1")


def test_a_data_directory_has_one_secret_for_good(tmp_path: Path) -> None:
    first = kept_secret(tmp_path / "new")
    assert len(first) == 64
    assert kept_secret(tmp_path / "new") == first
    assert kept_secret(tmp_path / "other") != first
    assert stat.S_IMODE((tmp_path / "new" / "secret_key").stat().st_mode) == 0o600


def test_workers_are_told_the_secret_that_is_configured(tmp_path: Path) -> None:
    told = _environment(Settings(secret_key="of the operator", data_dir=tmp_path))  # type: ignore[arg-type]
    assert told["FRONTDESK_SECRET_KEY"] == "of the operator"
    assert not (tmp_path / "secret_key").exists()


@pytest.mark.parametrize(
    ("name", "bind"),
    [("worker-0.1", "127.0.0.1:9100"), ("worker-3.17", "127.0.0.1:9103"), ("stand-in.1", "")],
)
def test_each_worker_has_a_port_for_its_own_pages(name: str, bind: str) -> None:
    assert _ops_bind(Settings(ops_bind="127.0.0.1:9100"), name) == {"FRONTDESK_OPS_BIND": bind}


def test_workers_without_a_database_are_refused(run: Run) -> None:  # noqa: F811
    ran = run("serve", "--workers", "2", "--memory")
    assert ran.status == 2
    assert "need a database" in ran.err


def test_address_that_somebody_has_ends_the_service_in_one_line(tmp_path: Path, speech: VoiceCache) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = environment(speech, FRONTDESK_BIND=bind, FRONTDESK_LOG_LEVEL="CRITICAL")
        ran = subprocess.run(SERVE, check=False, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"frontdesk: cannot listen on {bind} (")
    assert len(ran.stderr.splitlines()) == 1
