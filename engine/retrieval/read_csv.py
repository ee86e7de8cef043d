"""A table of questions and answers -> blocks: each question is the heading over its answer."""

import csv
from collections.abc import Sequence
from io import StringIO

from engine.errors import ConfigurationError
from engine.retrieval.outline import Block, squeeze

_QUESTION = frozenset({"question", "q", "ask", "asked", "title"})
_ANSWER = frozenset({"answer", "a", "reply", "response", "text"})
_TOPIC = frozenset({"topic", "category", "section", "group"})
_DELIMITERS = ",;\t"
_LONGEST_FIELD = 1_000_000


def blocks_of_csv(text: str, *, origin: str) -> list[Block]:
    """Rows of questions and answers, in order. Columns are known by their titles (``question``, ``answer``, perhaps
    ``topic``); a table of two columns may do without. Further columns follow the answer, each with its title.

    Raises:
        ConfigurationError: no such columns, or a row that is not whole; the message names its line. All or nothing.
    """
    rows = _rows(text, origin)
    if not rows:
        raise ConfigurationError(f"{origin}: is empty; write a line with question and answer for each")
    titles = [squeeze(cell).casefold() for cell in rows[0][1]]
    question, answer, topic = (_column(titles, names) for names in (_QUESTION, _ANSWER, _TOPIC))
    if question is None and answer is None and len(titles) == 2:
        question, answer, titles = 0, 1, ["", ""]
    elif question is None or answer is None:
        said = ", ".join(repr(title) for title in titles[:8])
        raise ConfigurationError(f"{origin}: its columns are {said}; name one 'question' and one 'answer'")
    else:
        rows = rows[1:]
    return [_block(cells, (question, answer, topic), titles, f"{origin}: line {line}") for line, cells in rows]


def _rows(text: str, origin: str) -> list[tuple[int, list[str]]]:
    """Rows that say anything, each with the line that it ends on."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        cure = 'write a quotation mark inside a quoted cell twice ("")'
        raise ConfigurationError(f"{origin}: line {reader.line_num}: is no CSV ({error}); {cure}") from None


def _column(titles: Sequence[str], names: frozenset[str]) -> int | None:
    return next((n for n, title in enumerate(titles) if title in names), None)


def _block(cells: Sequence[str], places: tuple[int, int, int | None], titles: Sequence[str], origin: str) -> Block:
    question, answer, topic = places
    if len(cells) > len(titles):
        cure = "put an answer that holds the separator in quotation marks"
        raise ConfigurationError(f"{origin}: has {len(cells)} cells where {len(titles)} are expected; {cure}")
    said = [squeeze(cell) for cell in cells] + [""] * (len(titles) - len(cells))
    for place, name in ((question, "question"), (answer, "answer")):
        if not said[place]:
            raise ConfigurationError(f"{origin}: has no {name}; add it, or remove the line")
    others = [f"{titles[n]}: {cell}." for n, cell in enumerate(said) if cell and n not in places]
    headings = [said[topic]] if topic is not None and said[topic] else []
    return Block((*headings, said[question]), " ".join([said[answer], *others]))
