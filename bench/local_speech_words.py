"""How many words of telephone speech does the recogniser get wrong? The pure part of ``bench.local_speech``."""

import re
from collections.abc import Sequence

import jiwer
import numpy as np
from numpy.typing import NDArray

from engine.audio import g711

_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
)
_UNITS, _TENS = _NUMBERS.split()[:20], _NUMBERS.split()[20:]
# Sounds that are no words, and which some write down and others do not.
_FILLERS = {"um", "uh", "hm", "er", "erm"}
_ALIKE = {"ok": "okay", "gonna": "going to", "wanna": "want to", "dr": "doctor", "mr": "mister", "mrs": "missus"}
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+")


def plain(text: str) -> str:
    """Text as words only: how it is written (capitals, points, digits) is no mistake of hearing."""
    said = []
    for word in _WORD.findall(text.lower().replace("\u2019", "'").replace("%", " percent").replace("&", " and ")):
        if word in _FILLERS:
            continue
        said.append(_read_out(int(word)) if word.isdigit() else _ALIKE.get(word, word))
    return " ".join(said)


def _read_out(number: int) -> str:
    if number < len(_UNITS):
        return _UNITS[number]
    if number < 100:
        tens, units = divmod(number, 10)
        return _TENS[tens - 2] + (f" {_UNITS[units]}" if units else "")
    if number < 1000 and not number % 100:
        return f"{_UNITS[number // 100]} hundred"
    return " ".join(_UNITS[int(digit)] for digit in str(number))


def word_error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Wrong, missing and added words over all words said; texts as they come."""
    return float(jiwer.wer([plain(text) for text in said], [plain(text) for text in heard]))


def with_noise(mulaw: bytes, snr_db: float, rng: np.random.Generator) -> bytes:
    """The same with pink noise (as of a street, or a crowd far off) so far below the speech's own level."""
    speech = g711.decode(mulaw).astype(np.float64)
    noise = _pink(speech.size, rng)
    blocks = speech[: speech.size // 160 * 160].reshape(-1, 160)
    power = np.mean(blocks**2, axis=1)
    voiced = float(power[power > power.max() / 100].mean())  # within 20 dB of the loudest: pauses are no speech
    mixed = speech + noise * np.sqrt(voiced / 10 ** (snr_db / 10) / np.mean(noise**2))
    return g711.encode(np.clip(mixed, -32768, 32767).astype(np.int16))


def _pink(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise whose power falls by 3 dB an octave, above 50 Hz."""
    spectrum = np.fft.rfft(rng.normal(size=size))
    hertz = np.fft.rfftfreq(size, 1 / g711.SAMPLE_RATE_HZ)
    return np.asarray(np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 50.0)), size), dtype=np.float64)
