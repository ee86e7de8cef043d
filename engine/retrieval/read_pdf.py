"""PDF -> blocks, by pypdf. A PDF says where its letters stand, not what they are: headings are told by their size."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from engine.errors import ConfigurationError
from engine.retrieval.outline import Outline, squeeze

MOST_PAGES = 2000
_HEADING_SIZE = 1.12  # times the size that most of the text has
_HEADING_WORDS = 14
_RUNNING_PAGES = 3  # a line that stands on so many pages, and on half of all, is a running head or foot


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    size: float


def fill_from_pdf(outline: Outline, data: bytes, *, origin: str) -> None:
    """Read a whole PDF into ``outline``. ``origin`` begins every complaint.

    Raises:
        ConfigurationError: locked, damaged, too long, or without any text (a scan).
    """
    try:
        pages = _pages(data, origin)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OSError) as error:
        # A damaged file can trip the library anywhere; these are what it was seen to raise, beside its own kind.
        cure = "open it in a viewer and print it into a new PDF"
        raise ConfigurationError(f"{origin}: is damaged or no PDF ({error!r}); {cure}") from None
    lines = _without_running_lines(pages)
    if not lines:
        cure = "run text recognition (OCR) on it, or write it down as text"
        raise ConfigurationError(f"{origin}: holds no text, only pictures of it; {cure}")
    _fill(outline, lines)


def _pages(data: bytes, origin: str) -> list[list[_Line]]:
    reader = PdfReader(BytesIO(data), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise ConfigurationError(f"{origin}: is locked with a password; save a copy without one")
    if len(reader.pages) > MOST_PAGES:
        raise ConfigurationError(f"{origin}: has {len(reader.pages)} pages; split it ({MOST_PAGES} at most)")
    pages = []
    for page in reader.pages:
        runs: list[tuple[str, float]] = []

        def keep(text: str, _cm: Any, matrix: Sequence[float], _font: Any, size: float, runs: Any = runs) -> None:
            # The text matrix scales the font: programs write size 1 under a matrix of 12 as readily as size 12.
            runs.append((text, abs(size * (matrix[3] or matrix[1]))))

        page.extract_text(visitor_text=keep)
        pages.append(_lines(runs))
    return pages


def _lines(runs: Iterable[tuple[str, float]]) -> list[_Line]:
    """Runs of letters, with the line breaks that the library saw in them -> lines, each of its letters' usual size."""
    lines: list[_Line] = []
    parts: list[str] = []
    sizes: Counter[float] = Counter()
    for text, size in [*runs, ("\n", 0.0)]:
        for n, part in enumerate(text.split("\n")):
            if n:
                if said := squeeze("".join(parts)):
                    lines.append(_Line(said, sizes.most_common(1)[0][0]))
                parts, sizes = [], Counter()
            parts.append(part)
            if letters := len(part.strip()):
                sizes[round(size, 1)] += letters
    return lines


def _without_running_lines(pages: Sequence[Sequence[_Line]]) -> list[_Line]:
    seen = Counter(text for page in pages for text in {_numberless(line.text) for line in page})
    running = {text for text, n in seen.items() if n >= _RUNNING_PAGES and 2 * n >= len(pages)}
    return [line for page in pages for line in page if _numberless(line.text) not in running]


def _numberless(text: str) -> str:
    return "".join(char for char in text if not char.isdigit())


def _fill(outline: Outline, lines: Sequence[_Line]) -> None:
    letters: Counter[float] = Counter()
    for line in lines:
        letters[line.size] += len(line.text)
    usual = letters.most_common(1)[0][0]
    larger = sorted({line.size for line in lines if line.size >= usual * _HEADING_SIZE}, reverse=True)
    levels = {size: level for level, size in enumerate(larger, 1)}
    paragraph: list[str] = []
    for line in lines:
        is_heading = (
            line.size in levels and len(line.text.split()) <= _HEADING_WORDS and not line.text.endswith((".", ";", ","))
        )
        if is_heading:
            outline.text(_joined(paragraph))
            paragraph = []
            outline.heading(levels[line.size], line.text)
        else:
            paragraph.append(line.text)
    outline.text(_joined(paragraph))


def _joined(lines: Sequence[str]) -> str:
    """Lines of one paragraph; a word that was divided at the end of a line is whole again."""
    text = ""
    for line in lines:
        if text.endswith("-") and text[-2:-1].isalpha() and line[:1].islower():
            text = text[:-1] + line
        else:
            text = f"{text} {line}"
    return text.strip()
