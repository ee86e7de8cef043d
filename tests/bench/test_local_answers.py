from bench.local_answers import figures, read_facts, says, verdict
from bench.retrieval_quality import read_questions
from engine.dialogue.acts import CallTool, Say
from engine.dialogue.phrases import PHRASES
from engine.messages import Passage
from engine.tenants import examples

PARKING = Passage("harbor-dental", "Parking", "Parking is free. The yard is behind the house.", 0.6)
BUS = Passage("harbor-dental", "Bus", "The number 4 bus stops here.", 0.5)


def test_every_question_has_a_fact_that_stands_in_a_note_that_answers_it() -> None:
    facts = read_facts()
    asked, _ = read_questions()
    assert set(facts) == {(question.tenant, question.ask) for question in asked}
    notes = {name: examples.load(name).knowledge for name in examples.names()}
    for question in asked:
        texts = [note.text for note in notes[question.tenant] if note.source in question.expect]
        assert any(says(text, facts[question.tenant, question.ask]) for text in texts), question.ask


def test_a_fact_is_met_as_whole_words() -> None:
    assert says("It costs 145 dollars.", "145 Dollars")
    assert not says("It costs 1145 dollars.", "145 dollars")
    assert says("We have sedation.", "laughing gas | sedation")


def test_what_came_of_a_question_is_judged() -> None:
    both = (PARKING, BUS)
    assert verdict([Say("Parking is free.")], "is free", ["Parking"], both) == "right"
    assert verdict([Say("The yard is behind the house.")], "is free", ["Parking"], both) == "beside"
    assert verdict([Say("The number 4 bus stops here.")], "is free", ["Parking"], both) == "wrong"
    assert verdict([Say(PHRASES["unknown"][0])], "is free", ["Parking"], both) == "refused"
    assert verdict([CallTool("1", "free_slots", {})], "is free", ["Parking"], both) == "begun"


def test_shares_are_of_all_questions() -> None:
    counted = figures(["right", "right", "wrong", "refused"])
    assert (counted.n, counted.right, counted.beside, counted.wrong, counted.refused) == (4, 0.5, 0.0, 0.25, 0.25)
