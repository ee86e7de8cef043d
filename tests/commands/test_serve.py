"""``frontdesk serve``: a gateway that answers until it is asked to stop, or one line about why it cannot."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from engine.voice.cache import VoiceCache
from tests.calls import cache_dir
from tests.commands.conftest import Run

pytestmark = pytest.mark.real_time

SERVE = (sys.executable, "-m", "engine", "serve")
PATIENCE_S = 60.0  # a slow machine renders the example's prompts first


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_bind_without_a_port_is_refused_before_anything_starts(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRONTDESK_BIND", "127.0.0.1")
    ran = run("serve")
    assert ran.status == 2
    assert ran.err == "frontdesk: FRONTDESK_BIND: write it as host:port, for example 127.0.0.1:8080\n"
    assert list(home.iterdir()) == [], "nothing was rendered or created"


def environment(speech: VoiceCache, **settings: str) -> dict[str, str]:
    """Ours alone, with the prompts where they have been rendered already."""
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith("FRONTDESK_")}
    # Nor is speech prepared, which takes a while on a machine that never did.
    return others | {"FRONTDESK_DATA_DIR": str(cache_dir(speech)), "FRONTDESK_LOCAL_MODEL": "false"} | settings


def test_address_that_somebody_has_is_one_line_and_no_traceback(
    tmp_path: Path, taken_port: int, speech: VoiceCache
) -> None:
    settings = environment(speech, FRONTDESK_BIND=f"127.0.0.1:{taken_port}", FRONTDESK_LOG_LEVEL="CRITICAL")
    ran = subprocess.run(
        SERVE, check=False, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith(f"frontdesk: cannot listen on 127.0.0.1:{taken_port} (")
    assert ran.stderr.endswith("change FRONTDESK_BIND\n")
    assert len(ran.stderr.splitlines()) == 1


def test_serves_until_asked_to_stop(tmp_path: Path, speech: VoiceCache) -> None:
    settings = environment(speech, FRONTDESK_BIND="127.0.0.1:0")
    with subprocess.Popen(SERVE, cwd=tmp_path, env=settings, stderr=subprocess.PIPE, text=True) as server:
        try:
            port = _port_served(server)
            ready = httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False)
            assert (ready.status_code, ready.json()["status"]) == (200, "ok")
            unsigned = httpx.post(f"http://127.0.0.1:{port}/twilio/voice", data={"CallSid": "CA1"}, trust_env=False)
            assert unsigned.status_code == 403
            server.send_signal(signal.SIGTERM)
            assert server.wait(PATIENCE_S) == 0
        finally:
            server.kill()


def _port_served(server: subprocess.Popen[str]) -> int:
    assert server.stderr is not None
    said: list[str] = []
    for line in server.stderr:
        said.append(line)
        logged = json.loads(line)  # outside a terminal every line is JSON
        if logged["event"] == "serving":
            port: int = logged["port"]
            return port
    raise AssertionError("".join(said))
