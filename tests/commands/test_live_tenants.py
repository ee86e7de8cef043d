"""A tenant that is imported while the gateway runs is answered for within seconds, on another process's word."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from engine.sim.world import ACCOUNT_SID, AUTH_TOKEN
from engine.tenants import examples
from engine.voice.cache import VoiceCache
from engine.wire.twilio_signature import sign

pytestmark = pytest.mark.real_time

EXAMPLES = Path(examples.__file__).parent
PATIENCE_S = 60.0


def ask(url: str, called: str) -> str:
    params = {"CallSid": "CA" + "1" * 32, "AccountSid": ACCOUNT_SID, "From": "+15550100555", "To": called}
    target = f"{url}/twilio/voice"
    signature = sign(AUTH_TOKEN, target, params.items())
    answer = httpx.post(target, data=params, headers={"X-Twilio-Signature": signature}, trust_env=False)
    assert answer.status_code == 200
    return answer.text


def test_a_tenant_imported_elsewhere_is_answered_for_at_once(tmp_path: Path, speech: VoiceCache) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "voice").symlink_to(speech._directory)  # lines that have been rendered already
    import socket

    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    settings = {name: value for name, value in os.environ.items() if not name.startswith("FRONTDESK_")} | {
        "FRONTDESK_BIND": f"127.0.0.1:{port}",
        "FRONTDESK_PUBLIC_URL": url,
        "FRONTDESK_DATA_DIR": str(tmp_path / "data"),
        "FRONTDESK_TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "FRONTDESK_TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "FRONTDESK_DRAIN_S": "1",
        "FRONTDESK_LOCAL_MODEL": "false",
    }
    program = (sys.executable, "-m", "engine")
    plumber = examples.load("kessler-plumbing")
    serve = (*program, "serve", "--tenants", str(EXAMPLES / "harbor-dental.yaml"))
    with subprocess.Popen(serve, cwd=tmp_path, env=settings, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_ready(url, server)
            assert "not in service" in ask(url, plumber.numbers[0])
            imported = subprocess.run(
                (*program, "tenant", "import", str(EXAMPLES / "kessler-plumbing.yaml")),
                cwd=tmp_path,
                env=settings,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=True,
            )
            assert imported.stdout == "kessler-plumbing: imported\n"
            until = time.monotonic() + 10.0  # its prompts are rendered first
            while "<Connect" not in ask(url, plumber.numbers[0]):
                assert time.monotonic() < until, "the gateway did not hear of the tenant"
                time.sleep(0.1)
        finally:
            server.terminate()
            assert server.wait(PATIENCE_S) == 0


def _wait_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and server.poll() is None:
        try:
            if httpx.get(f"{url}/health/live", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the gateway did not start")
