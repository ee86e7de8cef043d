"""Who says a line: a voice by its language, not loaded before there is something to say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engine.voice import offline, pico
from engine.voice.languages import ENGLISH, PICO_LOCALES, check_language, primary
from engine.voice.offline import OfflineVoice
from engine.voice.pico import PicoVoice


class Voice(Protocol):
    """What is asked of a voice."""

    def render_mulaw(self, text: str, pitch: float = 1.0) -> bytes:
        """Mu-law at 8 kHz."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """``name``: everything beside text and pitch that decides the sound."""

    name: str
    load: Callable[[], Voice]


def speaker(language: str) -> Speaker:
    """Who speaks this locale.

    Raises:
        ConfigurationError: nobody does.
    """
    check_language(language)
    if primary(language) == ENGLISH:
        return Speaker(offline.fingerprint(), OfflineVoice.load)
    locale = PICO_LOCALES[primary(language)]
    return Speaker(pico.fingerprint(locale), lambda: PicoVoice(locale))
