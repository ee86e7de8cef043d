"""Lines that somebody makes up while a call is on: spoken, and not kept.

Rendered lines of a tenant's document lie on disk (``cache.py``). What an operator says to one caller is nobody else's:
it is spoken from its text each time, and forgotten.
"""

import threading

from engine.voice.languages import ENGLISH, primary, supported
from engine.voice.speakers import Speaker, Voice, speaker


class Aloud:
    """Says anything in any language that a voice is there for, else in English. Slow; any number of threads may."""

    def __init__(self) -> None:
        """Nothing is loaded before the first line."""
        self._voices: dict[str, Voice] = {}
        self._lock = threading.Lock()

    def render(self, text: str, language: str) -> bytes:
        """Mu-law at 8 kHz; blank text is no sound.

        Raises:
            ConfigurationError: nothing in the text can be spoken.
        """
        who: Speaker = speaker(language if primary(language) in supported() else ENGLISH)
        with self._lock:
            if who.name not in self._voices:
                self._voices[who.name] = who.load()
            return self._voices[who.name].render_mulaw(text)
