"""Headings and paragraphs as they come -> blocks that know what they stand under. PURE; every reader fills one.

Nothing is lost: a heading under which nothing stands becomes a block of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list item, table row or answer, and the headings above it, the outermost first."""

    headings: tuple[str, ...]
    text: str


class Outline:
    """Collects one document."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._open: list[tuple[int, str]] = []
        self._bare = False  # the innermost heading has nothing under it yet

    def heading(self, level: int, text: str) -> None:
        """A heading begins; it ends those of its level and deeper. Blank ones are passed over."""
        if not (text := squeeze(text)):
            return
        self.close(level)
        self._open.append((level, text))
        self._bare = True

    def close(self, level: int) -> None:
        """Headings of this level and deeper end here, though no other begins."""
        if self._bare and self._open[-1][0] >= level:
            self._keep_bare()
        self._open = [(depth, title) for depth, title in self._open if depth < level]

    def text(self, text: str) -> None:
        """A paragraph under the headings of now; blank ones are passed over."""
        if text := squeeze(text):
            self._blocks.append(Block(tuple(title for _, title in self._open), text))
            self._bare = False

    def blocks(self) -> list[Block]:
        """All of the document so far, in its order."""
        if self._bare:
            self._keep_bare()
        return self._blocks

    def _keep_bare(self) -> None:
        *above, (_, title) = self._open
        self._blocks.append(Block(tuple(other for _, other in above), title))
        self._bare = False


def squeeze(text: str) -> str:
    """Without the line breaks and the runs of spaces that only served a page's layout."""
    return " ".join(text.split())


class Table:
    """Rows as they come -> one text each, said with the titles of its columns. Cells are empty, never left out."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._titles: Sequence[str] = ()
        self._titles_used = True

    def titles(self, cells: Sequence[str]) -> None:
        """A row that names the columns of those below."""
        self.end()
        self._titles, self._titles_used = cells, not any(cells)

    def row(self, cells: Sequence[str]) -> None:
        """A row as it would be said: ``Crown, price: 1,150 dollars, visits: 2``; its first cell names it."""
        titles = [*self._titles, *[""] * len(cells)]
        self._outline.text(
            ", ".join(f"{titles[n]}: {cell}" if n and titles[n] else cell for n, cell in enumerate(cells) if cell)
        )
        self._titles_used = True

    def end(self) -> None:
        """No more rows under these titles; titles without any row are a text of their own."""
        if not self._titles_used:
            self._outline.text(", ".join(cell for cell in self._titles if cell))
        self._titles, self._titles_used = (), True
