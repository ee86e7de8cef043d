from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from engine.errors import EmbedderUnavailable, MisuseError
from engine.retrieval.embed import HashedWords
from engine.retrieval.ingest import Library
from engine.retrieval.knowledge_search import KnowledgeSearch, SearchStatistics
from engine.store.passages import MemoryPassages
from engine.tenants.tenant import KnowledgeNote, Tenant

NOTES = {
    "Parking": "Cars stand in the yard behind the building.",
    "Bus": "The number four bus stops at the landing.",
    "Cards": "We take cash and all cards.",
}


def a_tenant(tenant_id: str, canary: str = "") -> Tenant:
    notes = {**NOTES, **({"Canary": canary} if canary else {})}
    knowledge = tuple(KnowledgeNote(source=source, text=text) for source, text in notes.items())
    return Tenant(id=tenant_id, name=tenant_id, greeting="Hi.", knowledge=knowledge)


class Away(HashedWords):
    async def embed_query(self, text: str) -> list[float]:
        raise EmbedderUnavailable("away")


class Slow(HashedWords):
    async def embed_query(self, text: str) -> list[float]:
        await trio.sleep(60)
        return await super().embed_query(text)


async def a_store(*tenants: Tenant) -> MemoryPassages:
    store = MemoryPassages()
    for tenant in tenants:
        await Library(store, HashedWords()).add_notes(tenant)
    return store


async def test_the_nearest_passages_come_best_first_with_their_sources() -> None:
    search = KnowledgeSearch(await a_store(a_tenant("acme")), HashedWords())
    found = await search.search("acme", "the number of the bus", limit=2)
    assert found[0].source == "Bus"
    assert len(found) == 2
    assert found[0].text == NOTES["Bus"]
    assert found[0].score > found[1].score


async def test_a_question_about_something_else_finds_nothing() -> None:
    search = KnowledgeSearch(await a_store(a_tenant("acme")), HashedWords())
    assert await search.search("acme", "quarterly taxes", limit=3) == []
    assert await search.search("nobody", "the number of the bus", limit=3) == []


async def test_a_passage_of_a_file_names_file_and_headings(tmp_path: Path) -> None:
    store = MemoryPassages()
    (tmp_path / "handbook.md").write_text("Welcome aboard.\n# Guests\n## Pets\nDogs are welcome.\n")
    await Library(store, HashedWords()).add_files("acme", [tmp_path / "handbook.md"])
    search = KnowledgeSearch(store, HashedWords())
    assert (await search.search("acme", "dogs", limit=1))[0].source == "handbook.md: Guests > Pets"
    assert (await search.search("acme", "aboard", limit=1))[0].source == "handbook.md"


async def test_tenants_searching_at_once_never_meet_each_others_canary() -> None:
    tenants = [a_tenant(f"t{n}", canary=f"The canary of t{n} sings.") for n in range(5)]
    search = KnowledgeSearch(await a_store(*tenants), HashedWords())

    async def ask(tenant_id: str) -> None:
        for other in range(5):
            found = await search.search(tenant_id, f"the canary of t{other} sings", limit=10)
            assert {passage.tenant_id for passage in found} == {tenant_id}
            assert [p.text for p in found if "canary" in p.text] == [f"The canary of {tenant_id} sings."]

    async with trio.open_nursery() as nursery:
        for tenant in tenants:
            nursery.start_soon(ask, tenant.id)


async def test_without_an_embedder_words_serve() -> None:
    search = KnowledgeSearch(await a_store(a_tenant("acme")), Away())
    found = await search.search("acme", "where does the bus stop", limit=3)
    assert [(passage.source, passage.score) for passage in found] == [("Bus", 1.0)]
    assert await search.search("acme", "does the tax office take dogs or cats", limit=3) == []
    assert search.statistics() == SearchStatistics(by_vector=0, by_words=2, too_late=0)


async def test_a_search_ends_at_its_deadline(autojump_clock: MockClock) -> None:
    search = KnowledgeSearch(await a_store(a_tenant("acme")), Slow(), deadline_s=1.5)
    began = trio.current_time()
    with pytest.raises(trio.TooSlowError):
        await search.search("acme", "bus", limit=3)
    assert trio.current_time() - began == pytest.approx(1.5)
    assert search.statistics().too_late == 1


@pytest.mark.parametrize(("tenant_id", "limit"), [("", 3), ("acme", 0), ("a cme; --", 3)])
async def test_a_search_for_nobody_or_nothing_is_misuse(tenant_id: str, limit: int) -> None:
    search = KnowledgeSearch(await a_store(), HashedWords())
    with pytest.raises(MisuseError):
        await search.search(tenant_id, "bus", limit=limit)
