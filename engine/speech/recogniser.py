"""Mu-law -> text, by Moonshine (base, English) through onnxruntime: about a twentieth of the sound's length.

The encoder reads the wave itself, at 16 kHz. The decoder writes one piece of text a step, greedily, and remembers its
earlier steps (the cache): a first step reads all of the encoder's output, those that follow only what is new.

A step's time goes into fetching 40 MB of weights, whether for one piece or ten. So where the beginning of a sound has
been read before (a turn is, again and again, as it grows), the pieces found then are a *draft*: all of them are checked
in one step, and as many are taken as would have been written anyway.

Some short answers ("Okay.", "Maybe.") it would take for nothing at all, though hesitantly: so the first step may say
"nothing" only where that is likelier than all else together. It is for silence, noise and tones (0.93 and more); for
words that it would have missed it was 0.2 to 0.5, and beyond that what it wrote instead was made up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.errors import ConfigurationError
from engine.speech.trim import in_parts, spoken
from engine.speech.weights import ENCODER, FIRST, NEXT, VOCABULARY

MODEL_HZ: Final = 16_000
SHORTEST_S: Final = 0.1  # below that the encoder has nothing to work on, and nobody a word to say

_START, _END = 1, 2
_TOKENS_PER_S = 6.5  # nobody speaks faster: what goes on longer goes in circles
_SURE_OF_NOTHING = 0.5  # a probability


@dataclass(frozen=True, slots=True)
class Reading:
    """What was understood, and the draft with which a longer sound of the same beginning is read sooner."""

    text: str
    draft: bytes


class Recogniser:
    """Slow (150 ms for an average utterance): for a process or thread of its own. One thread at a time."""

    def __init__(self, encoder: Any, first: Any, following: Any, pieces: list[bytes]) -> None:
        self._encoder, self._first, self._next = encoder, first, following
        self._first_names = [output.name for output in first.get_outputs()]
        self._next_names = [output.name for output in following.get_outputs()]
        self._next_inputs = {given.name for given in following.get_inputs()}
        self._pieces = pieces

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load what ``weights.prepare`` made: about half a second.

        Raises:
            ConfigurationError: the directory does not hold it.
        """
        try:
            encoder, first, following = (_session(directory / name) for name in (ENCODER, FIRST, NEXT))
            pieces = _pieces((directory / VOCABULARY).read_bytes())
        except Exception as error:
            # onnxruntime has an exception class for each status it knows; none of them means anything else here.
            raise ConfigurationError(f"{directory} holds no weights ({error}): delete it, it is made anew") from error
        return cls(encoder, first, following, pieces)

    def read(self, mulaw: bytes, draft: bytes = b"") -> Reading:
        """What is said in this sound; empty where nothing is.

        Args:
            mulaw: any length, at 8 kHz.
            draft: of an earlier reading of the same sound, when it was shorter; any other is no harm, and no help.
        """
        pcm = spoken(g711.decode(mulaw))
        if pcm.size < SHORTEST_S * g711.SAMPLE_RATE_HZ:
            return Reading("", b"")
        expected = _unpacked(draft)
        parts = [self._read(part, expected[at] if at < len(expected) else []) for at, part in enumerate(in_parts(pcm))]
        return Reading(" ".join(filter(None, map(self._text, parts))), _packed(parts))

    def _read(self, pcm: NDArray[np.int16], expected: list[int]) -> list[int]:
        """The tokens of one part."""
        resampler = Resampler(g711.SAMPLE_RATE_HZ, MODEL_HZ)
        wave = np.concatenate((resampler.process(pcm), resampler.flush())).astype(np.float32) / 32768
        (states,) = self._encoder.run(None, {"input_values": wave[None]})
        inputs = {"input_ids": np.array([[_START]], np.int64), "encoder_hidden_states": states}
        given = dict(zip(self._first_names, self._first.run(None, inputs), strict=True))
        logits = given.pop("logits")[0, -1]
        chances = np.exp(logits - logits.max())
        if chances[_END] > _SURE_OF_NOTHING * chances.sum():
            return []
        logits[_END] = -np.inf
        cache = {_past(name): value for name, value in given.items()}
        most = int(wave.size / MODEL_HZ * _TOKENS_PER_S) + 1
        tokens: list[int] = []
        while (token := int(logits.argmax())) != _END and len(tokens) < most:
            tried = expected if not tokens and expected[:1] == [token] else [token]
            rows, cache = self._step(tried, cache)
            right = 1
            while right < len(tried) and int(rows[right - 1].argmax()) == tried[right]:
                right += 1
            tokens += tried[:right]
            logits = rows[right - 1]
            if right < len(tried):  # the start and as many tokens are what it is to remember
                cache = {
                    name: value[:, :, : right + 1] if ".decoder." in name else value for name, value in cache.items()
                }
        return tokens

    def _step(self, tokens: list[int], cache: dict[str, Any]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """After these tokens: what may follow each, shape ``(len(tokens), 32768)``, and what is remembered now."""
        inputs = {name: value for name, value in cache.items() if name in self._next_inputs}
        inputs["input_ids"] = np.array([tokens], np.int64)
        given = dict(zip(self._next_names, self._next.run(None, inputs), strict=True))
        rows: NDArray[np.float32] = given.pop("logits")[0]
        return rows, cache | {_past(name): value for name, value in given.items()}

    def _text(self, tokens: list[int]) -> str:
        said = b"".join(self._pieces[token] for token in tokens if _END < token < len(self._pieces))
        return said.decode("utf-8", errors="replace").replace("\u2581", " ").strip()


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more gain little on one sentence, and take cores from other calls
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])


def _past(name: str) -> str:
    """What one step gives as ``present.…`` the next takes as ``past_key_values.…``."""
    return name.replace("present", "past_key_values")


def _packed(parts: Sequence[list[int]]) -> bytes:
    """Tokens of each part as 16-bit numbers, with a zero (which is no token that is ever written) after each part."""
    return np.array([number for part in parts for number in (*part, 0)], np.uint16).tobytes()


def _unpacked(draft: bytes) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    for number in np.frombuffer(draft, np.uint16).tolist():
        if number:
            parts[-1].append(number)
        else:
            parts.append([])
    return parts[:-1]


def _pieces(content: bytes) -> list[bytes]:
    """The vocabulary: each piece after its length, which takes a second byte from 128 on."""
    pieces, at = [], 0
    while at < len(content):
        length, at = content[at], at + 1
        if length >= 128:
            length, at = length - 128 + content[at] * 128, at + 1
        pieces.append(content[at : at + length])
        at += length
    return pieces
