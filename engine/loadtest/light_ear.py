"""What a light model hears and writes down: as ``Scribe`` with a ``LengthEar``, but sound is decoded at its edges only.

The questions of a load test are told apart by how long they are, so only the beginning and the end of what is loud
matter: a handful of messages of each turn are decoded, the others counted.
"""

import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.loadtest.talk import BEGINNING, BEGUN_MS, LOUD, LengthEar
from engine.sim.scribe import GOES_ON_WITHIN_S

BLOCK_MS = 20
INTERIM_S = 0.3
PADDING_MS = 300.0  # what a stream without activities keeps from before somebody speaks
ONSET_RMS = 300.0
ONSET_BLOCKS = 3
SHORT = 128  # bytes; up to here one long integer is unmasked faster than an array


class Window(NamedTuple):
    """One message of the caller's sound, as it came: ``body[first:last]`` is base64, masked with ``key``.

    ``per_ms``: samples.
    """

    key: bytes
    body: bytes
    first: int
    last: int
    ms: float
    per_ms: int

    def pcm(self) -> NDArray[np.int16]:
        """Decoded."""
        return np.frombuffer(binascii.a2b_base64(unmasked(self.key, self.body, self.first, self.last)), np.int16)

    def blocks(self) -> NDArray[np.int16]:
        """Decoded: its whole blocks of 20 ms."""
        pcm, size = self.pcm(), BLOCK_MS * self.per_ms
        return pcm[: len(pcm) // size * size].reshape(-1, size)


def unmasked(key: bytes, body: bytes, first: int, last: int) -> bytes:
    """A part of a masked payload, readable."""
    from_ = first & ~3  # the key begins anew every four bytes
    if last - from_ <= SHORT:
        part = body[from_:last]
        keys = (key * (SHORT // 4))[: len(part)]
        clear = (int.from_bytes(part, "little") ^ int.from_bytes(keys, "little")).to_bytes(len(part), "little")
        return clear[first - from_ :]
    whole = (last - from_) // 4
    words = np.frombuffer(body, np.uint32, whole, from_) ^ np.frombuffer(key, np.uint32)
    return words.tobytes()[first - from_ :] + unmasked(key, body, from_ + 4 * whole, last)


def loud_ms(windows: Sequence[Window]) -> float:
    """As ``talk.loud_ms`` of all of them joined."""
    until = _quiet_ms(reversed(windows), from_end=True)
    return 0.0 if until is None else sum(one.ms for one in windows) - until - (_quiet_ms(windows) or 0.0)


def _quiet_ms(windows: Iterable[Window], *, from_end: bool = False) -> float | None:
    """How long it is quiet before the first loud block; None where there is none."""
    quiet = 0.0
    for window in windows:
        blocks = np.abs(window.blocks()[:, :: window.per_ms // 4]).max(axis=1)
        loud = np.flatnonzero(blocks > LOUD)
        if len(loud):
            return quiet + BLOCK_MS * float(len(blocks) - 1 - loud[-1] if from_end else loud[0])
        quiet += window.ms
    return None


@dataclass(slots=True)
class Piece:
    """What came in since speech began; ``before``: the piece that this one goes on with, and what it said."""

    began_at: float
    windows: list[Window] = field(default_factory=list)
    ms: float = 0.0
    interim_at: float = 0.0
    interim: str = ""
    before: Sequence[Window] = ()
    written: str = ""


class LightScribe:
    """One session's pieces. ``ear`` None: it writes down nothing."""

    def __init__(self, ear: LengthEar | None) -> None:
        self._ear = ear
        self._flushed: tuple[float, Sequence[Window], str] | None = None
        self._waiting: list[Window] = []
        self._run = 0

    def begin(self, now: float) -> Piece:
        """Speech begins."""
        piece = Piece(now, interim_at=now)
        if self._flushed is not None and now - self._flushed[0] <= GOES_ON_WITHIN_S:
            _, piece.before, piece.written = self._flushed
        self._flushed = None
        return piece

    def wait(self, window: Window, now: float) -> Piece | None:
        """Sound while nobody has spoken: the piece that begins with it, if it does (then ``hush`` before the next)."""
        self._waiting.append(window)
        levels = np.sqrt(np.mean(window.blocks().astype(np.float32) ** 2, axis=1))
        for at, level in enumerate(levels):
            self._run = self._run + 1 if level > ONSET_RMS else 0
            if self._run >= ONSET_BLOCKS:
                piece = self.begin(now)
                piece.windows = self._waiting
                waited = sum(one.ms for one in self._waiting[:-1]) + BLOCK_MS * (at + 1)
                piece.ms = min(PADDING_MS, waited) + window.ms - BLOCK_MS * (at + 1)
                return piece
        while sum(one.ms for one in self._waiting[1:]) >= PADDING_MS:
            del self._waiting[0]
        return None

    def hush(self) -> None:
        """The stream paused: whoever was about to speak has stopped."""
        self._waiting, self._run = [], 0

    def interim(self, piece: Piece, now: float, *, later_ms: float = 0.0) -> str | None:
        """What is understood so far of this piece, now and then; None where that is nothing new.

        Args:
            piece: with all that has come.
            now: the instant.
            later_ms: of its end, what was not there yet when it was looked at.
        """
        if now < piece.interim_at + INTERIM_S:
            return None
        piece.interim_at = now
        ms = piece.ms - later_ms
        text = _new_words(piece, _begun(ms + sum(one.ms for one in piece.before))) or _begun(ms)
        if self._ear is None or not text or text == piece.interim:
            return None
        piece.interim = text
        return text

    def final(self, piece: Piece, now: float, *, flushed: bool) -> str | None:
        """What this piece said; ``flushed``: it may go on."""
        if self._ear is None or not piece.windows:
            return None
        whole = [*piece.before, *piece.windows]
        text = _new_words(piece, self._ear.name(loud_ms(whole)))
        text = text or self._ear.name(loud_ms(piece.windows)) or piece.interim
        if flushed:
            self._flushed = now, whole, f"{piece.written} {text}".strip()
        return text


def _begun(ms: float) -> str | None:
    return BEGINNING if ms >= BEGUN_MS else None


def _new_words(piece: Piece, whole: str | None) -> str | None:
    if not piece.before or not whole or not whole.startswith(piece.written):
        return None
    return whole.removeprefix(piece.written).strip()
