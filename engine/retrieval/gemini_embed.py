"""The remote embedder: gemini-embedding-001, asked as Google's own client asks it, without the weight of that client.

Several questions per turn of every call go this way, and the client makes and checks a dozen objects for each; what it
sends and reads is one small JSON document. (A test holds the two against each other.)
"""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import numpy.typing as npt
import orjson
import trio

from engine.errors import EmbedderUnavailable
from engine.log import get_logger
from engine.retrieval.json_service import UNREACHABLE, JsonService, open_json_service

URL = "https://generativelanguage.googleapis.com"
MODEL_ID = "gemini-embedding-001"
DIMENSIONS = 768  # of 3072: a quarter of the room and of the search's time; the first ones carry most of the meaning
BATCH = 100  # texts; the service takes no more in one request
QUERY_S = 1.0  # a question still unanswered then is of no use to its turn
BATCH_S = 60.0
ATTEMPTS = 5
FIRST_PAUSE_S = 1.0  # doubles with every attempt: 15 s in all, about what a rate limit per minute needs to ease

_PATH = f"/v1/models/{MODEL_ID}:batchEmbedContents"
_ASK_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_log = get_logger("retrieval")


class GeminiEmbedder:
    """``Embedder`` over an open service; see ``open_gemini_embedder``."""

    def __init__(self, service: JsonService, *, query_s: float = QUERY_S) -> None:
        self._service = service
        self._query_s = query_s

    @property
    def model(self) -> str:
        """See ``Embedder``."""
        return f"{MODEL_ID}/{DIMENSIONS}"

    @property
    def floor(self) -> float:
        """See ``Embedder``. Not measured on this model, so nothing is dropped."""
        return -1.0

    async def embed_query(self, text: str) -> npt.NDArray[np.float64]:
        """See ``Embedder``. One attempt: there is no time for a second within a turn."""
        return (await self._ask([text], "RETRIEVAL_QUERY", self._query_s))[0]

    async def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        """See ``Embedder``. What a later attempt may mend is tried again, with growing pauses."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            vectors.extend(vector.tolist() for vector in await self._ask_again(texts[start : start + BATCH]))
        return vectors

    async def _ask_again(self, texts: Sequence[str]) -> list[npt.NDArray[np.float64]]:
        pause_s = FIRST_PAUSE_S
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._ask(texts, "RETRIEVAL_DOCUMENT", BATCH_S)
            except EmbedderUnavailable as error:
                if not error.retry:
                    raise
                _log.warning("embedding is tried again", error=str(error), pause_s=pause_s)
            await trio.sleep(pause_s)
            pause_s *= 2
        return await self._ask(texts, "RETRIEVAL_DOCUMENT", BATCH_S)

    async def _ask(self, texts: Sequence[str], task: str, deadline_s: float) -> list[npt.NDArray[np.float64]]:
        try:
            with trio.fail_after(deadline_s):
                status, answer = await self._service.post(_PATH, _request(texts, task))
        except trio.TooSlowError:
            raise EmbedderUnavailable(f"{MODEL_ID} took longer than {deadline_s} s") from None
        except UNREACHABLE as error:
            raise EmbedderUnavailable(f"{MODEL_ID} cannot be reached: {error!r}") from None
        if status != 200:
            raise EmbedderUnavailable(
                f"{MODEL_ID} refused: {status} {_reason(answer)}".strip(), retry=status in _ASK_AGAIN
            )
        try:
            vectors = [embedding["values"] for embedding in orjson.loads(answer).get("embeddings", ())]
            if [len(vector) for vector in vectors] != [DIMENSIONS] * len(texts):
                raise EmbedderUnavailable(f"{MODEL_ID} gave other vectors than the {len(texts)} that were asked for")
            return [_normal(vector) for vector in vectors]
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # no JSON, or of another shape
            raise EmbedderUnavailable(f"{MODEL_ID} answered what cannot be understood: {error!r}") from None


@asynccontextmanager
async def open_gemini_embedder(
    api_key: str, *, url: str | None = None, query_s: float = QUERY_S
) -> AsyncIterator[GeminiEmbedder]:
    """An embedder with connections of its own, which are closed at the end.

    Args:
        api_key: of the service; sent as a header, never logged.
        url: another base (``https://...``), for proxies and tests.
        query_s: a question's deadline.
    """
    async with open_json_service(url or URL, [("x-goog-api-key", api_key)]) as service:
        yield GeminiEmbedder(service, query_s=query_s)


def _request(texts: Sequence[str], task: str) -> bytes:
    model = f"models/{MODEL_ID}"
    return orjson.dumps(
        {
            "requests": [
                {
                    "model": model,
                    "content": {"role": "user", "parts": [{"text": text}]},
                    "taskType": task,
                    "outputDimensionality": DIMENSIONS,
                }
                for text in texts
            ]
        }
    )


def _reason(answer: bytes) -> str:
    """Why it refused, in its own words, where it says so as it usually does."""
    try:
        error = orjson.loads(answer)["error"]
        return f"{error.get('status') or ''} {error.get('message') or ''}".strip()
    except (ValueError, TypeError, LookupError, AttributeError):
        return ""


def _normal(vector: Sequence[float]) -> npt.NDArray[np.float64]:
    """Of length 1: only the model's full 3072 dimensions come so."""
    values = np.asarray(vector, np.float64)
    length = math.sqrt(float(values @ values))
    if not length:
        raise EmbedderUnavailable(f"{MODEL_ID} gave a vector without a direction")
    values /= length
    return values
