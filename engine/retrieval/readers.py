"""Files -> documents: which reader reads what, and everything that can be wrong with a file before one begins.

A file that cannot be read is refused with its name and the cure; nothing that was stored of it before is touched.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from engine.errors import ConfigurationError
from engine.retrieval.outline import Block, Outline
from engine.retrieval.read_csv import blocks_of_csv
from engine.retrieval.read_html import fill_from_html
from engine.retrieval.read_markdown import fill_from_markdown
from engine.retrieval.read_pdf import fill_from_pdf

KINDS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    ".html": "html",
    ".htm": "html",
    ".pdf": "pdf",
    ".csv": "csv",
    ".tsv": "csv",
}
"""What can be read, by a file name's ending."""
MOST_BYTES = 50_000_000
_TITLE_WORDS = 8
_CHARSET = re.compile(rb"<meta[^>]{1,200}charset\s*=\s*[\"']?\s*([\w-]{1,40})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Document:
    """One file, read. ``name`` is what it is known by among the tenant's sources; ``digest`` is of the file's bytes."""

    name: str
    kind: str
    digest: str
    blocks: tuple[Block, ...]


def find_files(path: Path) -> list[tuple[str, Path]]:
    """The files that can be read at a path, each with the name it is to be known by, in order of names.

    A file is known by its own name; one in a folder by its path within that. Hidden files, and in a folder those that
    cannot be read, are passed over.

    Raises:
        ConfigurationError: nothing there that can be read.
    """
    if path.is_file():
        return [(path.name, path)]
    if not path.is_dir():
        raise ConfigurationError(f"{path}: there is no such file or folder; check the path")
    found = [
        (file.relative_to(path).as_posix(), file)
        for file in sorted(path.rglob("*"))
        if file.suffix.lower() in KINDS
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    if not found:
        raise ConfigurationError(f"{path}: nothing here that can be read; put in files ending in {', '.join(KINDS)}")
    return found


def read_document(path: Path, name: str) -> Document:
    """Read one file. Slow (a long PDF takes seconds): in an async program through ``trio.to_thread``.

    Raises:
        ConfigurationError: it cannot be read; the message begins with the path and ends with the cure.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise ConfigurationError(f"{path}: cannot read {path.suffix or 'this'}; save it as one of {', '.join(KINDS)}")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigurationError(f"{path}: is larger than {MOST_BYTES // 1_000_000} MB; split it")
        data = path.read_bytes()
    except OSError as error:
        cure = "check the path and who may read it"
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); {cure}") from None
    blocks = _blocks(kind, data, str(path))
    if not blocks:
        raise ConfigurationError(f"{path}: holds no text; write some, or leave the file out")
    return Document(name, kind, sha256(data).hexdigest(), tuple(blocks))


def _blocks(kind: str, data: bytes, origin: str) -> list[Block]:
    if kind == "csv":
        return blocks_of_csv(_decode(data, origin), origin=origin)
    outline = Outline()
    match kind:
        case "pdf":
            fill_from_pdf(outline, data, origin=origin)
        case "html":
            charset = _CHARSET.search(data[:4096])
            fill_from_html(outline, _decode(data, origin, charset[1].decode() if charset else "utf-8"))
        case "markdown":
            fill_from_markdown(outline, _decode(data, origin))
        case _:
            _fill_from_text(outline, _decode(data, origin))
    return outline.blocks()


def _decode(data: bytes, origin: str, charset: str = "utf-8") -> str:
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigurationError(f"{origin}: is no text; save it as text in UTF-8")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        charset = "utf-16"
    elif data.startswith(b"\xef\xbb\xbf"):
        charset = "utf-8-sig"
    try:
        return data.decode(charset).replace("\r\n", "\n").replace("\r", "\n")
    except (UnicodeDecodeError, LookupError) as error:
        raise ConfigurationError(f"{origin}: is not {charset} text ({error}); save it as UTF-8") from None


def _fill_from_text(outline: Outline, text: str) -> None:
    """Plain text: paragraphs with empty lines between them. A short line by itself that ends no sentence is a title."""
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line for line in paragraph.split("\n") if line.strip(" \t=-_*#")]
        alone = len(lines) == 1 and len(lines[0].split()) <= _TITLE_WORDS
        if alone and not lines[0].rstrip().endswith((".", "!", ",", ";")):
            outline.heading(1, lines[0].strip(" \t=-_*#:"))
        elif lines:
            outline.text("\n".join(lines))
