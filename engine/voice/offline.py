"""The offline voice: one American English speaker whose model lies inside an installed package.

Everything that knows the ``hibari`` package is in this file. It is imported by the loader only, because importing it
reads dictionaries (a second, all in all); a process that finds every line in the cache never pays for it.
"""

from importlib.metadata import version
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import ConfigurationError, MisuseError
from engine.voice.line_level import for_the_line, to_int16

VOICE = "heart"  # the only voice whose model is in the wheel; the others would be downloaded
RENDER_RATE = 24_000
PITCHES = (0.5, 2.0)  # beyond these nothing intelligible is left

# Raise this when the same text would come out as other bytes: it is part of every cache key.
RECIPE = 1


def fingerprint() -> str:
    """Names everything beside the text that decides what a rendered line sounds like; cheap, loads nothing."""
    return f"hibari-tts {version('hibari-tts')} {VOICE} recipe {RECIPE}"


class OfflineVoice:
    """Text to sound without a network. Methods are slow (30 to 120 ms a sentence) and may run in any thread."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    @classmethod
    def load(cls) -> Self:
        """Load model and dictionaries: about a second, so in an async program through ``trio.to_thread``."""
        from hibari import Hibari

        engine = Hibari(voice=VOICE, threads=1)
        engine.phonemize("Ready.")  # its dictionaries load on first use: have that here, not in somebody's render
        return cls(engine)

    def render(self, text: str, *, pitch: float = 1.0, seed: int = 0) -> NDArray[np.int16]:
        """Speak ``text``: 24 kHz samples, untrimmed; empty where nothing in the text can be spoken.

        Args:
            text: English; sentences are split and numbers read out.
            pitch: factor on the voice's pitch at an unchanged pace, 0.5 to 2.0; tells synthetic callers apart.
            seed: of the breath noise; the same seed gives the same samples.

        Raises:
            MisuseError: ``pitch`` out of range.
        """
        if not PITCHES[0] <= pitch <= PITCHES[1]:
            raise MisuseError(f"pitch {pitch} is not between {PITCHES[0]} and {PITCHES[1]}")
        samples: NDArray[np.float32] = self._engine(text, speed=1 / pitch, seed=seed)
        stretched = _stretch(samples, pitch)
        return to_int16(np.clip(stretched, -1.0, 1.0))

    def render_mulaw(self, text: str, pitch: float = 1.0) -> bytes:
        """Speak ``text`` ready for the line: mu-law at 8 kHz, trimmed, at the line's level. Blank text is no sound.

        Raises:
            ConfigurationError: the text is not blank, but nothing of it can be spoken.
        """
        if not text.strip():
            return b""
        sound = for_the_line(self.render(text, pitch=pitch), RENDER_RATE)
        if not sound or not self._has_sounds(text):
            raise ConfigurationError(f"the offline voice cannot say {text!r}: write it as English words")
        return sound

    def _has_sounds(self, text: str) -> bool:
        """Punctuation alone passes through to the model, which makes a noise of it."""
        return any(sound.isalpha() for sounds in self._engine.phonemize(text) for sound in sounds)


def _stretch(samples: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """The same wave in ``1 / factor`` of the time, through its whole spectrum.

    A rendering begins and ends in silence, so the transform's wrap-around joins nothing to nothing.
    """
    if factor == 1.0 or not len(samples):
        return samples
    length = round(len(samples) / factor)
    spectrum = np.fft.rfft(samples)
    wave = np.fft.irfft(spectrum[: length // 2 + 1], length) * (length / len(samples))
    return np.asarray(wave, dtype=np.float32)
