"""``.../knowledge``: what a tenant knows. A file is put under its name, and put again it is replaced; ``.../search``
asks as a call would.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import trio
from pydantic import Field
from quart import Blueprint

from engine.backoffice.access import requires
from engine.backoffice.endpoint import (
    Body,
    Moment,
    NamePaging,
    Page,
    asks,
    gives,
    gives_nothing,
    name_cursor,
    takes_bytes,
)
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.backoffice.reading import read_bytes
from engine.retrieval.ingest import NOTES_NAME, Ingested
from engine.retrieval.knowledge_search import KnowledgeSearch
from engine.retrieval.read_apart import read_apart
from engine.retrieval.readers import KINDS
from engine.store.postgres_work import Source

TYPES = ("text/markdown", "text/plain", "text/html", "text/csv", "application/pdf", "application/octet-stream")
LONGEST_FILE = 20_000_000
LONGEST_NAME = 200  # bytes
READERS = 2  # files read at once: each takes a process, and a large one its time
SEARCH_S = 20.0  # a person waits, not a caller on the line


class SourceItem(Body):
    """Something that was read in: a file, or (``kind`` ``notes``) what the tenant's document itself knows."""

    name: str
    kind: str
    passages: int
    updated_at: Moment


class Sources(Page[SourceItem]):
    """What a tenant knows, by name."""


class ReadIn(Body):
    """What became of a file: how many passages it is, and how many of them were not known before."""

    name: str
    passages: int
    embedded: int


class Asked(Body):
    """A question, and how many passages are wanted."""

    text: Annotated[str, Field(min_length=1, max_length=1000)]
    limit: Annotated[int, Field(ge=1, le=20)] = 3


class PassageItem(Body):
    """A passage that bears on the question; ``score`` grows with how much."""

    source: str
    text: str
    score: float


class Found(Body):
    """The passages that a call would be given, best first."""

    passages: list[PassageItem]


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("knowledge", __name__, url_prefix="/v1/tenants/<slug:tenant_id>")
    search = KnowledgeSearch(office.shelf.passages, office.shelf.embedder, deadline_s=SEARCH_S)
    reading = trio.CapacityLimiter(READERS)

    @pages.get("/knowledge")
    @gives(Sources)
    @asks(NamePaging)
    @requires("read")
    async def sources(tenant_id: str, query: NamePaging) -> Sources:
        """What there is, by name."""
        found = await office.work.sources(tenant_id, after=query.after, limit=query.limit)
        full = len(found) == query.limit
        return Sources(items=[_item(one) for one in found], next_cursor=name_cursor(found[-1].name) if full else None)

    @pages.put("/knowledge/<file:name>")
    @gives(ReadIn)
    @takes_bytes(*TYPES)
    @requires("write")
    async def put(tenant_id: str, name: str) -> ReadIn:
        """Read a file in; its name's ending says what it is: .md, .txt, .html, .csv, .pdf."""
        _check_name(name)
        data = await read_bytes(TYPES, LONGEST_FILE)
        async with reading:
            read = await _read_in(office, tenant_id, name, data)
        return ReadIn(name=name, passages=read.passages, embedded=read.embedded)

    @pages.delete("/knowledge/<file:name>")
    @gives_nothing("It is not known any more.")
    @requires("write")
    async def delete(tenant_id: str, name: str) -> tuple[str, int]:
        """Forget a file."""
        if name == NOTES_NAME:
            raise Problem(409, "that is what the tenant's document knows: change the document", kind="in-document")
        if not await office.shelf.library.remove_file(tenant_id, name):
            raise Problem(404, "nothing was read in under that name")
        return "", 204

    @pages.get("/search")
    @gives(Found)
    @asks(Asked)
    @requires("read")
    async def ask(tenant_id: str, query: Asked) -> Found:
        """Ask what is known, as a call would."""
        try:
            found = await search.search(tenant_id, query.text, limit=query.limit)
        except trio.TooSlowError:
            raise Problem(503, "the search took too long", kind="unavailable", headers={"retry-after": "5"}) from None
        return Found(passages=[PassageItem(source=one.source, text=one.text, score=one.score) for one in found])

    return pages


def _item(source: Source) -> SourceItem:
    return SourceItem(name=source.name, kind=source.kind, passages=source.passages, updated_at=source.updated_at)


def _check_name(name: str) -> None:
    if "/" in name or "\\" in name or name.startswith(".") or len(name.encode()) > LONGEST_NAME:
        raise Problem(422, "a file's name has no slash, no dot in front, and 200 bytes at most", kind="invalid")
    if Path(name).suffix.lower() not in KINDS:
        raise Problem(422, f"the name's ending says what it is: one of {', '.join(KINDS)}", kind="invalid")


async def _read_in(office: Office, tenant_id: str, name: str, data: bytes) -> Ingested:
    """Readers take files, so for a moment it is one.

    Raises:
        Problem: 422, it cannot be read; says why.
    """
    with TemporaryDirectory(prefix="frontdesk-") as folder:
        path = Path(folder) / name
        await trio.to_thread.run_sync(path.write_bytes, data)
        (outcome,) = await office.shelf.library.add_files(tenant_id, [path], read=read_apart)
    if isinstance(outcome, Ingested):
        return outcome
    raise Problem(422, outcome.why.replace(str(path), name), kind="unreadable")
