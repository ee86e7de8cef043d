"""Settings: read once, frozen, secrets masked, mistakes named."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.config import PREFIX, Settings
from engine.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def test_nothing_set_gives_a_private_address_and_no_secrets() -> None:
    settings = Settings.read()
    assert settings.bind == "127.0.0.1:8080"
    assert settings.data_dir == Path(".frontdesk")
    assert settings.twilio_auth_token is None
    assert settings.gemini_api_key is None


def test_env_file_is_honoured_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("FRONTDESK_MAX_CALLS=3\nFRONTDESK_DRAIN_S=5\nUNRELATED=1\n", "utf-8")
    monkeypatch.setenv("FRONTDESK_MAX_CALLS", "4")
    settings = Settings.read()
    assert settings.max_calls == 4
    assert settings.drain_s == 5


@pytest.mark.parametrize("where", ["environment", "file"])
def test_unknown_names_are_refused_wherever_they_stand(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "file":
        (tmp_path / ".env").write_text("FRONTDESK_BINND=1\nfrontdesk_zzz=2\n", "utf-8")
    else:
        monkeypatch.setenv("FRONTDESK_BINND", "1")
        monkeypatch.setenv("frontdesk_zzz", "2")
    with pytest.raises(ConfigurationError, match=r"unknown setting FRONTDESK_BINND, FRONTDESK_ZZZ: .*FRONTDESK_BIND,"):
        Settings.read()


def test_names_of_others_are_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESKS", "12")
    Settings.read()


def test_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_GEMINI_API_KEY", "")
    monkeypatch.setenv("FRONTDESK_MAX_CALLS", "")
    settings = Settings.read()
    assert settings.gemini_api_key is None
    assert settings.max_calls == 250


def test_secrets_are_masked_wherever_settings_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [name for name in Settings.model_fields if name.endswith(("_key", "_token", "database_url"))]
    assert len(secrets) == 7
    for name in secrets:
        monkeypatch.setenv(PREFIX + name.upper(), f"open-sesame-{name}")
    settings = Settings.read()
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert "open-sesame" not in shown
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == "open-sesame-secret_key"


def test_settings_are_frozen() -> None:
    settings = Settings.read()
    with pytest.raises(ValidationError, match="frozen"):
        settings.max_calls = 1


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("BIND", "8080", "host:port"),
        ("BIND", ":8080", "host:port"),
        ("BIND", "127.0.0.1:65536", "host:port"),
        ("BIND", "127.0.0.1:http", "host:port"),
        ("PUBLIC_URL", "voice.example.com", "for example https://voice.example.com"),
        ("PUBLIC_URL", "https://voice.example.com/twilio", "for example https://voice.example.com"),
        ("PUBLIC_URL", "wss://voice.example.com", "for example https://voice.example.com"),
        ("GEMINI_URL", "https://generativelanguage.googleapis.com", "wss://"),
        ("GEMINI_TRANSCRIBE_URL", "https://generativelanguage.googleapis.com", "wss://"),
        ("LOG_LEVEL", "chatty", "DEBUG, INFO, WARNING"),
        ("MAX_CALLS", "0", "greater than 0"),
        ("MAX_CALLS", "many", "valid integer"),
        ("DRAIN_S", "-1", "greater than or equal to 0"),
        ("TWILIO_API_URL", "not an address", "valid URL"),
    ],
)
def test_value_that_cannot_be_used_is_named_with_its_cure(
    name: str, value: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(ConfigurationError) as refused:
        Settings.read()
    assert str(refused.value).startswith(f"{PREFIX}{name}: ")
    assert cure in str(refused.value)


def test_refused_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_SECRET_KEY", "open-sesame")
    monkeypatch.setenv("FRONTDESK_MAX_CALLS", "many")
    with pytest.raises(ConfigurationError) as refused:
        Settings.read()
    assert "open-sesame" not in str(refused.value)
    assert refused.value.__cause__ is None, "the library's own error would show every input"


@pytest.mark.parametrize(
    ("public_url", "stream_url"),
    [
        ("https://voice.example.com", "wss://voice.example.com/twilio/media"),
        ("https://voice.example.com/", "wss://voice.example.com/twilio/media"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/twilio/media"),
    ],
)
def test_stream_url_follows_the_public_url(public_url: str, stream_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_PUBLIC_URL", public_url)
    settings = Settings.read()
    assert settings.stream_url == stream_url
    assert settings.public_url == public_url.rstrip("/")


def test_every_documented_setting_exists_and_every_setting_is_documented() -> None:
    example = Path(__file__).parent.parent / "deploy" / "frontdesk.env.example"
    documented = {
        line.lstrip("# ").partition("=")[0]
        for line in example.read_text("utf-8").splitlines()
        if line.lstrip("# ").startswith(PREFIX) and "=" in line
    }
    assert documented == {PREFIX + name.upper() for name in Settings.model_fields}


def test_tool_secrets_are_read_by_tenant_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.read().tool_secrets == {}
    assert Settings.read().tools_allow_private is False
    monkeypatch.setenv("FRONTDESK_TOOL_SECRETS", '{"harbor-dental": {"backend": "hush-hush"}}')
    monkeypatch.setenv("FRONTDESK_TOOLS_ALLOW_PRIVATE", "true")
    settings = Settings.read()
    assert settings.tool_secrets["harbor-dental"]["backend"].get_secret_value() == "hush-hush"
    assert settings.tools_allow_private is True
    assert "hush-hush" not in repr(settings)


@pytest.mark.parametrize("value", ["hush-hush", '["hush-hush"]', '{"a": "hush-hush"}', '{"a": {"b": ["hush-hush"]}}'])
def test_tool_secrets_that_cannot_be_read_are_refused_without_showing_them(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRONTDESK_TOOL_SECRETS", value)
    with pytest.raises(ConfigurationError, match=r"(?i)tool_secrets") as refused:
        Settings.read()
    assert "hush-hush" not in str(refused.value)
