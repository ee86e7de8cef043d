import pytest

from bench.retrieval_quality import (
    GOAL,
    LIMIT,
    SETS,
    add_share,
    best_first,
    figures,
    fuse_by_rank,
    place_of,
    read_questions,
)
from engine.retrieval.ingest import Library
from engine.retrieval.knowledge_search import KnowledgeSearch
from engine.retrieval.minilm import load_minilm
from engine.store.passages import MemoryPassages
from engine.tenants import examples
from engine.tenants.hours import read_week
from engine.tools.catalog import standard_catalog


def test_figures_count_first_places_first_three_and_reciprocal_places() -> None:
    counted = figures([1, 3, 4, None])
    assert (counted.n, counted.hit1, counted.hit3) == (4, 0.25, 0.5)
    assert counted.mrr == pytest.approx((1 + 1 / 3 + 1 / 4) / 4)


def test_the_place_is_that_of_the_first_expected_source() -> None:
    assert place_of(["a", "b", "c"], ["c", "b"]) == 2
    assert place_of(["a"], ["b"]) is None


def test_fusing_by_rank_puts_first_what_both_put_high() -> None:
    assert best_first(fuse_by_rank([{"a": 0.9, "b": 0.8, "c": 0.1}, {"b": 5.0, "c": 4.0}]))[0] == "b"


def test_a_share_of_words_can_turn_a_close_order() -> None:
    vector, words = {"a": 0.5, "b": 0.45}, {"b": 7.0}
    assert best_first(add_share(vector, words, 0.01)) == ["a", "b"]
    assert best_first(add_share(vector, words, 0.1)) == ["b", "a"]
    assert best_first(add_share(vector, {}, 0.1)) == ["a", "b"]


def test_the_committed_questions_are_many_and_name_notes_that_exist() -> None:
    asked, foreign = read_questions()
    assert set(foreign) == set(examples.names())
    assert sum(len(texts) for texts in foreign.values()) >= 20
    for name in examples.names():
        sources = {note.source for note in examples.load(name).knowledge}
        mine = [question for question in asked if question.tenant == name]
        assert len([question for question in mine if question.which == SETS[0]]) >= 20
        assert all(set(question.expect) <= sources for question in mine)
    assert len({question.ask for question in asked}) == len(asked) >= 60


@pytest.mark.parametrize("name", ["harbor-dental", "kessler-plumbing", "olive-and-ember"])
def test_every_example_is_lively_fictional_and_can_do_what_it_offers(name: str) -> None:
    tenant = examples.load(name)
    assert len(tenant.knowledge) >= 20
    assert any(read_week(tenant.hours))
    assert set(standard_catalog().for_tenant(tenant)) >= {"book_appointment", "take_message", "transfer_call"}
    numbers = [*tenant.numbers, *(person.number for person in tenant.people)]
    assert len(tenant.people) >= 2
    assert all(number.startswith("+1555010") for number in numbers)


def test_no_two_examples_share_a_number() -> None:
    numbers = [number for name in examples.names() for number in examples.load(name).numbers]
    assert len(set(numbers)) == len(numbers)


async def test_the_shipped_search_reaches_the_goal() -> None:
    asked, foreign = read_questions()
    store, embedder = MemoryPassages(), await load_minilm()
    for tenant_id in foreign:
        await Library(store, embedder).add_notes(examples.load(tenant_id))
    search = KnowledgeSearch(store, embedder)

    async def find(tenant_id: str, text: str) -> list[str]:
        return [passage.source for passage in await search.search(tenant_id, text, limit=LIMIT)]

    places = [place_of(await find(question.tenant, question.ask), question.expect) for question in asked]
    nothing = [not await find(tenant_id, text) for tenant_id, texts in foreign.items() for text in texts]
    assert figures(places).hit3 >= GOAL
    assert sum(nothing) >= len(nothing) / 2
