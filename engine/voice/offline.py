"""The offline voice: one American English speaker whose model lies inside an installed package.

Everything that knows the ``hibari`` package is in this file. It is imported by the loader only, because importing it
reads dictionaries (a second, all in all); a process that finds every line in the cache never pays for it.
"""

from importlib.metadata import version
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.errors import ConfigurationError, MisuseError

VOICE = "heart"  # the only voice whose model is in the wheel; the others would be downloaded
RENDER_RATE = 24_000
LINE_RATE = 8_000
PITCHES = (0.5, 2.0)  # beyond these nothing intelligible is left

# Raise this when the same text would come out as other bytes: it is part of every cache key.
RECIPE = 1

LEVEL = 10 ** (-20 / 20)  # RMS of the voiced parts: where telephone speech usually lies
CEILING = 10 ** (-3 / 20)  # no peak above; headroom for the carrier's own processing
KNEE = 10 ** (-9 / 20)  # peaks bend from here on; at this level that touches a few samples per sentence

_BLOCK = LINE_RATE // 100  # 10 ms: the grain of trimming
_QUIET = 10 ** (-56 / 20)  # before levelling (about +7 dB): softer than any consonant the voice makes
_LEAD_BLOCKS = 1  # kept before the first sound, and after the last: a word's edge is not cut off, and what
_TAIL_BLOCKS = 4  # remains, with the block's own grain, stays below 20 and 60 ms


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
        return _to_int16(np.clip(stretched, -1.0, 1.0))

    def render_mulaw(self, text: str, pitch: float = 1.0) -> bytes:
        """Speak ``text`` ready for the line: mu-law at 8 kHz, trimmed, at the line's level. Blank text is no sound.

        Raises:
            ConfigurationError: the text is not blank, but nothing of it can be spoken.
        """
        if not text.strip():
            return b""
        trimmed = _trim(_to_line_rate(self.render(text, pitch=pitch)))
        if not len(trimmed) or not self._has_sounds(text):
            raise ConfigurationError(f"the offline voice cannot say {text!r}: write it as English words")
        return g711.encode(_to_int16(_level(trimmed)))

    def _has_sounds(self, text: str) -> bool:
        """Punctuation alone passes through to the model, which makes a noise of it."""
        return any(sound.isalpha() for sounds in self._engine.phonemize(text) for sound in sounds)


def _to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.rint(samples * 32767).astype(np.int16)


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


def _to_line_rate(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    resampler = Resampler(RENDER_RATE, LINE_RATE)
    resampled = np.concatenate((resampler.process(samples), resampler.flush()))
    return np.divide(resampled, 32768, dtype=np.float32)


def _loudness(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """RMS of each whole 10 ms block."""
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    return np.asarray(np.sqrt(np.mean(blocks**2, axis=1)), dtype=np.float32)


def _trim(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without the silence around it; empty where there is nothing but silence."""
    loud = np.flatnonzero(_loudness(samples) > _QUIET)
    if not len(loud):
        return samples[:0]
    first = max(int(loud[0]) - _LEAD_BLOCKS, 0)
    last = int(loud[-1]) + 1 + _TAIL_BLOCKS
    return samples[first * _BLOCK : last * _BLOCK]


def _level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """At ``LEVEL`` over its voiced blocks, with peaks bent below ``CEILING``."""
    blocks = _loudness(samples)
    voiced = blocks[blocks > blocks.max() / 10]  # within 20 dB of the loudest: pauses must not make a line louder
    wave = samples * (LEVEL / float(np.sqrt(np.mean(voiced**2))))
    size = np.abs(wave)
    bent = KNEE + (CEILING - KNEE) * np.tanh((size - KNEE) / (CEILING - KNEE))
    return np.where(size > KNEE, np.sign(wave) * bent, wave).astype(np.float32)
