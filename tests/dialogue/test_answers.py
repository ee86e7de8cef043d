import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialogue.answers import Answer, Weights, answer, spoken_sentences
from engine.dialogue.spoken import LONGEST_ANSWER, sentences
from engine.messages import Passage
from engine.tenants import examples
from tests.dialogue.conversation import notes

DENTIST = examples.load("harbor-dental")
WEIGHTS = Weights(f"{note.source}. {note.text}" for note in DENTIST.knowledge)


def ask(question: str, *sources: str) -> str:
    found = answer(question, notes(DENTIST, *sources), WEIGHTS)
    return found.text if found else ""


def passage(text: str, *, score: float = 0.6, source: str = "A note") -> Passage:
    return Passage(DENTIST.id, source, text, score)


@pytest.mark.parametrize(
    ("question", "sources", "fact"),
    [
        ("how much is a crown", ["Prices of fillings, crowns and extractions"], "1,150 dollars"),
        ("what does a first visit cost", ["Prices of check-ups and cleanings"], "210 dollars"),
        ("how long does a cleaning take", ["How often to come, and how long it takes"], "45 minutes"),
        ("when can I smoke after an extraction", ["After an extraction or a filling"], "two days"),
        ("which doctor speaks spanish", ["Dentists and staff"], "Doctor Alvarez speaks Spanish"),
        ("do you take HMO plans", ["Insurance"], "do not accept HMO plans"),
        ("how do I get there by bus", ["Location and directions", "Public transport"], "number 4 bus"),
    ],
)
def test_the_sentence_that_answers_is_said(question: str, sources: list[str], fact: str) -> None:
    assert fact in ask(question, *sources)


def test_a_price_is_said_where_a_price_is_asked_for() -> None:
    said = ask("how much is whitening at home", "Whitening")
    assert "220 dollars" in said


def test_a_sentence_that_leans_on_the_one_before_brings_it_along() -> None:
    text = "Children are seen on Mondays. They need no appointment then. Bring their vaccination card."
    found = answer("do they need an appointment", [passage(text)], WEIGHTS)
    assert found is not None
    assert "Children are seen on Mondays. They need no appointment then." in found.text


def test_what_denies_is_said_rather_than_what_only_adds() -> None:
    assert "do not accept HMO plans" in ask("do you take insurance", "Insurance")


def test_no_yes_and_no_no_is_put_before_an_answer() -> None:
    for question in ("do you take Delta", "is parking free", "can I bring my dog"):
        assert not ask(question, "Insurance", "Parking").lower().startswith(("yes", "no,", "no."))


def test_two_things_asked_at_once_are_both_answered() -> None:
    said = ask("can I get there by bus and do you take insurance", "Public transport", "Insurance")
    assert "number 4 bus" in said
    assert "insurance plans" in said


def test_what_shares_no_word_is_not_trusted_unless_the_search_is_sure() -> None:
    unsure = answer("do you sell sweaters", [passage("Our parking is in the yard.", score=0.28)], WEIGHTS)
    assert unsure is not None
    assert not unsure.sure
    by_meaning = answer("where do I leave my automobile", [passage("Parking is in the yard.", score=0.5)], WEIGHTS)
    assert by_meaning is not None
    assert by_meaning.sure


def test_nothing_is_answered_from_nothing() -> None:
    assert answer("where can I park", [], WEIGHTS) is None
    assert answer("where can I park", [passage("")], WEIGHTS) is None


def test_a_sentence_too_long_to_be_said_honestly_is_left_out() -> None:
    long = "We take every kind of card, " + "and coins, " * 30 + "but never on a Friday."
    found = answer("do you take cards", [passage(long)], WEIGHTS)
    assert found is None


@given(
    st.text(max_size=80),
    st.lists(st.tuples(st.text(max_size=400), st.floats(-1, 20)), max_size=5),
)
def test_an_answer_is_short_and_made_of_its_passages_alone(question: str, texts: list[tuple[str, float]]) -> None:
    passages = [passage(text, score=score) for text, score in texts]
    found = answer(question, passages, WEIGHTS)
    if found is None:
        return
    assert isinstance(found, Answer)
    assert len(found.text) <= LONGEST_ANSWER + 60
    known = {each for one in found.passages for each in spoken_sentences(one.text)}
    rest = found.text
    for sentence in sorted(known, key=len, reverse=True):
        rest = rest.replace(sentence, "")
    assert not rest.strip()
    assert sentences(found.text)
