"""PURE: what counts as sound, on mu-law, for everything here that listens.

One threshold for all: a sample is loud from ``LOUD`` upwards (of 32124, so about -42 dBFS), which lies above line
noise and room tone and below the quietest consonant that a listener would call speech.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.audio import g711

BYTES_PER_MS = 8
SILENCE = b"\xff"
LOUD = 256
FRAME_BYTES = 160
SAME_UTTERANCE_MS = 400.0  # a pause this long or longer separates two utterances

_MAGNITUDE: NDArray[np.int32] = np.abs(g711.decode(bytes(range(256))).astype(np.int32))
QUIET_BYTES = bytes(int(code) for code in np.flatnonzero(_MAGNITUDE < LOUD))

Interval: TypeAlias = tuple[float, float]
"""Start and end in milliseconds, end not included."""


def loud_span(mulaw: bytes) -> tuple[int, int] | None:
    """Offsets of the first loud sample and of the one after the last; None where there is none."""
    until = len(mulaw.rstrip(QUIET_BYTES))
    return (len(mulaw) - len(mulaw.lstrip(QUIET_BYTES)), until) if until else None


def sound_intervals(mulaw: bytes, *, merge_ms: float = SAME_UTTERANCE_MS) -> list[Interval]:
    """Where something sounds: judged by the mean level of 20 ms frames, then sharpened to the sample.

    Pauses shorter than ``merge_ms`` belong to the interval around them.
    """
    loud = _MAGNITUDE[np.frombuffer(mulaw, dtype=np.uint8)]
    whole = len(loud) // FRAME_BYTES * FRAME_BYTES
    levels = loud[:whole].reshape(-1, FRAME_BYTES).mean(axis=1)
    if whole < len(loud):
        levels = np.append(levels, loud[whole:].mean())
    sounding = np.flatnonzero(levels >= LOUD)
    if not len(sounding):
        return []
    breaks = np.flatnonzero(np.diff(sounding) > merge_ms / 20) + 1
    return [_sharpen(loud, int(run[0]), int(run[-1])) for run in np.split(sounding, breaks)]


def _sharpen(loud: NDArray[np.int32], first: int, last: int) -> Interval:
    inside = np.flatnonzero(loud[first * FRAME_BYTES : (last + 1) * FRAME_BYTES] >= LOUD)
    start = first * FRAME_BYTES
    return (start + int(inside[0])) / BYTES_PER_MS, (start + int(inside[-1]) + 1) / BYTES_PER_MS


def union(intervals: list[Interval]) -> list[Interval]:
    """The same time covered by intervals that neither touch nor overlap, in order."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def longest_gap(sounds: list[Interval], spans: list[Interval]) -> float | None:
    """The longest stretch of a span that no sound covers, in ms; None where there is no span."""
    covered = union(sounds)
    longest: float | None = None
    for start, end in spans:
        at = start
        gap = 0.0
        for since, until in covered:
            if until <= start or since >= end:
                continue
            gap = max(gap, since - at)
            at = max(at, until)
        longest = max(longest or 0.0, gap, end - at)
    return longest
