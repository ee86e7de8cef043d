"""The remote embedder: gemini-embedding-001 through Google's own client, made to run under trio.

With its default options that client insists on asyncio; given an httpx client to use, it does not. The client is
imported here and nowhere else in this room, and only when one is opened: that takes a second.
"""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import trio

from engine.errors import EmbedderUnavailable
from engine.log import get_logger

if TYPE_CHECKING:
    from google import genai

MODEL_ID = "gemini-embedding-001"
DIMENSIONS = 768  # of 3072: a quarter of the room and of the search's time; the first ones carry most of the meaning
BATCH = 100  # texts; the service takes no more in one request
QUERY_S = 1.0  # a question still unanswered then is of no use to its turn
BATCH_S = 60.0
ATTEMPTS = 5
FIRST_PAUSE_S = 1.0  # doubles with every attempt: 15 s in all, about what a rate limit per minute needs to ease

_ASK_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_log = get_logger("retrieval")


class GeminiEmbedder:
    """``Embedder`` over an open client; see ``open_gemini_embedder``."""

    def __init__(self, client: "genai.Client", *, query_s: float = QUERY_S) -> None:
        self._client = client
        self._query_s = query_s

    @property
    def model(self) -> str:
        """See ``Embedder``."""
        return f"{MODEL_ID}/{DIMENSIONS}"

    @property
    def floor(self) -> float:
        """See ``Embedder``. Not measured on this model, so nothing is dropped."""
        return -1.0

    async def embed_query(self, text: str) -> list[float]:
        """See ``Embedder``. One attempt: there is no time for a second within a turn."""
        return (await self._ask([text], "RETRIEVAL_QUERY", self._query_s))[0]

    async def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        """See ``Embedder``. What a later attempt may mend is tried again, with growing pauses."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            vectors.extend(await self._ask_again(texts[start : start + BATCH]))
        return vectors

    async def _ask_again(self, texts: Sequence[str]) -> list[list[float]]:
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

    async def _ask(self, texts: Sequence[str], task: str, deadline_s: float) -> list[list[float]]:
        from google.genai import errors, types

        config = types.EmbedContentConfig(task_type=task, output_dimensionality=DIMENSIONS)
        try:
            with trio.fail_after(deadline_s):
                answer = await self._client.aio.models.embed_content(
                    model=MODEL_ID, contents=list(texts), config=config
                )
        except trio.TooSlowError:
            raise EmbedderUnavailable(f"{MODEL_ID} took longer than {deadline_s} s") from None
        except errors.APIError as error:
            said = f"{MODEL_ID} refused: {error.code} {error.status or ''} {error.message or ''}"
            raise EmbedderUnavailable(said.strip(), retry=error.code in _ASK_AGAIN) from None
        except httpx.HTTPError as error:
            raise EmbedderUnavailable(f"{MODEL_ID} cannot be reached: {error!r}") from None
        except ValueError as error:  # what the client raises for an answer that is no JSON, or not of its types
            raise EmbedderUnavailable(f"{MODEL_ID} answered what cannot be understood: {error!r}") from None
        vectors = [embedding.values or [] for embedding in answer.embeddings or []]
        if [len(vector) for vector in vectors] != [DIMENSIONS] * len(texts):
            raise EmbedderUnavailable(f"{MODEL_ID} gave other vectors than the {len(texts)} that were asked for")
        return [_normal(vector) for vector in vectors]


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
    # Deadlines are trio's, in ``_ask``; this one only ends what nobody waits for any longer.
    async with httpx.AsyncClient(timeout=BATCH_S) as http:
        client = await trio.to_thread.run_sync(_client, api_key, url, http)
        yield GeminiEmbedder(client, query_s=query_s)


def _client(api_key: str, url: str | None, http: httpx.AsyncClient) -> "genai.Client":
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=url, httpx_async_client=http, timeout=int(1000 * BATCH_S))
    return genai.Client(api_key=api_key, vertexai=False, http_options=options)


def _normal(vector: Sequence[float]) -> list[float]:
    """Of length 1: only the model's full 3072 dimensions come so."""
    length = math.sqrt(sum(value * value for value in vector))
    if not length:
        raise EmbedderUnavailable(f"{MODEL_ID} gave a vector without a direction")
    return [value / length for value in vector]
