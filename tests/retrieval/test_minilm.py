import threading
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.errors import ConfigurationError, EmbedderUnavailable, MisuseError
from engine.retrieval import minilm
from engine.retrieval.minilm import DIMENSIONS, MiniLm, MiniLmEmbedder, load_minilm


@cache
def loaded() -> MiniLm:
    return MiniLm.load()


def near(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_texts_about_the_same_are_near_each_other() -> None:
    embedder = MiniLmEmbedder(loaded())
    asked = await embedder.embed_query("where can I leave my car")
    parking, cards = await embedder.embed_passages(["Parking. There is a yard behind the house.", "We take all cards."])
    assert len(asked) == len(parking) == DIMENSIONS
    for vector in (asked, parking, cards):
        assert sqrt(near(vector, vector)) == pytest.approx(1, abs=1e-5)
    assert near(asked, parking) > near(asked, cards) + 0.2
    assert embedder.statistics() == minilm.EmbedderStatistics(1, 2, 0, 0, 0)


async def test_a_passage_has_one_vector_whatever_it_is_embedded_with() -> None:
    embedder = MiniLmEmbedder(loaded())
    text = "Parking is free. Drive in from Mill Street."
    alone = (await embedder.embed_passages([text]))[0]
    assert (await embedder.embed_passages(["Soup.", text, "x " * 300]))[1] == alone


@pytest.mark.parametrize("text", ["", "?", "\u4f60\u597d", "word " * 1000])
async def test_any_text_has_a_vector(text: str) -> None:
    vector = await MiniLmEmbedder(loaded()).embed_query(text)
    assert near(vector, vector) == pytest.approx(1, abs=1e-5)


class Held:
    """Stands in for the model; works while it is held."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.entered = threading.Semaphore(0)

    def query_vector(self, text: str) -> list[float]:
        self.entered.release()
        assert self.released.wait(10)
        return [1.0]

    def passage_vector(self, text: str) -> list[float]:
        return self.query_vector(text)


def held_embedder(**options: Any) -> tuple[Held, MiniLmEmbedder]:
    held = Held()
    model: Any = held
    return held, MiniLmEmbedder(model, **options)


async def test_a_question_too_many_is_refused_at_once() -> None:
    held, embedder = held_embedder(waiting=2, query_s=10)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(embedder.embed_query, "x")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert embedder.statistics().waiting == 2
        with pytest.raises(EmbedderUnavailable, match="2 questions wait"):
            await embedder.embed_query("x")
        held.released.set()
    assert embedder.statistics() == minilm.EmbedderStatistics(3, 0, 1, 0, 0)


async def test_a_question_that_takes_too_long_is_given_up() -> None:
    held, embedder = held_embedder(query_s=0.02)
    with pytest.raises(EmbedderUnavailable, match=r"longer than 0\.02 s"):
        await embedder.embed_query("x")
    assert embedder.statistics().late == 1
    held.released.set()


async def test_a_cancelled_question_lets_its_turn_go_at_once() -> None:
    held, embedder = held_embedder(query_s=10)
    with trio.move_on_after(0.02) as scope:
        await embedder.embed_query("x")
    assert scope.cancelled_caught
    held.released.set()


async def test_a_manual_being_read_in_never_stands_before_a_question() -> None:
    held, embedder = held_embedder(query_s=10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(embedder.embed_passages, ["a", "b"])
        assert await trio.to_thread.run_sync(held.entered.acquire, True, 5)
        nursery.start_soon(embedder.embed_query, "x")
        # The question enters although a passage holds the other thread.
        assert await trio.to_thread.run_sync(held.entered.acquire, True, 5)
        held.released.set()


def test_an_embedder_needs_a_thread_and_a_place_in_line() -> None:
    for options in ({"threads": 0}, {"waiting": 0}):
        with pytest.raises(MisuseError):
            held_embedder(**options)


async def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_MODEL_FILE", ("no_such_package", "model.onnx"))
    with pytest.raises(ConfigurationError, match=r"model\.onnx of the package no_such_package"):
        await load_minilm()


@pytest.mark.parametrize("text", ["{", "[]", '{"model": {"vocab": ["a"]}}', '{"model": {"vocab": {"a": "b"}}}'])
def test_a_vocabulary_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ConfigurationError, match="holds no vocabulary"):
        minilm._vocabulary(tmp_path / "tokenizer.json")
