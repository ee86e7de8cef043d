"""What of an utterance was said, and what was heard by when."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.model.elevenlabs_utterance import Utterance
from engine.sim.elevenlabs_rules import alignment as said_when
from engine.wire.elevenlabs import Alignment

ONE, TWO = "We open at nine.", "We close at 5, I think."


def spoken(*sentences: str, ms: int = 1000, piece_ms: int = 150, timed: bool = True) -> tuple[Utterance, list[str]]:
    """Each sentence takes so long and comes in such pieces."""
    utterance, told = Utterance("one"), []
    for sentence in sentences:
        utterance.add(sentence)
        characters = said_when(f"{sentence} ", ms)
        for at in range(0, ms, piece_ms):
            until = at + piece_ms if at + piece_ms < ms else ms + 1
            inside = [one for one in characters if at <= one[1] < until]
            chars, starts, lengths = zip(*inside, strict=True) if inside else ((), (), ())
            times = Alignment(chars, tuple(start - at for start in starts), lengths) if timed and inside else None
            told.append(utterance.sound(bytes(8 * min(piece_ms, ms - at)), times))
    return utterance, told


def test_the_text_comes_with_its_sound() -> None:
    utterance, told = spoken(ONE, TWO)
    assert "".join(told) == f"{ONE} {TWO}"
    assert utterance.complete() == ""
    assert "We open" in "".join(told[:4])
    assert "close" not in "".join(told[:8])


def test_a_word_is_heard_when_its_sound_is_over() -> None:
    utterance, _ = spoken(ONE, TWO)
    heard = [utterance.heard(ms) for ms in range(0, 2001, 10)]
    assert heard[0] == ""
    assert heard[100] == ONE
    assert heard[200] == f"{ONE} {TWO}"
    assert all(later.startswith(before) for before, later in pairwise(heard))
    assert all(f"{ONE} {TWO} ".startswith(f"{words} ") or not words for words in heard)


def test_each_character_has_its_own_time() -> None:
    utterance, _ = spoken("Yes, sir.", ms=900)
    ends = {char: start + length for char, start, length in said_when("Yes, sir. ", 900)}
    assert utterance.heard(ends[","] - 1) == ""
    assert utterance.heard(ends[","]) == "Yes,"
    assert utterance.heard(ends["."] - 1) == "Yes,"
    assert utterance.heard(ends["."]) == "Yes, sir."


def test_the_rest_begins_at_the_word_in_which_the_sound_stops() -> None:
    utterance = Utterance("one")
    utterance.add("Certainly, today.")
    utterance.sound(bytes(800), Alignment(tuple("Certainly, to"), tuple(range(13)), (1,) * 13))
    assert utterance.unsaid == "today."
    assert utterance.owes_sound


def test_the_rest_of_whole_words_begins_at_the_next() -> None:
    utterance = Utterance("one")
    utterance.add("Certainly, today.")
    utterance.sound(bytes(800), Alignment(tuple("Certainly,"), tuple(range(10)), (1,) * 10))
    assert utterance.unsaid == "today."


def test_before_any_sound_all_is_unsaid() -> None:
    utterance = Utterance("one")
    utterance.add(ONE)
    assert (utterance.unsaid, utterance.heard(1000.0)) == (ONE, "")


def test_a_mark_without_a_letter_is_not_waited_for() -> None:
    utterance = Utterance("one")
    utterance.add("Hi!!")
    assert utterance.sound(bytes(800), Alignment(("H", "i"), (0, 50), (50, 50))) == "Hi!!"
    assert not utterance.owes_sound
    assert utterance.unsaid == utterance.complete() == ""


def test_a_word_is_told_when_it_is_whole() -> None:
    utterance = Utterance("one")
    utterance.add("Certainly, today.")
    assert utterance.sound(bytes(800), Alignment(tuple("Certainly, to"), tuple(range(13)), (1,) * 13)) == "Certainly, "
    assert utterance.sound(bytes(800), Alignment(tuple("day."), tuple(range(4)), (1,) * 4)) == "today."


def test_without_times_the_text_keeps_pace_with_the_sound() -> None:
    utterance, told = spoken(ONE, timed=False)
    assert told[0] == ONE
    assert utterance.heard(0.0) == ""
    assert ONE.startswith(utterance.heard(500.0))
    assert 0 < len(utterance.heard(500.0)) < len(ONE)
    assert utterance.heard(1000.0) == ONE
    assert not utterance.owes_sound


def test_a_voice_that_leaves_characters_out_is_followed() -> None:
    utterance = Utterance("one")
    utterance.add("Ask (for) Ann, please.")
    utterance.sound(bytes(1600), Alignment(tuple("Ask for Ann please"), tuple(range(18)), (1,) * 18))
    assert not utterance.owes_sound


TEXT = st.text("abc é5,.?!—", min_size=1, max_size=40).map(lambda text: " ".join(text.split())).filter(bool)


@given(TEXT, st.lists(st.tuples(st.text("abc é5,.", max_size=6), st.integers(0, 300)), max_size=12))
def test_whatever_times_come_the_text_is_told_once_and_in_order(text: str, pieces: list[tuple[str, int]]) -> None:
    utterance = Utterance("one")
    utterance.add(text)
    told = ""
    for chars, start in pieces:
        times = Alignment(tuple(chars), tuple(float(start + at) for at in range(len(chars))), (1.0,) * len(chars))
        told += utterance.sound(bytes(80), times)
        assert text.startswith(told)
        assert text.endswith(utterance.unsaid)
    assert told + utterance.complete() == text
    assert text.startswith(utterance.heard(1e9))
