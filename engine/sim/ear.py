"""Which of the known phrases was said? The hearing of a simulated model: no speech recogniser, a comparison.

Theory of operation.  Both the phrases and what is heard become rows of 24 band levels (64 ms wide, telephone band),
freed from loudness and from what all phrases have in common, weighted by how loud the moment is.  The product of two
rows says how alike two moments are.  What is heard steps 40 ms at a time, phrases are kept every 20 ms, and one dynamic
programme runs over all phrases at once: a step of what is heard may advance 20, 40 or 60 ms in the phrase, or none.
So leading pre-roll, trailing silence, lost frames (as silence or as a jump) and resampling all cost little, while
speech that is in one and not in the other costs its share, because the sum is divided by the energy of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from engine.sim.tones import identify

Rows = NDArray[np.float32]

_WINDOW_MS = 64
_HEARD_HOP_MS = 40
_PHRASE_HOP_MS = 20
_BANDS = 24
_LOW_HZ, _HIGH_HZ = 220.0, 3400.0
_RANGE_DB = 45.0  # what lies further below the peak counts as silence
_LOUD_DB = 32.0  # the weight of a moment goes from 0 to 1 over this range below the peak
_QUIETEST = 1e-7  # -70 dBFS: a whole utterance below this is silence
_COMMON = 0.8  # how much of the phrases' common spectrum is taken out (all of it would erase a single steady tone)
_STEP_COST = 0.03  # of any step but the straight one
_ONE_THREAD = 200_000  # multiplications
_START_MS = 240  # a prefix begins in the first part of its phrase

KNOWN = (
    0.76  # least likeness of a whole phrase; measured: true ones above 0.88, strangers with half the words below 0.67
)
PREFIX_KNOWN = 0.68  # the same for the beginning of one: less evidence, so more of it
_PREFIX_SPEECH = 9.0  # loud moments (40 ms each) before a prefix is judged
_ALL_SAID = 0.92  # the rest of a phrase is its dying away
_AS_GOOD = 0.02
_RIVAL = 0.06  # phrases this close to the best could be meant as well


class Ear(Protocol):
    """What a simulated model hears with. ``pcm`` is 16 bit mono at ``rate`` Hz."""

    def hear(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        """The text of a finished utterance, or None."""

    def partial(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        """The text so far of an utterance that goes on, or None."""


class ToneEar:
    """Hears tone clips: clip 17 is the text ``tone 17``. For load: a few hundred microseconds an utterance."""

    def hear(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        """The clip's name, or None."""
        index = identify(pcm, rate)
        return None if index is None else f"tone {index}"

    def partial(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        """Nothing: a tone has no beginning that says less than the whole."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How like a phrase something is (1.0: the phrase itself), and what share of the phrase it has gone through."""

    text: str
    score: float
    reached: float


class PhraseEar:
    """Knows a set of phrases (text -> 16 bit mono at 8 kHz) and tells them apart; anything else is None."""

    def __init__(self, phrases: Mapping[str, NDArray[np.int16]]) -> None:
        self._texts = tuple(phrases)
        levels = [_levels(_trim(pcm), 8000, _PHRASE_HOP_MS) for pcm in phrases.values()]
        shapes = [shape for shape, _ in levels]
        spoken = [shape[weight > 0.3] for shape, weight in levels]
        self._common = _COMMON * np.concatenate(spoken).mean(axis=0) if spoken else np.zeros(_BANDS, np.float32)
        longest = max((len(shape) for shape in shapes), default=1)
        self._rows = np.zeros((len(levels), longest, _BANDS), np.float32)
        for at, (shape, weight) in enumerate(levels):
            self._rows[at, : len(shape)] = self._fingerprint(shape, weight)
        self._lengths = np.array([len(shape) for shape in shapes], np.float32)
        # Halved: a phrase has two rows for each one of what is heard.
        self._energy_so_far = np.cumsum((self._rows**2).sum(axis=2), axis=1) / 2

    def hear(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        """The phrase that this utterance is, or None where it is silence or none of them."""
        best = self.compare(pcm, rate)
        return best[0].text if best and best[0].score >= KNOWN else None

    def partial(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        """The words said so far, once it is clear which phrase this becomes; None before.

        Where several phrases begin alike, only the words that they share.
        """
        heard = self._heard(pcm, rate)
        if heard is None or float((heard**2).sum()) < _PREFIX_SPEECH:
            return None
        likely = self._likely_prefixes(heard)
        if not likely or likely[0].score < PREFIX_KNOWN:
            return None
        rivals = [one for one in likely if one.score >= likely[0].score - _RIVAL]
        return _shared_words([_words_so_far(one) for one in rivals]) or None

    def compare(self, pcm: NDArray[np.int16], rate: int = 16000) -> list[Likeness]:
        """Every phrase with how like it this utterance is, best first; empty for silence."""
        heard = self._heard(pcm, rate)
        if heard is None or not self._texts:
            return []
        best, _ = self._align(heard, prefix=False)
        # By the larger of the two: half a phrase is half alike, whichever side the other half is missing on.
        energies = np.maximum(self._energy_so_far[:, -1], float((heard**2).sum()))
        scores = best.max(axis=1) / np.maximum(energies, 1e-9)
        order = np.argsort(-scores)
        return [Likeness(self._texts[at], float(scores[at]), 1.0) for at in order]

    def _likely_prefixes(self, heard: Rows) -> list[Likeness]:
        _, last = self._align(heard, prefix=True)
        energies = self._energy_so_far * float((heard**2).sum())
        scores = np.where(energies > 1e-6, last / np.sqrt(np.maximum(energies, 1e-6)), 0.0)
        best = scores.max(axis=1)
        # Of the places that are as good as the best the furthest: the sum is flat where speech is soft.
        reached = scores.shape[1] - np.argmax((scores >= best[:, None] - _AS_GOOD)[:, ::-1], axis=1)
        found = [
            Likeness(text, float(score), min(1.0, float(end / length)))
            for text, score, end, length in zip(self._texts, best, reached, self._lengths, strict=True)
        ]
        return sorted(found, key=lambda one: -one.score)

    def _align(self, heard: Rows, *, prefix: bool) -> tuple[Rows, Rows]:
        """Best sum that ends at each row of each phrase: at any time, and at the last moment heard."""
        count, longest, _ = self._rows.shape
        alike = _product(heard, self._rows.reshape(-1, _BANDS).T).reshape(len(heard), count, longest)
        begin = np.zeros((count, longest), np.float32)
        if prefix:
            begin[:, _START_MS // _PHRASE_HOP_MS :] = -1e9
        # Three empty rows in front, so that every step back is a slice.
        before = np.full((count, longest + 3), -1e9, np.float32)
        best = np.full((count, longest), -1e9, np.float32)
        for row in alike:
            came = np.maximum(before[:, 2:-1], begin) - _STEP_COST
            np.maximum(came, before[:, :-3] - _STEP_COST, out=came)
            np.maximum(came, before[:, 1:-2], out=came)
            np.maximum(came, begin, out=came)
            came += row
            np.maximum(came, before[:, 3:] - _STEP_COST, out=came)
            before[:, 3:] = came
            np.maximum(best, came, out=best)
        return best, before[:, 3:]

    def _heard(self, pcm: NDArray[np.int16], rate: int) -> Rows | None:
        if len(pcm) < rate * _WINDOW_MS // 1000:
            return None
        shape, weight = _levels(pcm, rate, _HEARD_HOP_MS)
        loud = np.flatnonzero(weight)
        if len(loud) == 0:
            return None
        return self._fingerprint(shape, weight)[loud[0] : loud[-1] + 1]

    def _fingerprint(self, shape: Rows, weight: Rows) -> Rows:
        own = shape - self._common
        length = np.sqrt((own**2).sum(axis=1, keepdims=True))
        unit: Rows = own / np.maximum(length, 1e-3)
        return (unit * weight[:, None]).astype(np.float32)


def _levels(pcm: NDArray[np.int16], rate: int, hop_ms: int) -> tuple[Rows, Rows]:
    """Band levels in dB less their mean, one row per hop, and each row's weight by loudness (0 to 1)."""
    size, hop = rate * _WINDOW_MS // 1000, rate * hop_ms // 1000
    samples = pcm.astype(np.float32) / 32768
    samples = np.pad(samples, (0, max(0, size - len(samples))))
    frames = sliding_window_view(samples, size)[::hop] * np.hanning(size).astype(np.float32)
    filters = _filters()
    power = (np.abs(np.fft.rfft(frames, axis=1)[:, : len(filters)]) ** 2).astype(np.float32) / (size * size / 16)
    bands = _product(power, filters)
    total = bands.sum(axis=1)
    peak = max(float(np.quantile(total, 0.97)), _QUIETEST)
    decibels = 10 * np.log10(bands + peak * 10 ** (-_RANGE_DB / 10))
    loudness = 10 * np.log10(total / peak + 1e-6)
    weight = np.clip(1 + loudness / _LOUD_DB, 0, 1) * (total > _QUIETEST / 10)
    return (decibels - decibels.mean(axis=1, keepdims=True)).astype(np.float32), weight.astype(np.float32)


def _product(left: Rows, right: Rows) -> Rows:
    """Their product, in pieces too small for BLAS to wake its threads: on a busy machine that costs up to 10 ms."""
    step = max(1, _ONE_THREAD // max(1, right.size))
    return np.concatenate([left[at : at + step] @ right for at in range(0, len(left), step)])


@lru_cache(maxsize=1)
def _filters() -> Rows:
    """Triangles, evenly spaced on the mel scale; bins are 15.6 Hz wide at every rate, the window being 64 ms."""
    edges_mel = np.linspace(_mel(_LOW_HZ), _mel(_HIGH_HZ), _BANDS + 2)
    edges = 700 * (10 ** (edges_mel / 2595) - 1)
    bins = np.arange(int(_HIGH_HZ * _WINDOW_MS / 1000) + 1) * 1000 / _WINDOW_MS
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, 1).astype(np.float32)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _trim(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    """Without the silence around it: a phrase's length is its speech."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > 300)
    return pcm if len(loud) == 0 else pcm[max(0, loud[0] - 160) : loud[-1] + 160]


def _words_so_far(likely: Likeness) -> list[str]:
    words = likely.text.split()
    return words[: round(min(1.0, likely.reached / _ALL_SAID) * len(words))]


def _shared_words(texts: list[list[str]]) -> str:
    shared = []
    for words in zip(*texts, strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    return " ".join(shared)
