"""The offline voices of other languages, for real."""

import time

import numpy as np
import pytest

from engine.audio import g711
from engine.errors import ConfigurationError, MisuseError
from engine.voice import pico
from engine.voice.languages import PICO_LOCALES
from engine.voice.pico import PicoVoice

SENTENCES = {
    "de-DE": "Guten Tag, Praxis Weber. Wir haben von 9 bis 17 Uhr geöffnet.",
    "es-ES": "Buenos días, ¿en qué puedo ayudarle? Abrimos a las nueve.",
    "fr-FR": "Bonjour, à votre service. Le cabinet est ouvert à 9 h 30.",
    "it-IT": "Buongiorno, come posso aiutarla? Siamo aperti fino alle 17.",
}


@pytest.mark.parametrize("locale", list(PICO_LOCALES.values()))
def test_a_sentence_is_ready_for_the_line(locale: str) -> None:
    sound = g711.decode(PicoVoice(locale).render_mulaw(SENTENCES[locale])).astype(np.float64) / 32768
    assert 2.5 < len(sound) / 8000 < 8.0
    assert np.max(np.abs(sound)) <= 10 ** (-2.9 / 20)
    blocks = np.sqrt(np.mean(sound[: len(sound) // 80 * 80].reshape(-1, 80) ** 2, axis=1))
    voiced = blocks[blocks > blocks.max() / 10]
    assert 20 * np.log10(np.sqrt(np.mean(voiced**2))) == pytest.approx(-20.0, abs=1.0)
    assert np.argmax(blocks > 0.01) <= 6
    assert np.argmax(blocks[::-1] > 0.005) <= 12


def test_languages_sound_different() -> None:
    assert PicoVoice("de-DE").render_mulaw("Hotel 7") != PicoVoice("it-IT").render_mulaw("Hotel 7")


def test_a_higher_voice_is_another_voice() -> None:
    low, high = (PicoVoice("de-DE").render_mulaw("Guten Tag.", pitch) for pitch in (1.0, 1.4))
    assert low != high


def test_markup_is_not_obeyed() -> None:
    voice = PicoVoice("de-DE")
    plain, marked = (len(voice.render_mulaw(f"Guten {mark} Tag")) for mark in ("", "<speed level='20'>"))
    assert marked > 1.5 * plain  # it is read out instead


@pytest.mark.parametrize("text", ["...", "😀", "日本語", "\ud800"])
def test_what_it_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="write it as words"):
        PicoVoice("de-DE").render_mulaw(text)


def test_blank_text_is_no_sound() -> None:
    assert PicoVoice("de-DE").render_mulaw(" \n") == b""


def test_a_voice_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pico, "DEADLINE_S", 0.5)
    began = time.monotonic()
    monkeypatch.setattr(pico, "_CHILD", "import time; time.sleep(60)")
    with pytest.raises(ConfigurationError, match=r"not done after 0.5 s"):
        PicoVoice("de-DE").render_mulaw("Guten Tag")
    assert time.monotonic() - began < 5.0


def test_a_pitch_that_nobody_understands_is_our_mistake() -> None:
    with pytest.raises(MisuseError):
        PicoVoice("de-DE").render_mulaw("Guten Tag", 3.0)


def test_a_voice_that_crashes_costs_a_line_and_not_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pico, "_CHILD", "import os; os.abort()")
    with pytest.raises(ConfigurationError, match="failed"):
        PicoVoice("de-DE").render_mulaw("Guten Tag")
