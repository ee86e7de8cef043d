import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialogue.intents import Intent, intent_of
from engine.dialogue.replies import asks_strongly, follows_on, is_no, is_yes, parted


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("hello there", Intent.GREETING),
        ("thank you so much", Intent.THANKS),
        ("okay great thank you bye", Intent.GOODBYE),
        ("no that's everything thank you", Intent.GOODBYE),
        ("that's all thanks", Intent.GOODBYE),
        ("sorry what", Intent.REPEAT),
        ("could you say that again please", Intent.REPEAT),
        ("hold on a second", Intent.WAIT),
        ("can I talk to a real person", Intent.PERSON),
        ("put me through to the manager", Intent.PERSON),
        ("can I talk to Ruth", Intent.PERSON),
        ("can you put me to sleep for it", Intent.QUESTION),
        ("I'd like to leave a message", Intent.MESSAGE),
        ("can you tell Doctor Alvarez I'm late", Intent.MESSAGE),
        ("can somebody call me back", Intent.MESSAGE),
        ("I'd like to book an appointment", Intent.BOOK),
        ("book me a cleaning next Monday at ten", Intent.BOOK),
        ("could I get a table for four on Friday", Intent.BOOK),
        ("I need a plumber", Intent.BOOK),
        ("I need somebody to come out on Thursday", Intent.BOOK),
        ("can you come today", Intent.BOOK),
        ("do I need an appointment", Intent.QUESTION),
        ("do you have a table for two tonight", Intent.FREE_SLOTS),
        ("I want to book a flight to Denver", Intent.QUESTION),
        ("do you have anything on tuesday", Intent.FREE_SLOTS),
        ("what times are free on monday", Intent.FREE_SLOTS),
        ("when is my appointment", Intent.FIND_BOOKING),
        ("what are your hours", Intent.HOURS),
        ("are you open on saturday", Intent.HOURS),
        ("how late are you open tonight", Intent.HOURS),
        ("when do you close today", Intent.HOURS),
        ("are you a robot", Intent.WHO_ARE_YOU),
        ("is this Harbor Dental", Intent.WHICH_BUSINESS),
        ("you don't understand me", Intent.COMPLAINT),
        ("never mind", Intent.NEVER_MIND),
        ("yes please", Intent.YES),
        ("no thanks", Intent.NO),
        ("are you taking new patients", Intent.QUESTION),
        ("is there valet parking", Intent.QUESTION),
        ("what happens if we call it off last minute", Intent.QUESTION),
    ],
)
def test_what_is_wanted_is_told_from_words_alone(text: str, intent: Intent) -> None:
    assert intent_of(text) is intent


@pytest.mark.parametrize("text", ["yes", "yeah that's right", "okay go ahead", "sure, please do", "uh huh", "Correct."])
def test_a_plain_yes_is_one(text: str) -> None:
    assert is_yes(text)


@pytest.mark.parametrize(
    "text",
    ["yes but on Tuesday", "that's not right", "no", "right, so no", "wait", "yes no", "sure is cold", "", "maybe"],
)
def test_what_is_more_or_less_than_a_yes_is_none(text: str) -> None:
    assert not is_yes(text)


def test_a_no_may_say_more() -> None:
    assert is_no("no, Tuesday")
    assert is_no("that's wrong")
    assert not is_no("Tuesday")


def test_a_question_that_can_be_nothing_else_is_told_apart() -> None:
    assert asks_strongly("how much is that")
    assert not asks_strongly("can I come on Friday at ten")


def test_what_leans_on_the_last_answer_is_short() -> None:
    assert follows_on("and how much is that")
    assert follows_on("what about Saturdays")
    assert not follows_on("where can I park")


def test_two_things_asked_at_once_are_two() -> None:
    assert parted("are you open on Saturday and where do I park") == ["are you open on Saturday", "where do I park"]
    assert parted("do you have bread and butter") == ["do you have bread and butter"]


@given(st.text(max_size=120))
def test_any_text_has_an_intent(text: str) -> None:
    assert intent_of(text) in Intent
    assert not (is_yes(text) and is_no(text))
