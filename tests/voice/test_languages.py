"""Which language is said by which voice; with the real ones in ``test_pico``."""

import hashlib
from pathlib import Path

import pytest

from engine.errors import ConfigurationError
from engine.voice import languages, speakers
from engine.voice.cache import VoiceCache
from engine.voice.languages import check_language, primary, supported
from engine.voice.speakers import Speaker, Voice


class Named:
    """Says its own name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def render_mulaw(self, text: str, pitch: float = 1.0) -> bytes:
        return f"{self._name}: {text}".encode()


@pytest.mark.parametrize(
    ("locale", "language"), [("de-AT", "de"), ("en_GB", "en"), ("EN", "en"), (" it-IT ", "it"), ("", "")]
)
def test_a_locale_is_of_a_language(locale: str, language: str) -> None:
    assert primary(locale) == language


@pytest.mark.parametrize("language", ["en-US", "en-GB", "en", "de-DE", "de-AT", "es-MX", "fr-CA", "it"])
def test_these_have_a_voice(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setattr(languages, "pico_version", lambda: "0.1.1")
    check_language(language)


@pytest.mark.parametrize("language", ["nl-NL", "zh", "", "english"])
def test_others_are_refused_by_naming_those_that_have_one(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setattr(languages, "pico_version", lambda: "0.1.1")
    with pytest.raises(ConfigurationError, match=r"only in en, de, es, fr, it; write one of those"):
        check_language(language)


def test_without_the_package_english_has_its_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "pico_version", lambda: None)
    assert supported() == ("en",)
    check_language("en-GB")
    with pytest.raises(ConfigurationError, match="only in en; py-nanotts is not installed"):
        check_language("de-DE")


def test_each_language_is_said_by_its_own_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []

    def german() -> Voice:
        loads.append("german")
        return Named("german")

    monkeypatch.setattr("engine.voice.cache.speaker", lambda language: Speaker("a german", german))
    cache = VoiceCache(tmp_path, lambda: Named("english"))
    assert cache.mulaw("Hello") == b"english: Hello"
    assert loads == []
    assert cache.mulaw("Hello", language="de-DE") == b"german: Hello"
    assert cache.mulaw("Hello", language="en-GB") == b"english: Hello"
    assert cache.mulaw("Hallo", language="de-DE") == b"german: Hallo"
    assert loads == ["german"]
    assert len(list(tmp_path.iterdir())) == 3


def test_lines_that_were_rendered_before_there_were_languages_are_found_again(tmp_path: Path) -> None:
    kept = VoiceCache(tmp_path, lambda: Named("english"), voice_name="english")
    kept.mulaw("Hello")
    (line,) = tmp_path.iterdir()
    digest = hashlib.sha256(b"english\x001.0000\x00Hello").hexdigest()
    assert line.name == f"{digest}.line"


def test_the_voice_of_a_language_is_named_by_all_that_decides_its_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "pico_version", lambda: "0.1.1")
    names = {speakers.speaker(language).name for language in ("en-US", "de-DE", "de-CH", "fr-FR")}
    assert len(names) == 3
