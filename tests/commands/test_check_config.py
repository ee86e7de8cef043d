"""``frontdesk check-config``: says what will be used, or in one line what cannot be and why."""

from pathlib import Path

import pytest

from engine.speech import weights
from tests.commands.conftest import Run

TENANT = """
id: corner-bakery
name: Corner Bakery
numbers: ["+15550100123"]
greeting: Corner Bakery, good morning.
"""


def test_good_settings_are_listed_and_secrets_are_masked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_TWILIO_AUTH_TOKEN", "not-for-anybody")
    monkeypatch.setenv("FRONTDESK_GEMINI_API_KEY", "nor-this")
    monkeypatch.setenv("FRONTDESK_MAX_CALLS", "7")
    ran = run("check-config")
    assert ran.status == 0
    assert "FRONTDESK_MAX_CALLS=7\n" in ran.out
    assert "FRONTDESK_TWILIO_AUTH_TOKEN=***" in ran.out
    assert "tenant harbor-dental: +15550100100" in ran.out
    assert "models: gemini-live" in ran.out
    assert "not-for-anybody" not in ran.out + ran.err
    assert "nor-this" not in ran.out + ran.err
    assert ran.err == ""


def test_what_is_missing_for_real_calls_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_LOCAL_MODEL", "false")
    ran = run("check-config")
    assert ran.status == 0
    assert "no FRONTDESK_TWILIO_AUTH_TOKEN" in ran.err
    assert "no key of a model (FRONTDESK_GEMINI_API_KEY" in ran.err


@pytest.mark.parametrize("available", [True, False])
def test_without_a_key_the_local_model_speaks_where_this_machine_can(
    available: bool, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "available", lambda: available)
    ran = run("check-config")
    assert ("models: local\n" in ran.out) is available
    assert ("no key of a model" in ran.err) is not available


def test_unknown_name_is_refused_with_the_cure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_MAX_CALL", "7")
    ran = run("check-config")
    assert ran.status == 2
    assert ran.err.startswith("frontdesk: unknown setting FRONTDESK_MAX_CALL: ")
    assert "FRONTDESK_MAX_CALLS" in ran.err, "the right name is among those offered"
    assert len(ran.err.splitlines()) == 1
    assert ran.out == ""


def test_unknown_name_in_the_env_file_is_refused_too(run: Run, home: Path) -> None:
    (home / ".env").write_text("FRONTDESK_GEMNI_API_KEY=typo\n", "utf-8")
    ran = run("check-config")
    assert ran.status == 2
    assert "unknown setting FRONTDESK_GEMNI_API_KEY" in ran.err
    assert "typo" not in ran.err, "the value may be a secret"


def test_bad_values_are_all_named_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_MAX_CALLS", "none")
    monkeypatch.setenv("FRONTDESK_BIND", "8080")
    ran = run("check-config")
    assert ran.status == 2
    assert "FRONTDESK_MAX_CALLS: " in ran.err
    assert "FRONTDESK_BIND: write it as host:port" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_tenants_of_a_folder_are_checked(run: Run, home: Path) -> None:
    folder = home / "tenants"
    folder.mkdir()
    (folder / "bakery.yaml").write_text(TENANT, "utf-8")
    ran = run("check-config", "--tenants", str(folder))
    assert ran.status == 0
    assert "tenant corner-bakery: +15550100123" in ran.out


def test_bad_tenant_document_is_one_line_that_names_the_file(run: Run, home: Path) -> None:
    file = home / "bakery.yaml"
    file.write_text(TENANT + "colour: blue\n", "utf-8")
    ran = run("check-config", "--tenants", str(file))
    assert ran.status == 2
    assert ran.err.startswith(f"frontdesk: {file}")
    assert "colour" in ran.err
    assert "Traceback" not in ran.err


def test_calls_that_are_to_be_recorded_need_a_key_to_seal_them_with(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "bakery.yaml"
    file.write_text(TENANT + "recording: {enabled: true}\nrecording_consent: This call is recorded.\n", "utf-8")
    ran = run("check-config", "--tenants", str(file))
    assert ran.status == 2
    assert ran.err.startswith("frontdesk: tenant corner-bakery: calls are to be recorded")
    assert "FRONTDESK_SECRET_KEY" in ran.err
    monkeypatch.setenv("FRONTDESK_SECRET_KEY", "k")
    assert run("check-config", "--tenants", str(file)).status == 0
