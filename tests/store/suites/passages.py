"""What every ``PassageStore`` promises. The fixture ``passages`` is one."""

from collections.abc import Sequence
from hashlib import sha256

import pytest

from engine.errors import MisuseError
from engine.store.passages import NewPassage, PassageStore, ReplaceReport, SourceDocument, StoredPassage

MODEL = "toy-3"
FAQ = SourceDocument("faq", "Questions.md", "markdown", "v1")
TEXTS = ("We are open from nine to five.", "Parking is behind the house.", "A cleaning costs ninety dollars.")
VECTORS = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def pieces(texts: Sequence[str]) -> list[NewPassage]:
    return [NewPassage(n, f"Part {text.split()[0]}", text, digest(text)) for n, text in enumerate(texts)]


def vectors(texts: Sequence[str] = TEXTS) -> dict[str, list[float]]:
    return {digest(text): VECTORS[TEXTS.index(text)] for text in texts}


async def filled(passages: PassageStore, tenant_id: str = "acme", texts: Sequence[str] = TEXTS) -> ReplaceReport:
    return await passages.replace_source(tenant_id, FAQ, pieces(texts), vectors(texts), MODEL)


async def test_the_nearest_come_first_with_their_cosine(passages: PassageStore) -> None:
    assert await filled(passages) == ReplaceReport(3, 0, 0)
    found = await passages.nearest("acme", MODEL, [6.0, 8.0, 0.0], 2)
    assert [(one.source, one.heading, one.body) for one in found] == [
        ("Questions.md", "Part Parking", TEXTS[1]),
        ("Questions.md", "Part We", TEXTS[0]),
    ]
    assert [one.score for one in found] == pytest.approx([0.8, 0.6], abs=1e-3)


async def test_a_source_is_replaced_and_what_stayed_needs_no_vector(passages: PassageStore) -> None:
    await filled(passages)
    assert await passages.known_vectors("acme", MODEL, [digest(TEXTS[0]), "new"]) == {digest(TEXTS[0])}
    changed = pieces(["A new line.", TEXTS[2], TEXTS[0]])
    report = await passages.replace_source("acme", FAQ, changed, {digest("A new line."): [1, 1, 1]}, MODEL)
    assert report == ReplaceReport(1, 2, 1)
    found = await passages.nearest("acme", MODEL, [1, 1, 1], 10)
    assert sorted(one.body for one in found) == sorted(["A new line.", TEXTS[2], TEXTS[0]])
    assert found[0].body == "A new line."
    assert await passages.known_vectors("acme", MODEL, [digest(TEXTS[1])]) == set()


async def test_replacing_by_the_same_changes_nothing(passages: PassageStore) -> None:
    await filled(passages)
    before = await passages.nearest("acme", MODEL, [1, 2, 3], 10)
    assert await passages.replace_source("acme", FAQ, pieces(TEXTS), {}, MODEL) == ReplaceReport(0, 3, 0)
    assert await passages.nearest("acme", MODEL, [1, 2, 3], 10) == before


async def test_a_replacement_that_cannot_be_done_leaves_the_source_as_it_was(passages: PassageStore) -> None:
    await filled(passages)
    before = await passages.nearest("acme", MODEL, [1, 2, 3], 10)
    bads: list[dict[str, list[float]]] = [{}, *({"n": bad} for bad in ([1.0, 2.0], [], [0.0] * 3, [float("nan"), 0.0]))]
    for bad in bads:
        with pytest.raises(MisuseError):
            await passages.replace_source("acme", FAQ, [NewPassage(0, "", "new", "n")], bad, MODEL)
    assert await passages.nearest("acme", MODEL, [1, 2, 3], 10) == before


async def test_a_text_that_occurs_twice_is_there_twice(passages: PassageStore) -> None:
    assert await filled(passages, texts=[TEXTS[0], TEXTS[0]]) == ReplaceReport(2, 0, 0)
    assert len(await passages.nearest("acme", MODEL, [1, 0, 0], 10)) == 2
    assert await filled(passages, texts=[TEXTS[0]]) == ReplaceReport(0, 1, 1)


async def test_another_source_may_lend_its_vectors(passages: PassageStore) -> None:
    await filled(passages)
    copy = SourceDocument("copy", "Copy.md", "markdown", "v1")
    assert await passages.replace_source("acme", copy, pieces(TEXTS[:1]), {}, MODEL) == ReplaceReport(1, 0, 0)
    found = await passages.nearest("acme", MODEL, [1, 0, 0], 2)
    assert sorted(one.source for one in found) == ["Copy.md", "Questions.md"]


async def test_models_do_not_mix(passages: PassageStore) -> None:
    await filled(passages)
    assert await passages.nearest("acme", "other-2", [1, 0], 5) == []
    assert await passages.known_vectors("acme", "other-2", [digest(TEXTS[0])]) == set()
    with pytest.raises(MisuseError):
        await passages.nearest("acme", MODEL, [1, 0], 5)
    with pytest.raises(MisuseError):
        await passages.nearest("acme", MODEL, [0, 0, 0], 5)


async def test_words_find_passages_best_first(passages: PassageStore) -> None:
    await filled(passages)
    found = await passages.lexical("acme", "What does a cleaning cost, and how many dollars?", 2)
    assert found[0].body == TEXTS[2]
    assert all(one.score > 0 for one in found)
    assert await passages.lexical("acme", "zebra", 5) == []
    assert await passages.lexical("acme", "  ' & | ! \\ (:*\x00 ", 5) == []


async def test_tenants_know_nothing_of_each_other(passages: PassageStore) -> None:
    await filled(passages)
    await filled(passages, "other", TEXTS[:1])
    assert [one.body for one in await passages.nearest("other", MODEL, [0, 0, 1], 10)] == [TEXTS[0]]
    assert await passages.lexical("other", "parking cleaning", 10) == []
    assert await passages.known_vectors("other", MODEL, map(digest, TEXTS)) == {digest(TEXTS[0])}
    assert await passages.delete_source("other", "faq") is True
    assert await passages.sources("other") == []
    assert await passages.sources("acme") == [FAQ]
    assert len(await passages.nearest("acme", MODEL, [1, 1, 1], 10)) == 3


async def test_a_deleted_source_takes_all_along(passages: PassageStore) -> None:
    await filled(passages)
    assert await passages.delete_source("acme", "faq") is True
    assert await passages.delete_source("acme", "faq") is False
    assert await passages.nearest("acme", MODEL, [1, 0, 0], 10) == list[StoredPassage]()
    assert await passages.lexical("acme", "open", 10) == []
    assert await passages.known_vectors("acme", MODEL, map(digest, TEXTS)) == set()


async def test_sources_come_by_name_with_their_latest_digest(passages: PassageStore) -> None:
    later = SourceDocument("faq", "A.md", "markdown", "v2")
    await filled(passages)
    await passages.replace_source("acme", SourceDocument("b", "B.csv", "csv", "v1"), [], {}, MODEL)
    await passages.replace_source("acme", later, [], {}, MODEL)
    assert await passages.sources("acme") == [later, SourceDocument("b", "B.csv", "csv", "v1")]
