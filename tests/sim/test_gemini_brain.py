import numpy as np
import pytest

from engine.call.opening import greeting
from engine.messages import Notes, NothingFound, Passage
from engine.model.setup import notes_text
from engine.sim.brain import (
    HELLO,
    UNHEARD,
    UNKNOWN,
    EchoBrain,
    GroundedBrain,
    HeardTurn,
    Said,
    ToolAnswer,
    ToolWish,
    best_passage,
)
from engine.tenants.tenant import Tenant

BOOKING = ToolWish("book_appointment", {"day": "tomorrow", "time": "10:00"})
BRAIN = GroundedBrain({"book an appointment": BOOKING}, {"thank you": "You're welcome."})

PASSAGES = (
    Passage("t", "hours.md", "We open on Saturdays from nine to one. On Sundays we are closed. Ring the bell.", 0.8),
    Passage("t", "prices.md", "A cleaning costs 95 dollars.", 0.4),
)


def engine_notes() -> str:
    text = notes_text(Notes(1, "hours", PASSAGES, 3.0), "x7k2")
    assert text is not None
    return text


def nothing_found() -> str:
    text = notes_text(NothingFound(1, "hours", 3.0), "x7k2")
    assert text is not None
    return text


def test_the_best_passage_of_our_own_notes_is_what_is_said() -> None:
    reply = BRAIN.reply(HeardTurn("When do you open?", engine_notes()))
    assert reply.text == "We open on Saturdays from nine to one. On Sundays we are closed."
    assert reply.tools == ()


@pytest.mark.parametrize(
    "block",
    [
        "Reference notes, not spoken by the caller:\n```\n[1] hours.md: We open at nine.\n```",
        "<notes>\n- We open at nine.\n\n- We sell pizza.\n</notes>",
        "--- notes ---\nsource: hours.md\nWe open at nine.\n--- end ---",
        "We open at nine.",
    ],
)
def test_other_ways_to_fence_notes_are_understood(block: str) -> None:
    assert best_passage(block).removeprefix("hours.md: ") == "We open at nine."


@pytest.mark.parametrize("notes", ["", "(no notes found)", "[no notes]", "```\nnone\n```", nothing_found()])
def test_without_notes_it_says_so_and_offers_to_take_a_message(notes: str) -> None:
    assert BRAIN.reply(HeardTurn("When do you open?", notes)).text == UNKNOWN


def test_speech_that_was_not_understood_is_asked_for_again() -> None:
    assert BRAIN.reply(HeardTurn("", engine_notes())).text == UNHEARD


def test_a_booking_phrase_becomes_a_tool_call_and_its_result_is_spoken() -> None:
    turn = HeardTurn("I'd like to BOOK an appointment, please.", tools=("book_appointment",))
    assert BRAIN.reply(turn).tools == (BOOKING,)
    answer = ToolAnswer("c1", "book_appointment", {"status": "ok", "message": "You are booked for ten."})
    after = HeardTurn(turn.transcript, results=(answer,), tools=turn.tools)
    assert BRAIN.reply(after).text == "You are booked for ten."


def test_a_tool_that_is_not_on_offer_is_not_called() -> None:
    reply = BRAIN.reply(HeardTurn("I'd like to book an appointment.", tools=("take_message",)))
    assert (reply.tools, reply.text) == ((), UNKNOWN)


def test_small_talk_has_its_own_answer() -> None:
    assert BRAIN.reply(HeardTurn("Thank you!", engine_notes())).text == "You're welcome."


@pytest.mark.parametrize("quotes", ['"{}"', "“{}”"])
def test_an_instruction_to_speak_is_voiced(quotes: str) -> None:
    greeting = "Hello, this is Bright Dental. How can I help?"
    instruction = "Greet the caller with exactly these words: " + quotes.format(greeting)
    assert BRAIN.reply(HeardTurn(None, instruction)).text == greeting


def test_words_relayed_in_writing_are_answered_not_voiced() -> None:
    relayed = f'{engine_notes()}\nThe caller said: "When do you open?"'
    assert BRAIN.reply(HeardTurn(None, relayed)).text.startswith("We open on Saturdays")


def test_our_own_words_for_going_on_are_understood() -> None:
    tenant = Tenant(id="t", name="T", greeting="Hello, this is Bright Dental.")
    assert BRAIN.reply(HeardTurn(None, greeting(tenant).text)).text == "Hello, this is Bright Dental."
    unanswered = (
        "The line was interrupted for a moment and is back; the caller knows. Do not greet again. The caller's last "
        f'words were: "When do you open?" They were not answered. Answer them now. {engine_notes()}'
    )
    assert BRAIN.reply(HeardTurn(None, unanswered)).text.startswith("We open on Saturdays")
    half_heard = f'The caller had asked: "When?" and heard you say: "We open on" Go on from there. {engine_notes()}'
    assert BRAIN.reply(HeardTurn(None, half_heard)).text.startswith("We open on Saturdays")
    heard = f"Everything said so far was heard. Ask the caller briefly what else you can do. {engine_notes()}"
    assert BRAIN.reply(HeardTurn(None, heard)).text == HELLO


def test_a_reminder_to_answer_goes_back_to_the_last_words_and_notes() -> None:
    history = (Said("user", engine_notes()), Said("user", "When do you open?"))
    reply = BRAIN.reply(HeardTurn(None, "Please answer the caller's last words now.", history))
    assert reply.text.startswith("We open on Saturdays")
    assert BRAIN.reply(HeardTurn(None, "Carry on.")).text == HELLO
    without = (Said("user", "Do you sell pizza?"), Said("user", "When do you open?"))
    assert BRAIN.reply(HeardTurn(None, "Please answer the caller's last words now.", without)).text == UNKNOWN


def test_a_reminder_does_not_repeat_a_tool_call_that_was_answered() -> None:
    asked = (Said("user", "I'd like to book an appointment."),)
    nudge = "Please answer the caller's last words now."
    assert BRAIN.reply(HeardTurn(None, nudge, asked, tools=("book_appointment",))).tools == (BOOKING,)
    answered = (*asked, Said("model", "You are booked."))
    assert BRAIN.reply(HeardTurn(None, nudge, answered, tools=("book_appointment",))).tools == ()


def test_a_canned_answer_is_always_the_same() -> None:
    sound = np.ones(240, np.int16)
    brain = EchoBrain(sound, "Yes.")
    assert brain.reply(HeardTurn("a")) is brain.reply(HeardTurn("b"))
    assert brain.reply(HeardTurn("a")).sound is sound
