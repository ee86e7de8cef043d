from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigurationError
from engine.retrieval.outline import Block, Outline
from engine.retrieval.read_html import fill_from_html
from engine.retrieval.read_markdown import fill_from_markdown
from engine.retrieval.readers import find_files, read_document
from tests.retrieval.a_pdf import a_pdf

Read = list[tuple[tuple[str, ...], str]]


def read(folder: Path, name: str, data: bytes | str) -> Read:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return [(block.headings, block.text) for block in read_document(path, name).blocks]


def test_markdown_keeps_headings_lists_tables_and_code(tmp_path: Path) -> None:
    text = """---
layout: page
---
# Menu
Everything is **fresh**, see [the list](https://example.com).

## Soups
- Lentil
- Tomato,
  with bread

| Dish | Price | Hot |
|---|---|---|
| Stew | 9 | yes |
| Salad | 7 | |

Drinks
------
```
water
```
# Closed on Mondays
"""
    assert read(tmp_path, "menu.md", text) == [
        (("Menu",), "Everything is fresh, see the list."),
        (("Menu", "Soups"), "Lentil"),
        (("Menu", "Soups"), "Tomato, with bread"),
        (("Menu", "Soups"), "Stew, Price: 9, Hot: yes"),
        (("Menu", "Soups"), "Salad, Price: 7"),
        (("Menu", "Drinks"), "water"),
        ((), "Closed on Mondays"),
    ]


def test_html_is_read_as_a_person_sees_it(tmp_path: Path) -> None:
    page = """<!doctype html><html><head><title>T</title><style>p {}</style></head><body>
<nav><a href=/>Home</a></nav><script>if (a < b) document.write("<p>no</p>")</script>
<h1>Harbor &amp; Sons</h1><p>We <b>mend</b>
 boats<br>and nets<p>Since 1920
<dl><dt>Do you rent?<dd>No.<dt>Why?<dd>We tried.</dl>
<p>After all.</p>
<details><summary>Parking</summary>In the yard.</details>
<table><tr><th>Boat<th>Price<tr><td>Row<td>10<tr><td>Sail<td></table>
<h2>Hours</h2><ul><li>Monday<li>Tuesday</ul><footer>Ferry Lane</footer>"""
    assert read(tmp_path, "page.html", page) == [
        (("Harbor & Sons",), "We mend boats and nets"),
        (("Harbor & Sons",), "Since 1920"),
        (("Harbor & Sons", "Do you rent?"), "No."),
        (("Harbor & Sons", "Why?"), "We tried."),
        (("Harbor & Sons",), "After all."),
        (("Harbor & Sons", "Parking"), "In the yard."),
        (("Harbor & Sons",), "Row, Price: 10"),
        (("Harbor & Sons",), "Sail"),
        (("Harbor & Sons", "Hours"), "Monday"),
        (("Harbor & Sons", "Hours"), "Tuesday"),
        (("Harbor & Sons", "Hours"), "Ferry Lane"),
    ]


def test_a_silent_element_that_never_ends_does_not_swallow_the_page(tmp_path: Path) -> None:
    assert ((), "Open daily.") in read(tmp_path, "page.htm", "<nav><a>Home</a><p>Open daily.</p>")


def test_a_page_says_its_own_charset(tmp_path: Path) -> None:
    page = '<meta charset="iso-8859-1"><p>Café</p>'.encode("latin-1")
    assert read(tmp_path, "page.html", page) == [((), "Café")]


def test_plain_text_is_read_by_paragraphs_and_titles(tmp_path: Path) -> None:
    text = "Parking\n=======\n\nBehind the house.\r\nMill Street.\n\n\nDo you take cards?\n\nYes.\n"
    assert read(tmp_path, "notes.txt", text) == [
        (("Parking",), "Behind the house. Mill Street."),
        (("Do you take cards?",), "Yes."),
    ]


def test_a_pdf_gives_its_headings_by_size_and_loses_what_runs_along(tmp_path: Path) -> None:
    pages = [
        [
            (9, "Handbook"),
            (18, "Parking"),
            (11, "Behind the house, and it is en-"),
            (11, "tirely free."),
            (9, "Page 1"),
        ],
        [(9, "Handbook"), (18, "Buses"), (14, "By day"), (11, "Number four."), (9, "Page 2")],
        [(9, "Handbook"), (14, "At night"), (11, "Number nine."), (9, "Page 3")],
    ]
    assert read(tmp_path, "handbook.pdf", a_pdf(pages)) == [
        (("Parking",), "Behind the house, and it is entirely free."),
        (("Buses", "By day"), "Number four."),
        (("Buses", "At night"), "Number nine."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        'Topic,Question,Answer,Source\nPay,Cards?,"Yes, all.",Kim\n\n,Cash?,Yes.,\n',
        "\ufefftopic;question;answer;source\nPay;Cards?;Yes, all.;Kim\n;Cash?;Yes.\n",
        "question\tanswer\ttopic\tsource\nCards?\tYes, all.\tPay\tKim\nCash?\tYes.\t\t\n",
    ],
)
def test_a_table_of_questions_and_answers_is_known_by_its_titles(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, "faq.csv", text) == [
        (("Pay", "Cards?"), "Yes, all. source: Kim."),
        (("Cash?",), "Yes."),
    ]


def test_two_columns_need_no_titles(tmp_path: Path) -> None:
    assert read(tmp_path, "faq.csv", "Cards?,Yes.\nCash?,No.") == [(("Cards?",), "Yes."), (("Cash?",), "No.")]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.docx", b"PK", "cannot read .docx; save it as one of .md"),
        ("a.md", b"Caf\xe9", "is not utf-8 text"),
        ("a.txt", b"\0\1\2\3", "is no text; save it as text in UTF-8"),
        ("a.txt", b"\n \n", "holds no text; write some"),
        ("a.html", b"<script>x()</script>", "holds no text"),
        ("a.pdf", b"no pdf at all", "is damaged or no PDF"),
        ("a.pdf", a_pdf([[(11, "cut off")]])[:300], "print it into a new PDF"),
        ("a.pdf", a_pdf([[], []]), "run text recognition"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"name,price,colour\nx,1,red\n", "its columns are 'name', 'price', 'colour'; name one 'question'"),
        ("a.csv", b"question,answer\nCards?,\n", "line 2: has no answer; add it, or remove the line"),
        ("a.csv", b"question,answer\n,Yes.\n", "line 2: has no question"),
        ("a.csv", b"question,answer\nCards?,Yes, all.\n", "line 2: has 3 cells where 2 are expected"),
        ("a.csv", b'question,answer\nCards?,"Yes\n', "is no CSV"),
    ],
)
def test_what_cannot_be_read_names_file_and_cure(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, name, data)
    assert str(refused.value).startswith(f"{tmp_path / name}: ")
    assert said in str(refused.value)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.md: cannot be read \(No such file"):
        read_document(tmp_path / "gone.md", "gone.md")
    with pytest.raises(ConfigurationError, match="no such file or folder"):
        find_files(tmp_path / "gone.md")


def test_a_folder_gives_what_can_be_read_by_its_path_within(tmp_path: Path) -> None:
    for name in ("b.md", "sub/a.txt", ".git/hooks/photo.jpg", ".hidden.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x")
    assert [name for name, _ in find_files(tmp_path)] == ["b.md", "sub/a.txt"]
    assert find_files(tmp_path / "b.md") == [("b.md", tmp_path / "b.md")]
    with pytest.raises(ConfigurationError, match="nothing here that can be read"):
        find_files(tmp_path / ".git" / "hooks")


HEADINGS = st.tuples(st.just("heading"), st.integers(1, 4), st.text("ab ", max_size=3))
TEXTS = st.tuples(st.just("text"), st.just(0), st.text("cd ", max_size=3))
CLOSES = st.tuples(st.just("close"), st.integers(1, 4), st.just(""))


@given(st.lists(HEADINGS | TEXTS | CLOSES))
def test_an_outline_loses_nothing(steps: list[tuple[str, int, str]]) -> None:
    outline = Outline()
    for what, level, text in steps:
        match what:
            case "heading":
                outline.heading(level, text)
            case "text":
                outline.text(text)
            case _:
                outline.close(level)
    blocks = outline.blocks()
    kept = {word for block in blocks for word in " ".join((*block.headings, block.text)).split()}
    assert kept == {word for _, _, text in steps for word in text.split()}


TAGS = ("p", "h1", "h2", "table", "tr", "td", "th", "nav", "dl", "dt", "dd", "li", "b")
MARKUP = st.lists(
    st.sampled_from(TAGS).map("<{}>".format) | st.sampled_from(TAGS).map("</{}>".format) | st.sampled_from(["&", "x"])
).map(" ".join)


@given(MARKUP)
def test_any_markup_can_be_read(text: str) -> None:
    for fill in (fill_from_html, fill_from_markdown):
        outline = Outline()
        fill(outline, text)
        blocks = outline.blocks()
        assert all(isinstance(block, Block) and block.text for block in blocks)
        if "<nav>" not in text and fill is fill_from_html:
            said = " ".join(" ".join((*block.headings, block.text)) for block in blocks)
            assert ("x" in text.split()) == ("x" in said.replace("x:", "x"))
