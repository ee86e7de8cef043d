"""The remote embedder against a small HTTP server on the loopback interface."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import h11
import httpx
import pytest
import trio
from google import genai
from google.genai import types

from engine.errors import EmbedderUnavailable
from engine.retrieval import gemini_embed
from engine.retrieval.gemini_embed import BATCH, DIMENSIONS, GeminiEmbedder, open_gemini_embedder

Answer: TypeAlias = tuple[int, bytes]


def vectors(n: int, length: int = DIMENSIONS) -> bytes:
    return json.dumps({"embeddings": [{"values": [3.0, 4.0] + [0.0] * (length - 2)}] * n}).encode()


def refusal(code: int, status: str) -> Answer:
    return code, json.dumps({"error": {"code": code, "message": "no", "status": status}}).encode()


def good(asked: dict[str, Any]) -> Answer:
    return 200, vectors(len(asked["requests"]))


@dataclass
class Stub:
    """Answers every request with ``answer(body)``; remembers what it was asked. None: it never answers."""

    answer: Callable[[dict[str, Any]], Answer | None] = good
    targets: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def serve(self, stream: trio.SocketStream) -> None:
        http = h11.Connection(h11.SERVER)
        while True:
            body = b""
            while not isinstance(event := http.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    http.receive_data(await stream.receive_some())
                elif isinstance(event, h11.ConnectionClosed):
                    return
                elif isinstance(event, h11.Request):
                    self.targets.append(event.target.decode())
                    self.keys += [value.decode() for name, value in event.headers if name == b"x-goog-api-key"]
                elif isinstance(event, h11.Data):
                    body += event.data
            self.bodies.append(json.loads(body))
            if (answer := self.answer(self.bodies[-1])) is None:
                await trio.sleep_forever()
            status, content = answer
            headers = [("content-type", "application/json"), ("content-length", str(len(content)))]
            head = http.send(h11.Response(status_code=status, headers=headers)) or b""
            data = http.send(h11.Data(data=content)) or b""
            await stream.send_all(head + data + (http.send(h11.EndOfMessage()) or b""))
            http.start_next_cycle()


@asynccontextmanager
async def embedder_of(stub: Stub, query_s: float = 5) -> AsyncIterator[GeminiEmbedder]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            trio.serve_tcp,
            stub.serve,
            0,
        )
        port = listeners[0].socket.getsockname()[1]
        async with open_gemini_embedder("key-1", url=f"http://127.0.0.1:{port}", query_s=query_s) as embedder:
            yield embedder
        nursery.cancel_scope.cancel()


async def test_a_question_is_asked_as_one_and_comes_back_at_length_one() -> None:
    stub = Stub()
    async with embedder_of(stub) as embedder:
        vector = await embedder.embed_query("where can I park")
    assert vector[:3] == pytest.approx([0.6, 0.8, 0.0])
    assert len(vector) == DIMENSIONS
    assert stub.keys == ["key-1"]
    assert stub.targets[0].endswith("/models/gemini-embedding-001:batchEmbedContents")
    (asked,) = stub.bodies[0]["requests"]
    assert (asked["taskType"], asked["outputDimensionality"]) == ("RETRIEVAL_QUERY", DIMENSIONS)
    assert asked["content"]["parts"] == [{"text": "where can I park"}]


async def test_it_asks_exactly_what_the_vendors_own_client_asks() -> None:
    stub = Stub()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, stub.serve, 0)
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with open_gemini_embedder("key-1", url=url) as embedder:
            await embedder.embed_query("where can I park")
        async with httpx.AsyncClient() as http:
            options = types.HttpOptions(base_url=url, httpx_async_client=http)
            vendor = genai.Client(api_key="key-1", vertexai=False, http_options=options)
            config = types.EmbedContentConfig(
                task_type="RETRIEVAL_QUERY", output_dimensionality=gemini_embed.DIMENSIONS
            )
            await vendor.aio.models.embed_content(
                model=gemini_embed.MODEL_ID, contents=["where can I park"], config=config
            )
        nursery.cancel_scope.cancel()
    assert stub.bodies[0] == stub.bodies[1]
    assert stub.targets[0] == stub.targets[1]
    assert stub.keys == ["key-1", "key-1"]


async def test_passages_go_in_batches_and_keep_their_order() -> None:
    def numbered(asked: dict[str, Any]) -> Answer:
        texts = [request["content"]["parts"][0]["text"] for request in asked["requests"]]
        rows = [{"values": [float(text), 1000.0] + [0.0] * (DIMENSIONS - 2)} for text in texts]
        return 200, json.dumps({"embeddings": rows}).encode()

    stub = Stub(numbered)
    texts = [str(n) for n in range(BATCH + 20)]
    async with embedder_of(stub) as embedder:
        made = await embedder.embed_passages(texts)
    assert [round(1000 * vector[0] / vector[1]) for vector in made] == list(range(BATCH + 20))
    assert [len(body["requests"]) for body in stub.bodies] == [BATCH, 20]
    assert {request["taskType"] for body in stub.bodies for request in body["requests"]} == {"RETRIEVAL_DOCUMENT"}


@pytest.mark.parametrize(
    ("answer", "retry", "said"),
    [
        (refusal(429, "RESOURCE_EXHAUSTED"), True, "429 RESOURCE_EXHAUSTED"),
        (refusal(503, "UNAVAILABLE"), True, "503 UNAVAILABLE"),
        (refusal(403, "PERMISSION_DENIED"), False, "403 PERMISSION_DENIED"),
        (refusal(404, "NOT_FOUND"), False, "404 NOT_FOUND"),
        ((200, b"<html>"), True, "cannot be understood"),
        ((200, vectors(2)), True, "other vectors than the 1"),
        ((200, vectors(1, length=10)), True, "other vectors than the 1"),
        ((502, b"<html>Bad Gateway</html>"), True, "refused: 502"),
        ((200, b"[]"), True, "cannot be understood"),
        ((200, b'{"embeddings": [{"values": "no numbers"}]}'), True, "other vectors"),
        ((200, b'{"embeddings": [{}]}'), True, "cannot be understood"),
        ((200, json.dumps({"embeddings": [{"values": ["x"] * DIMENSIONS}]}).encode()), True, "cannot be understood"),
        ((200, json.dumps({"embeddings": [{"values": [0.0] * DIMENSIONS}]}).encode()), True, "without a direction"),
        ((200, b"{}"), True, "other vectors than the 1"),
    ],
)
async def test_what_the_service_does_wrong_is_one_kind_of_error(answer: Answer, retry: bool, said: str) -> None:
    async with embedder_of(Stub(lambda _: answer)) as embedder:
        with pytest.raises(EmbedderUnavailable, match=said) as refused:
            await embedder.embed_query("x")
    assert refused.value.retry is retry
    assert "key-1" not in str(refused.value)


async def test_a_service_that_is_not_there_is_one_kind_of_error() -> None:
    async with open_gemini_embedder("key-1", url="http://127.0.0.1:1") as embedder:
        with pytest.raises(EmbedderUnavailable, match="cannot be reached"):
            await embedder.embed_query("x")


async def test_a_question_has_a_deadline_and_the_next_one_works() -> None:
    answers: list[Callable[[dict[str, Any]], Answer | None]] = [lambda _: None, good]
    async with embedder_of(Stub(lambda body: answers.pop(0)(body)), query_s=0.1) as embedder:
        with pytest.raises(EmbedderUnavailable, match=r"longer than 0\.1 s"):
            await embedder.embed_query("x")
        embedder._query_s = 5
        assert len(await embedder.embed_query("x")) == DIMENSIONS


async def test_passages_are_tried_again_when_the_service_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemini_embed, "FIRST_PAUSE_S", 0.001)
    answers = [refusal(429, "RESOURCE_EXHAUSTED"), refusal(503, "UNAVAILABLE"), (200, vectors(1))]
    async with embedder_of(Stub(lambda _: answers.pop(0))) as embedder:
        assert len(await embedder.embed_passages(["x"])) == 1


async def test_passages_are_not_tried_again_for_ever_or_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemini_embed, "FIRST_PAUSE_S", 0.001)
    for code, tries in ((503, gemini_embed.ATTEMPTS), (403, 1)):
        stub = Stub(lambda _, code=code: refusal(code, "X"))  # type: ignore[misc]
        async with embedder_of(stub) as embedder:
            with pytest.raises(EmbedderUnavailable):
                await embedder.embed_passages(["x"])
        assert len(stub.bodies) == tries
