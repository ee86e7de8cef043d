"""Lines in memory before the call; the rendering itself is tested in ``tests/voice``."""

from pathlib import Path

import numpy as np
import pytest

from engine.audio import g711
from engine.errors import ConfigurationError, MisuseError
from engine.fallback.prompts import PromptLibrary, line_text, make_tone
from engine.fallback.script import Say
from engine.fallback.steps import Line
from engine.tenants.tenant import Script, Tenant
from engine.voice import languages
from engine.voice.cache import VoiceCache
from tests.fallback.stage import DENTIST, SpellingVoice, prompts_for


def with_script(**lines: object) -> Tenant:
    return DENTIST.model_copy(update={"script": Script.model_validate(lines)})


def test_every_line_of_the_script_has_its_sound() -> None:
    prompts = prompts_for(DENTIST)
    for name, text in DENTIST.script:
        sound = getattr(prompts, name)
        expected = tuple(map(SpellingVoice().mulaw, text)) if isinstance(text, tuple) else SpellingVoice().mulaw(text)
        assert sound == expected, name
    assert prompts.greeting == SpellingVoice().mulaw(DENTIST.greeting)


@pytest.mark.parametrize("line", [line for line in Line if line is not Line.TONE])
def test_words_and_sound_of_a_line_belong_together(line: Line) -> None:
    for variant in (0, 1) if line is Line.COMPANY else (0,):
        say = Say(line, variant)
        words = line_text(DENTIST, say)
        assert words
        assert prompts_for(DENTIST).sound(say) == SpellingVoice().mulaw(words)
        assert prompts_for(DENTIST).seconds(say) == pytest.approx(len(words) * 0.05)


def test_tone_is_a_short_soft_edged_beep_without_words() -> None:
    assert line_text(DENTIST, Say(Line.TONE)) == ""
    tone = g711.decode(make_tone()).astype(float)
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    assert len(tone) == 2400
    assert np.argmax(spectrum) * 8000 / len(tone) == pytest.approx(440, abs=4)
    assert 4000 < np.abs(tone).max() < 8000
    assert np.abs(tone[:4]).max() < 300
    assert np.abs(tone[-4:]).max() < 300


def test_unprepared_tenant_is_our_own_mistake() -> None:
    with pytest.raises(MisuseError, match="dentist"):
        PromptLibrary(SpellingVoice()).for_tenant(DENTIST)


def test_preparing_again_renders_nothing() -> None:
    voice = SpellingVoice()
    library = PromptLibrary(voice)
    library.prepare(DENTIST)
    before, prompts = len(voice.asked), library.for_tenant(DENTIST)
    library.prepare(DENTIST.model_copy(update={"persona": "somebody else"}))
    assert len(voice.asked) == before
    assert library.for_tenant(DENTIST) is prompts


def test_changed_line_is_rendered_and_the_others_are_not(tmp_path: Path) -> None:
    rendered: list[str] = []

    class Voice:
        def render_mulaw(self, text: str, pitch: float = 1.0) -> bytes:
            rendered.append(text)
            return text.encode()

    library = PromptLibrary(VoiceCache(tmp_path, Voice))
    library.prepare(DENTIST)
    held = library.for_tenant(DENTIST)
    rendered.clear()
    changed = with_script(back="Here we are again.")
    library.prepare(changed)
    assert rendered == ["Here we are again."]
    assert library.for_tenant(changed).back == b"Here we are again."
    assert held.back == Script().back.encode()  # a call in progress keeps what it has


@pytest.mark.parametrize("lines", [{"apology": " "}, {"company": ()}, {"company": ("Here.", "")}, {"goodbye": ""}])
def test_line_that_must_be_said_may_not_be_blank(lines: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=f"dentist.*{next(iter(lines))}"):
        PromptLibrary(SpellingVoice()).prepare(with_script(**lines))


def test_line_that_cannot_be_spoken_is_named_with_its_tenant() -> None:
    class Tongueless:
        def mulaw(self, text: str, *, language: str = "en-US") -> bytes:
            raise ConfigurationError("cannot say it")

    with pytest.raises(ConfigurationError, match=r"tenant dentist: .*cannot say it"):
        PromptLibrary(Tongueless()).prepare(DENTIST)


def test_library_tells_how_much_it_holds() -> None:
    library = PromptLibrary(SpellingVoice())
    library.prepare(DENTIST)
    words = sum(len(text) if isinstance(text, str) else sum(map(len, text)) for _, text in DENTIST.script)
    assert library.statistics().tenants == 1
    assert library.statistics().seconds == pytest.approx((words + len(DENTIST.greeting)) * 0.05 + 0.3)


def test_default_script_is_spoken_by_the_voice_that_is_shipped(tmp_path: Path) -> None:
    library = PromptLibrary(VoiceCache(tmp_path))
    library.prepare(DENTIST)
    prompts = library.for_tenant(DENTIST)
    for line in Line:
        assert 0.25 < prompts.seconds(Say(line)) < 8, line
    assert 25 < library.statistics().seconds < 45
    again = VoiceCache(tmp_path)
    PromptLibrary(again).prepare(DENTIST)
    assert again.statistics().rendered == 0


class Polyglot:
    """Remembers in which language it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, str] = {}

    def mulaw(self, text: str, *, language: str = "en-US") -> bytes:
        self.asked[text] = language
        return text.encode()


GERMAN = DENTIST.model_copy(
    update={
        "language": "de-AT",
        "greeting": "Grüß Gott.",
        "script": DENTIST.script.model_copy(update={"goodbye": "Auf Wiederhören."}),
    }
)


def test_a_tenants_own_lines_are_said_in_its_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "pico_version", lambda: "0.1.1")
    voice = Polyglot()
    PromptLibrary(voice).prepare(GERMAN)
    assert (voice.asked["Grüß Gott."], voice.asked["Auf Wiederhören."]) == ("de-AT", "de-AT")


def test_lines_that_a_document_leaves_as_they_are_are_said_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "pico_version", lambda: "0.1.1")
    voice = Polyglot()
    PromptLibrary(voice).prepare(GERMAN)
    assert voice.asked[Script().offer] == "en-US"
    assert voice.asked[Script().company[0]] == "en-US"


def test_another_language_is_rendered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "pico_version", lambda: "0.1.1")
    voice = Polyglot()
    library = PromptLibrary(voice)
    library.prepare(GERMAN)
    voice.asked.clear()
    library.prepare(GERMAN)
    assert voice.asked == {}
    library.prepare(GERMAN.model_copy(update={"language": "it-IT"}))
    assert voice.asked["Auf Wiederhören."] == "it-IT"


def test_a_tenant_whose_language_nobody_speaks_keeps_the_english_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "pico_version", lambda: None)
    voice = Polyglot()
    PromptLibrary(voice).prepare(GERMAN)
    assert set(voice.asked.values()) == {"en-US"}
