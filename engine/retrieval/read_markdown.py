"""Markdown (CommonMark with tables) -> blocks; HTML that stands in it goes to the HTML reader."""

from markdown_it import MarkdownIt
from markdown_it.token import Token

from engine.retrieval.outline import Outline, Table, squeeze
from engine.retrieval.read_html import fill_from_html

_FENCE = "---"


def fill_from_markdown(outline: Outline, text: str) -> None:
    """Read a whole document into ``outline``. Every text is some Markdown, so nothing is refused."""
    tokens = MarkdownIt("commonmark").enable("table").parse(_without_front_matter(text))
    table = Table(outline)
    row: list[str] = []
    level = 0  # of the heading we are in, else 0
    in_head = in_cell = False
    for token in tokens:
        match token.type:
            case "heading_open":
                level = int(token.tag[1:])
            case "heading_close":
                level = 0
            case "thead_open" | "thead_close":
                in_head = token.type == "thead_open"
            case "tr_open":
                row = []
            case "tr_close":
                if in_head:
                    table.titles(row)
                else:
                    table.row(row)
            case "table_close":
                table.end()
            case "th_open" | "td_open" | "th_close" | "td_close":
                in_cell = token.type.endswith("_open")
            case "inline" if in_cell:
                row.append(squeeze(_said(token)))
            case "inline" if level:
                outline.heading(level, _said(token))
            case "inline":
                outline.text(_said(token))
            case "fence" | "code_block":
                outline.text(token.content)
            case "html_block":
                fill_from_html(outline, token.content)


def _said(token: Token) -> str:
    """The words of a line without their marks; a picture gives the words that stand for it."""
    parts = []
    for child in token.children or []:
        if child.type in {"softbreak", "hardbreak"}:
            parts.append("\n")
        elif child.type == "image":
            parts.append(_said(child))
        elif child.type in {"text", "code_inline"}:
            parts.append(child.content)
    return "".join(parts)


def _without_front_matter(text: str) -> str:
    """Settings that some editors keep between two ``---`` lines at the very top are no part of what is said."""
    lines = text.split("\n")
    if lines[0].strip() != _FENCE:
        return text
    for n, line in enumerate(lines[1:], 1):
        if line.strip() == _FENCE:
            return "\n".join(lines[n + 1 :])
    return text
