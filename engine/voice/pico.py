"""The offline voices of other languages: SVOX Pico, small and plain, whose models lie inside an installed package.

Everything that knows the ``py_nanotts`` package is in this file. It is native code that holds the interpreter while it
works, may loop on what is no language at all, and reads ``<`` as markup; a gateway renders prompts while it serves
calls. So it runs in a process of its own, for one text, with a deadline.
"""

import subprocess
import sys

import numpy as np

from engine.errors import ConfigurationError, MisuseError
from engine.voice.languages import PICO_LOCALES, PICO_PACKAGE, pico_version
from engine.voice.line_level import for_the_line

PITCHES = (0.5, 2.0)
DEADLINE_S = 20.0  # a sentence takes a tenth of a second

# Raise this when the same text would come out as other sound: it is part of every cache key.
RECIPE = 1

_RENDER_RATE = 16_000
_LOUDNESS = "0.5"  # at its own, the loudest samples are clipped
_QUIET = 10 ** (-43 / 20)  # it hums and clicks for half a second after a sentence, below this
_CHILD = """
import sys
from py_nanotts import NanoTTS
locale, pitch, volume = sys.argv[1:]
text = sys.stdin.buffer.read().decode()
sys.stdout.buffer.write(NanoTTS().speak(text, voice=locale, pitch=float(pitch), volume=float(volume)))
"""
_PLAIN = bytes.maketrans(b"<>\0", b"   ")


def fingerprint(locale: str) -> str:
    """Names everything beside the text that decides what a rendered line sounds like; cheap, loads nothing."""
    return f"{PICO_PACKAGE} {pico_version()} {locale} recipe {RECIPE}"


class PicoVoice:
    """One speaker. Slow (some 100 ms a sentence), in any thread."""

    def __init__(self, locale: str) -> None:
        if locale not in PICO_LOCALES.values():
            raise MisuseError(f"no such voice: {locale}")
        self._locale = locale

    def render_mulaw(self, text: str, pitch: float = 1.0) -> bytes:
        """Speak ``text`` ready for the line: mu-law at 8 kHz, trimmed, at the line's level. Blank text is no sound.

        Raises:
            ConfigurationError: the text is not blank, but nothing of it can be spoken.
            MisuseError: ``pitch`` out of range.
        """
        if not PITCHES[0] <= pitch <= PITCHES[1]:
            raise MisuseError(f"pitch {pitch} is not between {PITCHES[0]} and {PITCHES[1]}")
        if not text.strip():
            return b""
        spoken = text.encode("utf-8", "replace").translate(_PLAIN)
        sound = b""
        if any(char.isalnum() for char in text):
            sound = for_the_line(np.frombuffer(self._render(spoken, pitch), "<i2"), _RENDER_RATE, quiet=_QUIET)
        if not sound:
            raise ConfigurationError(f"the offline voice for {self._locale} cannot say {text!r}: write it as words")
        return sound

    def _render(self, text: bytes, pitch: float) -> bytes:
        command = [sys.executable, "-c", _CHILD, self._locale, str(pitch), _LOUDNESS]
        try:
            # Nothing of the text is in the command.
            done = subprocess.run(command, input=text, capture_output=True, timeout=DEADLINE_S, check=True)  # noqa: S603
        except subprocess.TimeoutExpired:
            why = f"not done after {DEADLINE_S:g} s"
        except (subprocess.CalledProcessError, OSError) as error:
            said = getattr(error, "stderr", b"") or str(error).encode()
            why = said.decode(errors="replace").strip().rpartition("\n")[2]
        else:
            return done.stdout
        raise ConfigurationError(f"the offline voice for {self._locale} failed ({why}): write the text differently")
