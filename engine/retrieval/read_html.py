"""HTML -> blocks: headings, paragraphs, list items, table rows, questions of definition lists and of folded sections.

Pages are read as browsers read them: wrong nesting and missing end tags are no reason to refuse one.
"""

from html.parser import HTMLParser

from engine.retrieval.outline import Outline, Table, squeeze

_SILENT = frozenset({"script", "style", "template", "svg", "iframe", "object", "title", "nav"})
_ALWAYS_SILENT = frozenset({"script", "style", "title"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_ASKING = frozenset({"dt", "summary"})  # what stands in them is a heading over what follows
_ASKED_IN = frozenset({"dl", "details"})
_ASKING_LEVEL = 7
_CELLS = frozenset({"td", "th"})
_INLINE_NAMES = (
    "a abbr b bdi bdo cite code data del dfn em font i ins kbd label mark q s samp small span strong sub sup time tt u "
    "var wbr"
)
_INLINE = frozenset(_INLINE_NAMES.split(" "))


def fill_from_html(outline: Outline, text: str) -> None:
    """Read a page, or a piece of one, into ``outline``. Scripts, styles, drawings and navigation are not read."""
    for silent in (_SILENT, _ALWAYS_SILENT):
        # A silent element that never ends would swallow the rest of the page: then only what no page can say is silent.
        probe = _Page(Outline(), silent)
        probe.read(text)
        if not probe.silence:
            break
    _Page(outline, silent).read(text)


class _Page(HTMLParser):
    """One pass over one page."""

    def __init__(self, outline: Outline, silent: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self._outline = outline
        self._silent = silent
        self._said: list[str] = []
        self._table = Table(outline)
        self._row: list[str] | None = None
        self._row_titles = False  # every cell of it so far is a title
        self._in_cell = False
        self._titled = 0  # the level of the heading that we are in, else 0
        self.silence: list[str] = []  # silent elements that are open

    def read(self, text: str) -> None:
        self.feed(text)
        self.close()
        self._end_row()
        self._paragraph()
        self._table.end()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._silent:
            self.silence.append(tag)
        elif self.silence or tag in _INLINE:
            return
        elif tag == "br":
            self._said.append("\n")
        elif tag == "img":
            self._said.append(f" {dict(attrs).get('alt') or ''} ")
        elif tag in _CELLS:
            self._end_cell()
            self._in_cell = True
            self._row_titles = self._row_titles and tag == "th"
        elif tag in _HEADINGS or tag in _ASKING:
            self._paragraph()
            self._titled = _HEADINGS.get(tag, _ASKING_LEVEL)
        elif tag == "tr":
            self._end_row()
            self._paragraph()
            self._row, self._row_titles = [], True
        elif tag == "table":
            self._end_row()
            self._paragraph()
            self._table.end()
        elif self._row is None:
            self._paragraph()

    def handle_endtag(self, tag: str) -> None:
        if self.silence:
            if tag in self.silence:
                while self.silence.pop() != tag:
                    pass
        elif tag in {"tr", "table"}:
            self._end_row()
            if tag == "table":
                self._table.end()
        elif tag in _CELLS:
            self._end_cell()
        elif self._row is None and tag not in _INLINE:
            self._paragraph()
            if tag in _ASKED_IN:
                self._outline.close(_ASKING_LEVEL)

    def handle_data(self, data: str) -> None:
        if not self.silence:
            self._said.append(data)

    def _paragraph(self) -> None:
        said, level = "".join(self._said), self._titled
        self._said.clear()
        self._titled = 0
        if level:
            self._outline.heading(level, said)
        else:
            self._outline.text(said)

    def _end_cell(self) -> None:
        said = squeeze("".join(self._said))
        if self._row is not None and (self._in_cell or said):
            self._row.append(said)
            self._said.clear()
        self._in_cell = False

    def _end_row(self) -> None:
        self._end_cell()
        if row := self._row:
            if self._row_titles:
                self._table.titles(row)
            else:
                self._table.row(row)
        self._row = None
