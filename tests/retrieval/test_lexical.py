import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import MisuseError
from engine.retrieval.lexical import Bm25, MemorySearch
from engine.tenants import examples
from engine.tenants.tenant import KnowledgeNote, Tenant


def a_tenant(tenant_id: str, **notes: str) -> Tenant:
    knowledge = tuple(KnowledgeNote(source=source, text=text) for source, text in notes.items())
    return Tenant(id=tenant_id, name=tenant_id, greeting="Hi.", knowledge=knowledge)


async def sources(search: MemorySearch, tenant_id: str, text: str, limit: int = 3) -> list[str]:
    return [passage.source for passage in await search.search(tenant_id, text, limit=limit)]


QUESTIONS = {
    "where can I park my car": "Parking",
    "do you take my insurance": "Insurance",
    "how much is a cleaning": "Prices of check-ups and cleanings",
    "what does a crown cost": "Prices of fillings, crowns and extractions",
    "do you have payment plans": "Payment and payment plans",
    "I'm in terrible pain, can you see me today": "Emergencies and severe pain",
    "my son knocked out a tooth": "Knocked-out tooth",
    "do you treat children": "Children",
    "how much to whiten my teeth": "Whitening",
    "what happens if I cancel my appointment": "Cancellation policy",
    "are you taking new patients": "New patients",
    "where are you located": "Location and directions",
    "how do I get there by bus": "Public transport",
    "does anyone speak Spanish": "Dentists and staff",
    "I'm running ten minutes late": "Being late",
    "is there a wheelchair ramp": "Wheelchair access",
}
FOREIGN = [
    "what's the weather like today",
    "who won the football game",
    "what is the capital of France",
    "do you deliver pizza",
    "tell me a joke",
    "how do I bake bread",
]


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_question_of_the_example_finds_its_note_among_the_first_three(question: str) -> None:
    tenant = examples.load("harbor-dental")
    assert QUESTIONS[question] in await sources(MemorySearch([tenant]), tenant.id, question)


@pytest.mark.parametrize("question", FOREIGN)
async def test_a_question_that_is_none_of_the_business_finds_nothing(question: str) -> None:
    tenant = examples.load("harbor-dental")
    assert await sources(MemorySearch([tenant]), tenant.id, question) == []


async def test_only_the_tenants_own_passages_come_back() -> None:
    one = a_tenant("one", parking="Parking is free behind the house.")
    two = a_tenant("two", parking="Parking costs five dollars.", garage="A parking garage is near.")
    search = MemorySearch([one, two, a_tenant("empty")])
    for tenant in (one, two):
        found = await search.search(tenant.id, "parking", limit=10)
        assert {passage.tenant_id for passage in found} == {tenant.id}
        assert {passage.text for passage in found} == {note.text for note in tenant.knowledge}
    assert await search.search("empty", "parking", limit=10) == []


async def test_a_tenant_that_was_not_indexed_is_misuse() -> None:
    with pytest.raises(MisuseError, match="'stranger' has no index"):
        await MemorySearch([a_tenant("one", a="Parking.")]).search("stranger", "parking", limit=3)


async def test_what_covers_more_of_the_question_comes_first_and_the_limit_holds() -> None:
    tenant = a_tenant(
        "one",
        bikes="Bicycles can stand in the yard.",
        cars="Cars can stand in the garage next door.",
        hours="The garage is open all night.",
    )
    search = MemorySearch([tenant])
    assert await sources(search, "one", "the garage at night") == ["hours", "cars"]
    assert await sources(search, "one", "the garage at night", limit=1) == ["hours"]
    scores = [passage.score for passage in await search.search("one", "the garage at night", limit=3)]
    assert scores == sorted(scores, reverse=True)


async def test_one_common_word_of_a_long_question_is_not_enough() -> None:
    tenant = a_tenant("one", a="Our house is old.", b="The house has a garden.", c="A house by the sea.")
    search = MemorySearch([tenant])
    assert await sources(search, "one", "can my house insurance pay plumbers repairing boilers") == []


@pytest.mark.parametrize("text", ["", "???", "and the of", "\u4f60\u597d"])
async def test_text_without_meaning_finds_nothing(text: str) -> None:
    assert await sources(MemorySearch([a_tenant("one", a="The and of.")]), "one", text) == []


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    index = Bm25([["house", "garden"], ["house", "sea"], ["house"]])
    assert index.weight("nowhere") > index.weight("garden") > index.weight("house") > 0


TERMS = st.lists(st.sampled_from("abcdef"), max_size=8)


@given(st.lists(TERMS, max_size=6), TERMS)
def test_hits_are_those_that_share_a_term_best_first(documents: list[list[str]], asked: list[str]) -> None:
    hits = Bm25(documents).find(asked)
    assert {hit.index for hit in hits} == {n for n, document in enumerate(documents) if set(document) & set(asked)}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        assert 0 < hit.coverage <= 1 + 1e-9
        assert (hit.coverage > 1 - 1e-9) == (set(asked) <= set(documents[hit.index]))
