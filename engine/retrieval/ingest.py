"""Documents -> passages with vectors in the store, off the call.

A source is replaced wholly or not at all, and what did not change in it is not embedded again: so reading everything in
once more after an edit, or after a failure half way, costs what is new. Two sources are the same where the tenant and
their names are.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import trio

from engine.errors import ConfigurationError
from engine.retrieval.chunk import chunk, embedded_text
from engine.retrieval.embed import Embedder
from engine.retrieval.outline import Block
from engine.retrieval.readers import Document, find_files, read_document
from engine.store.passages import NewPassage, PassageStore, ReplaceReport, SourceDocument
from engine.tenants.tenant import Tenant

NOTES_NAME = "tenant document"
"""The name of the source that a tenant document's own ``knowledge`` is. No file has it: those have endings."""
BATCH = 32  # passages embedded between two signs of progress


@dataclass(frozen=True, slots=True)
class Progress:
    """Where it is: ``done`` of ``total`` new passages of this source are embedded; both 0 while it is being read."""

    name: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Ingested:
    """A source that now consists of ``passages`` passages, of which ``embedded`` had not been known."""

    name: str
    passages: int
    embedded: int
    report: ReplaceReport


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that cannot be read; ``why`` names it and the cure. What was stored of it before is as it was."""

    name: str
    why: str


OnProgress: TypeAlias = Callable[[Progress], None]
ReadFile: TypeAlias = Callable[[Path, str], Awaitable[Document]]
"""A path and the name that it is to be known by -> what is in it. Raises ``ConfigurationError`` where it is refused."""


def _silent(_: Progress) -> None:
    pass


async def read_beside(path: Path, name: str) -> Document:
    """On a thread: for files of whoever runs this; nothing bounds what they take (``read_apart`` does)."""
    return await trio.to_thread.run_sync(read_document, path, name)


class Library:
    """Puts what tenants know on the shelf, and takes it off. One embedder's vectors only."""

    def __init__(self, passages: PassageStore, embedder: Embedder) -> None:
        self._store = passages
        self._embedder = embedder

    async def add_files(
        self, tenant_id: str, paths: Sequence[Path], on_progress: OnProgress = _silent, *, read: ReadFile = read_beside
    ) -> list[Ingested | Refused]:
        """Read files, and folders of them, in; one outcome for each file. A file that is refused keeps none other back.

        Raises:
            ConfigurationError: a path with nothing to read, or two files of one name; nothing has been changed.
            EmbedderUnavailable, RemoteError: files before the one it happened at are in; the rest is as it was.
        """
        files = [found for path in paths for found in await trio.to_thread.run_sync(find_files, path)]
        _no_name_twice([name for name, _ in files])
        outcomes: list[Ingested | Refused] = []
        for name, path in files:
            on_progress(Progress(name, 0, 0))
            try:
                document = await read(path, name)
            except ConfigurationError as error:
                outcomes.append(Refused(name, str(error)))
                continue
            passages = await trio.to_thread.run_sync(chunk, document.blocks)
            source = SourceDocument(_file_id(name), name, document.kind, document.digest)
            outcomes.append(await self._put(tenant_id, source, passages, on_progress))
        return outcomes

    async def add_notes(self, tenant: Tenant, on_progress: OnProgress = _silent) -> Ingested:
        """Make what the tenant's document itself knows a source; without notes, an empty one.

        Raises:
            EmbedderUnavailable, RemoteError: nothing has been changed.
        """
        passages = chunk(Block((note.source,), note.text) for note in tenant.knowledge)
        digest = sha256("".join(passage.digest for passage in passages).encode()).hexdigest()
        source = SourceDocument("notes", NOTES_NAME, "notes", digest)
        return await self._put(tenant.id, source, passages, on_progress)

    async def remove_file(self, tenant_id: str, name: str) -> bool:
        """Take out what was read from the file of this name; False where nothing was."""
        return await self._store.delete_source(tenant_id, _file_id(name))

    async def _put(
        self, tenant_id: str, source: SourceDocument, passages: Sequence[NewPassage], on_progress: OnProgress
    ) -> Ingested:
        model = self._embedder.model
        known = await self._store.known_vectors(tenant_id, model, [passage.digest for passage in passages])
        new = [passage for passage in passages if passage.digest not in known]
        vectors: dict[str, list[float]] = {}
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            texts = [embedded_text(passage.heading, passage.body) for passage in batch]
            made = await self._embedder.embed_passages(texts)
            vectors |= {passage.digest: vector for passage, vector in zip(batch, made, strict=True)}
            on_progress(Progress(source.name, len(vectors), len(new)))
        report = await self._store.replace_source(tenant_id, source, passages, vectors, model)
        return Ingested(source.name, len(passages), len(new), report)


def _file_id(name: str) -> str:
    return f"file:{name}"


def _no_name_twice(names: Sequence[str]) -> None:
    if twice := sorted(name for name, n in Counter(names).items() if n > 1):
        cure = "each would replace the other; rename one, or read in the folder that holds both"
        raise ConfigurationError(f"{', '.join(twice)}: two files of that name; {cure}")
