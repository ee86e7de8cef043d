"""A whole load test with all its processes: small, in real time."""

import json
from pathlib import Path

import psutil
import pytest

from engine.voice.cache import VoiceCache
from tests.calls import cache_dir
from tests.commands.conftest import Run

pytestmark = pytest.mark.real_time


def test_callers_get_answers_and_nothing_is_left(
    run: Run, home: Path, speech: VoiceCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRONTDESK_DATA_DIR", str(cache_dir(speech)))
    ran = run("loadtest", "--calls=4", "--ramp=0.2", "--duration=7", "--call-seconds=8", "--memory", "--json")
    report = json.loads(ran.out)
    assert report["calls"]["dropped"] == 0
    assert report["calls"]["answered"] >= 4
    assert report["load"]["turns_answered"] >= 4
    assert report["server"]["cpu_ms_per_call_second"] > 0
    assert report["protocol_faults"] == report["load"]["model_protocol_faults"] == 0
    assert report["load"]["checks"] == {"callers": "light", "model": "light"}
    assert report["load"]["generator"]["peers_cores"] > 0
    assert report["series"][-1]["descriptors"] > 10
    assert report["series"][-1]["at_s"] >= 6
    assert json.loads((home / "loadtest-out/report.json").read_text()) == report
    assert "Plotly.newPlot" in (home / "loadtest-out/report.html").read_text()
    assert not [one for one in psutil.Process().children(recursive=True) if "loadtest" in " ".join(one.cmdline())]


def test_an_address_that_is_no_webhook_is_refused(run: Run) -> None:
    ran = run("loadtest", "--url=https://voice.example.com")
    assert ran.status == 2
    assert "--url must be a voice webhook such as https://host/twilio/voice" in ran.err


def test_a_window_that_no_tenant_may_have_is_refused_before_anything_is_started(run: Run) -> None:
    ran = run("loadtest", "--window-ms=33")
    assert ran.status == 2
    assert "timing.window_ms" in ran.err


def test_without_the_deployments_token_nothing_is_called(run: Run) -> None:
    ran = run("loadtest", "--url=https://voice.example.com/twilio/voice")
    assert ran.status == 2
    assert "set FRONTDESK_TWILIO_AUTH_TOKEN" in ran.err
