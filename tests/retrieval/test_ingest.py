from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.errors import ConfigurationError, EmbedderUnavailable
from engine.retrieval.embed import HashedWords
from engine.retrieval.ingest import BATCH, Ingested, Library, Progress, Refused
from engine.store.passages import MemoryPassages, ReplaceReport
from engine.tenants.tenant import KnowledgeNote, Tenant


class CountingEmbedder(HashedWords):
    """Remembers what it embedded; fails on a text that says so."""

    def __init__(self, dimensions: int = 1024) -> None:
        super().__init__(dimensions)
        self.embedded: list[str] = []

    async def embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        if any("earthquake" in text for text in texts):
            raise EmbedderUnavailable("away")
        self.embedded += texts
        return await super().embed_passages(texts)


class Room:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = MemoryPassages()
        self.embedder = CountingEmbedder()
        self.library = Library(self.store, self.embedder)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    async def said(self, tenant_id: str = "acme") -> dict[str, str]:
        """Heading -> text of all that the tenant's store holds."""
        vector = await self.embedder.embed_query("anything")
        found = await self.store.nearest(tenant_id, self.embedder.model, vector, 1000)
        return {passage.heading: passage.body for passage in found}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


FAQ = "# Parking\nBehind the house.\n# Bus\nNumber four.\n"


async def test_reading_in_again_changes_nothing_and_embeds_nothing(room: Room) -> None:
    path = room.write("faq.md", FAQ)
    assert await room.library.add_files("acme", [path]) == [Ingested("faq.md", 2, 2, ReplaceReport(2, 0, 0))]
    before = await room.said()
    room.embedder.embedded.clear()
    assert await room.library.add_files("acme", [path]) == [Ingested("faq.md", 2, 0, ReplaceReport(0, 2, 0))]
    assert room.embedder.embedded == []
    assert await room.said() == before == {"Parking": "Behind the house.", "Bus": "Number four."}


async def test_only_what_changed_is_embedded_anew(room: Room) -> None:
    await room.library.add_files("acme", [room.write("faq.md", FAQ)])
    room.embedder.embedded.clear()
    changed = room.write("faq.md", FAQ.replace("four", "five") + "# Cards\nAll of them.\n")
    assert await room.library.add_files("acme", [changed]) == [Ingested("faq.md", 3, 2, ReplaceReport(2, 1, 1))]
    assert room.embedder.embedded == ["Bus. Number five.", "Cards. All of them."]
    assert (await room.said())["Bus"] == "Number five."


async def test_another_model_embeds_everything(room: Room) -> None:
    path = room.write("faq.md", FAQ)
    await room.library.add_files("acme", [path])
    other = CountingEmbedder(128)
    (done,) = await Library(room.store, other).add_files("acme", [path])
    assert isinstance(done, Ingested)
    assert (done.embedded, len(other.embedded)) == (2, 2)


async def test_a_file_that_cannot_be_read_keeps_no_other_back(room: Room) -> None:
    room.write("docs/bad.csv", "name,price,colour\n")
    room.write("docs/faq.md", FAQ)
    bad, good = await room.library.add_files("acme", [room.folder / "docs"])
    assert isinstance(bad, Refused)
    assert (bad.name, "name one 'question'" in bad.why) == ("bad.csv", True)
    assert isinstance(good, Ingested)


async def test_a_file_that_has_become_unreadable_stays_as_it_was(room: Room) -> None:
    path = room.write("faq.md", FAQ)
    await room.library.add_files("acme", [path])
    path.write_bytes(b"\xff\xfe\xfd")
    (outcome,) = await room.library.add_files("acme", [path])
    assert isinstance(outcome, Refused)
    assert set(await room.said()) == {"Parking", "Bus"}


async def test_an_embedder_that_is_away_leaves_the_source_as_it_was(room: Room) -> None:
    path = room.write("faq.md", FAQ)
    await room.library.add_files("acme", [path])
    room.write("faq.md", "# Bus\nNumber five.\n# Danger\nIn an earthquake, leave.\n")
    with pytest.raises(EmbedderUnavailable):
        await room.library.add_files("acme", [path])
    assert await room.said() == {"Parking": "Behind the house.", "Bus": "Number four."}


async def test_two_files_of_one_name_are_refused_before_anything_changes(room: Room) -> None:
    paths = [room.write("a/faq.md", FAQ), room.write("b/faq.md", "# Other\nText.")]
    with pytest.raises(ConfigurationError, match=r"faq\.md: two files of that name"):
        await room.library.add_files("acme", paths)
    assert await room.store.sources("acme") == []


async def test_a_file_can_be_taken_out_again(room: Room) -> None:
    await room.library.add_files("acme", [room.write("faq.md", FAQ), room.write("menu.txt", "Soup every day.")])
    assert await room.library.remove_file("acme", "faq.md")
    assert not await room.library.remove_file("acme", "faq.md")
    assert [source.name for source in await room.store.sources("acme")] == ["menu.txt"]


async def test_a_tenants_own_notes_are_a_source_like_any_other(room: Room) -> None:
    note = KnowledgeNote(source="Parking", text="Behind the house.")
    tenant = Tenant(id="acme", name="Acme", greeting="Hi.", knowledge=(note,))
    assert (await room.library.add_notes(tenant)).report == ReplaceReport(1, 0, 0)
    assert (await room.library.add_notes(tenant)).embedded == 0
    assert await room.said() == {"Parking": "Behind the house."}
    assert (await room.library.add_notes(tenant.model_copy(update={"knowledge": ()}))).report.removed == 1
    assert await room.said() == {}


async def test_what_one_tenant_reads_in_is_no_other_tenants(room: Room) -> None:
    path = room.write("faq.md", FAQ)
    await room.library.add_files("acme", [path])
    assert await room.said("other") == {}
    (done,) = await room.library.add_files("other", [path])
    assert isinstance(done, Ingested)
    assert done.embedded == 2  # what another tenant has embedded is not even looked at


async def test_progress_is_told_from_the_first_file_to_the_last_passage(room: Room) -> None:
    total = BATCH + 3
    path = room.write("faq.md", "".join(f"# Heading {n}\nText {n}.\n" for n in range(total)))
    told: list[Progress] = []
    await room.library.add_files("acme", [path], told.append)
    assert told == [Progress("faq.md", 0, 0), Progress("faq.md", BATCH, total), Progress("faq.md", total, total)]
