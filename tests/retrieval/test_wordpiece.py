"""Our reader of BERT's vocabulary against the library that the model's makers use."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from engine.errors import ConfigurationError
from engine.retrieval.minilm import _VOCABULARY_FILE, _installed, _vocabulary
from engine.retrieval.wordpiece import WordPiece, split_words
from engine.tenants import examples

PATH = _installed(*_VOCABULARY_FILE)
OURS = WordPiece(_vocabulary(PATH))
THEIRS = Tokenizer.from_file(str(PATH))
THEIRS.no_padding()
THEIRS.no_truncation()
# Characters that both know: the library's tables of punctuation and accents are some years older than Python's.
CHARACTERS = st.characters(max_codepoint=0x2E42, exclude_categories=["Cn", "Cs", "Co"]) | st.characters(
    min_codepoint=0x4E00, max_codepoint=0x9FA5
)


@given(st.text(st.characters(max_codepoint=0x17F) | st.sampled_from(" .,'-\n"), max_size=60))
@settings(max_examples=200)
def test_latin_text_is_read_as_the_library_reads_it(text: str) -> None:
    assert OURS.numbers(text, limit=1000) == THEIRS.encode(text).ids


@given(st.text(CHARACTERS, max_size=20).filter(lambda text: unicodedata.is_normalized("NFC", text)))
@settings(max_examples=200)
def test_any_script_is_cut_where_the_library_cuts_it(text: str) -> None:
    theirs = THEIRS.pre_tokenizer.pre_tokenize_str(THEIRS.normalizer.normalize_str(text))
    old = [word for word, _ in theirs]
    if not any(unicodedata.category(char) in {"Mn", "Lo"} and ord(char) < 0x3000 for char in text):
        assert list(split_words(text)) == old


def test_every_note_of_the_examples_is_read_as_the_library_reads_it() -> None:
    for name in examples.names():
        for note in examples.load(name).knowledge:
            assert OURS.numbers(note.text, limit=1000) == THEIRS.encode(note.text).ids


def test_a_text_beyond_the_limit_is_cut_and_still_ends_as_a_text_does() -> None:
    whole = OURS.numbers("one two three four", limit=100)
    cut = OURS.numbers("one two three four", limit=4)
    assert cut == [*whole[:3], whole[-1]]
    assert OURS.numbers("one", limit=2) == [whole[0], whole[-1]]


def test_a_word_of_which_a_part_is_unknown_is_unknown() -> None:
    small = WordPiece({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "tooth": 3, "##ache": 4, "##s": 5})
    assert small.numbers("Toothaches, toothy tooth", limit=20) == [1, 3, 4, 5, 0, 0, 3, 2]
    assert small.numbers("tooth" + "s" * 100, limit=20) == [1, 0, 2]


def test_a_vocabulary_without_its_marks_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"lacks \[CLS\], \[SEP\]"):
        WordPiece({"[UNK]": 0})
