import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.retrieval.chunk import IDEAL, MOST, chunk, digest_of, embedded_text, sentences
from engine.retrieval.outline import Block

SENTENCES = st.builds(
    lambda size, word, end: " ".join([word] * size) + end,
    st.integers(1, 150),
    st.sampled_from(["one", "two", "too,"]),
    st.sampled_from(".!?"),
)
TEXTS = st.lists(SENTENCES, min_size=1, max_size=6).map(" ".join)
BLOCKS = st.lists(st.builds(Block, st.sampled_from([(), ("A",), ("A", "B")]), TEXTS), max_size=4)


@given(BLOCKS)
def test_no_word_is_lost_and_blocks_stay_in_order(blocks: list[Block]) -> None:
    own = [Block(block.headings, f"{n}x {block.text}") for n, block in enumerate(blocks)]
    passages = chunk(own)
    said = [word for passage in passages for word in passage.body.split()]
    assert set(said) == {word for block in own for word in block.text.split()}
    assert [word for word in said if word.endswith("x")] == [f"{n}x" for n in range(len(own))]


@given(BLOCKS)
def test_passages_are_short_enough_numbered_and_never_repeat(blocks: list[Block]) -> None:
    passages = chunk(blocks)
    assert all(0 < len(passage.body.split()) <= MOST for passage in passages)
    assert [passage.position for passage in passages] == list(range(len(passages)))
    assert len({passage.digest for passage in passages}) == len(passages)
    assert chunk(blocks) == passages


def test_what_stands_under_different_headings_is_never_mixed() -> None:
    passages = chunk([Block(("FAQ", "Parking"), "Behind the house."), Block(("FAQ", "Bus"), "Number four.")])
    assert [(p.heading, p.body) for p in passages] == [
        ("FAQ > Parking", "Behind the house."),
        ("FAQ > Bus", "Number four."),
    ]


def test_paragraphs_of_one_heading_share_a_passage_while_they_fit() -> None:
    passages = chunk([Block(("Menu",), "Soup."), Block(("Menu",), "Fish.")])
    assert [p.body for p in passages] == ["Soup.\nFish."]


def test_long_text_is_cut_evenly_between_sentences() -> None:
    sentence = " ".join(["word"] * 14) + " end."
    passages = chunk([Block((), " ".join(f"{n} {sentence}" for n in range(20)))])
    sizes = [len(p.body.split()) for p in passages]
    assert all(p.body.endswith("end.") for p in passages)
    assert max(sizes) - min(sizes) <= 16
    assert all(abs(size - IDEAL) <= 20 for size in sizes)


def test_a_sentence_too_long_for_a_passage_is_cut_at_its_clauses() -> None:
    clause = " ".join(["word"] * 49)
    passages = chunk([Block((), ", ".join([clause] * 5) + ".")])
    assert all(len(p.body.split()) <= MOST for p in passages)
    assert all(p.body.endswith((",", ".")) for p in passages)


def test_a_digest_stands_for_heading_and_text() -> None:
    assert digest_of("a", "b") == chunk([Block(("a",), "b")])[0].digest
    assert len({digest_of("a", "b"), digest_of("b", "a"), digest_of("", "ab"), digest_of("ab", "")}) == 4


def test_a_passage_is_embedded_with_its_two_innermost_headings() -> None:
    assert embedded_text("Handbook > Guests > Do you take cards?", "Yes.") == "Guests. Do you take cards? Yes."
    assert embedded_text("", "Yes.") == "Yes."


@pytest.mark.parametrize(
    ("text", "parted"),
    [
        ("We open at nine. Come in!", ["We open at nine.", "Come in!"]),
        ("Dr. Alvarez is in. Ask for her.", ["Dr. Alvarez is in.", "Ask for her."]),
        ("It costs 3.50 dollars, e.g. at noon. Yes", ["It costs 3.50 dollars, e.g. at noon.", "Yes"]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("\u6211\u4eec\u5f00\u95e8\u3002\u8bf7\u8fdb\u3002", ["\u6211\u4eec\u5f00\u95e8\u3002", "\u8bf7\u8fdb\u3002"]),
        ("  ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, parted: list[str]) -> None:
    assert sentences(text) == parted
