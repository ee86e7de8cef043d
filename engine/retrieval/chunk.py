"""A document's blocks -> the passages that are searched for and sent to the model. PURE.

A passage never mixes what stands under different headings, ends where a sentence does, and is short enough to be said:
at most ``MOST`` words, about ``IDEAL`` where there is more text than that. The same text always gives the same passages
with the same digests, so that a document read in again costs only what changed in it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import groupby, pairwise

from engine.retrieval.outline import Block
from engine.store.passages import NewPassage

MOST = 120  # words; the offline model reads about 180, headings among them, and three of these are notes enough
IDEAL = 90
HEADING_MARK = " > "
_HEADINGS_EMBEDDED = 2  # the innermost ones; a title that stands over everything tells nothing apart

_SHORT_FORMS = "mr|mrs|ms|dr|st|no|vs|e.g|i.e|a.m|p.m|approx|incl|[a-z]"
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'\u2019\u201d)]*\s+|(?<=[\u3002\uff01\uff1f])")
_ENDS_IN_SHORT_FORM = re.compile(rf"(?:^|[\s(])(?:{_SHORT_FORMS})\.$", re.IGNORECASE)
_CLAUSE_END = re.compile(r"(?<=[,;:])\s+")


def chunk(blocks: Iterable[Block]) -> list[NewPassage]:
    """The passages of one document, in order. One that repeats an earlier one word for word is left out.

    A passage's heading is all that stand above it, joined by ``HEADING_MARK``; empty where there are none.
    """
    found: dict[str, NewPassage] = {}
    for headings, group in groupby(blocks, key=lambda block: block.headings):
        heading = HEADING_MARK.join(headings)
        for body in _pack(list(_pieces(group))):
            digest = digest_of(heading, body)
            found.setdefault(digest, NewPassage(len(found), heading, body, digest))
    return list(found.values())


def digest_of(heading: str, body: str) -> str:
    """64 hexadecimal digits that stand for exactly this passage."""
    return sha256(f"{heading}\0{body}".encode()).hexdigest()


def embedded_text(heading: str, body: str) -> str:
    """What of a passage is turned into a vector: its innermost headings as sentences of their own, then its text."""
    inner = heading.split(HEADING_MARK)[-_HEADINGS_EMBEDDED:] if heading else []
    titles = [title if title.endswith((".", "?", "!")) else f"{title}." for title in inner]
    return " ".join([*titles, body])


def sentences(text: str) -> list[str]:
    """The sentences of a text, each whole; abbreviations such as ``Dr.`` end none."""
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        sentence = text[start : end.end()].strip()
        if sentence and not _ENDS_IN_SHORT_FORM.search(sentence):
            found.append(sentence)
            start = end.end()
    if last := text[start:].strip():
        found.append(last)
    return found


def _pieces(blocks: Iterable[Block]) -> Iterator[str]:
    """Sentences, and a line break at the end of each block; a sentence that is too long is cut at clauses or words."""
    for block in blocks:
        for sentence in sentences(block.text):
            if len(sentence.split()) <= MOST:
                yield sentence
            else:
                yield from _pack(list(_clauses(sentence)))
        yield "\n"


def _clauses(sentence: str) -> Iterator[str]:
    for clause in _CLAUSE_END.split(sentence):
        words = clause.split()
        for start in range(0, len(words), MOST):
            yield " ".join(words[start : start + MOST])


def _pack(pieces: Sequence[str]) -> list[str]:
    """Join pieces, in order, into bodies of at most ``MOST`` words, all of them as near to ``IDEAL`` as can be."""
    sizes = [len(piece.split()) for piece in pieces]
    if sum(sizes) <= MOST:
        return [body] if (body := _join(pieces)) else []
    # best[i]: how far from ideal the first i pieces are when cut in the best way, and where their last body begins.
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(pieces) + 1):
        size, choices = 0, []
        for start in range(end - 1, -1, -1):
            size += sizes[start]
            if size > MOST:
                break
            choices.append((best[start][0] + (size - IDEAL) ** 2, start))
        best.append(min(choices))
    cuts = [len(pieces)]
    while cuts[-1]:
        cuts.append(best[cuts[-1]][1])
    cuts.reverse()
    bodies = (_join(pieces[start:end]) for start, end in pairwise(cuts))
    return [body for body in bodies if body]


def _join(pieces: Sequence[str]) -> str:
    return "\n".join(line.strip() for line in " ".join(pieces).split("\n") if line.strip())
