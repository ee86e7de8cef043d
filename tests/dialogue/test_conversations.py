"""Whole conversations, as one would read them; the notes that the search finds are named beside the question."""

from engine.dialogue.phrases import PHRASES
from tests.dialogue.conversation import Conversation, error, ok, refused

FREE = ok(
    "Free on Tuesday, November 24: 8 a.m., 11 a.m., 2:30 p.m..", date="2026-11-24", free=["08:00", "11:00", "14:30"]
)
BOOKED = ok("Booked for Robin Lee: Tuesday, November 24 at 3 p.m.", starts="2026-11-24T15:00:00", reference="abcd1234")


def is_phrase(text: str, key: str) -> bool:
    return text in PHRASES[key]


def test_eight_questions_to_the_dentist() -> None:
    call = Conversation("harbor-dental", results={"opening_hours": ok("Saturday, November 28: closed.")})
    assert is_phrase(call.hear("hi"), "hello")
    assert "Parking is free" in call.hear("where can I leave my car", "Parking", "Public transport")
    assert "we pay for the first hour" in call.hear("and how much is that", "Whitening")
    assert call.hear("are you open on saturday") == "Saturday, November 28: closed."
    assert call.hear("and on wednesdays", "Whitening") == "Saturday, November 28: closed."
    whitening = call.hear("what does whitening cost", "Whitening")
    assert "390 dollars" in whitening
    assert whitening in call.hear("sorry what")
    assert is_phrase(call.hear("do you sell printer ink"), "unknown")
    assert is_phrase(call.hear("no thanks"), "acknowledged")
    assert "Goodbye" in call.hear("no that's all")
    assert call.done == [
        ("opening_hours", {"day": "saturday"}),
        ("opening_hours", {"day": "wednesday"}),
        ("end_call", {}),
    ]


def test_eight_questions_to_the_plumbers() -> None:
    week = "Monday to Thursday from 7:30 a.m. to 5:30 p.m. It is Monday, November 23, and they are open right now."
    call = Conversation("kessler-plumbing", results={"opening_hours": ok(week, open_now=True)})
    assert "main valve" in call.hear("there's water everywhere", "Burst pipe, what to do first")
    assert "89 dollars" in call.hear("how much is it to come out", "Visit fee and hourly rate")
    assert "249 dollars" in call.hear("and at night", "After-hours service and what it costs")
    assert "two years" in call.hear("is your work guaranteed", "Warranty")
    assert "two hours" in call.hear("when will the plumber be here", "When we arrive")
    assert "do not drill wells" in call.hear("can you drill a well", "Wells, septic tanks and sprinklers")
    assert call.hear("are you open") == ("Yes, we're open right now. Monday to Thursday from 7:30 a.m. to 5:30 p.m.")
    assert is_phrase(call.hear("are you a real person").replace(call.tenant.name, "{name}"), "who") or (
        "not a person" in call.hear("are you a real person")
    )


def test_eight_questions_to_the_restaurant() -> None:
    call = Conversation("olive-and-ember")
    assert "48 Foundry Street" in call.hear("what's your address", "Finding us")
    assert "valet" in call.hear("is there valet parking", "Valet and street spaces")
    assert "9 dollars" in call.hear("how much is that")
    assert "cannot promise" in call.hear("is the bread safe for celiac", "Gluten")
    assert "do not use peanuts" in call.hear("my son is allergic to peanuts", "Nuts and other allergies")
    assert "Dogs on a leash" in call.hear("can we bring the dog", "Sitting outside, and dogs")
    assert "no dress code" in call.hear("what should I wear", "What to wear")
    assert "do not bring food to your home" in call.hear("do you deliver to my home", "Takeout and delivery")
    assert call.done == []


def test_a_booking_with_a_side_question_and_a_correction() -> None:
    call = Conversation("harbor-dental", results={"free_slots": FREE, "book_appointment": BOOKED})
    said = call.hear("I'd like to book a cleaning next Tuesday")
    assert said.startswith("Free on Tuesday, November 24: 8 a.m., 11 a.m., 2:30 p.m.")
    assert "time" in said
    assert call.hear("do you take insurance", "Insurance").endswith(
        ("What time would you like?", "what time suits you?")
    )
    assert "name" in call.hear("half past two")
    read_back = call.hear("Robin Lee")
    assert "on Tuesday, November 24 at 2:30 p.m., reason: cleaning, for Robin Lee" in read_back
    assert "at 3 p.m." in call.hear("no make it three")
    assert [name for name, _ in call.done] == ["free_slots"]
    assert call.hear("yes that's right").startswith("Booked for Robin Lee: Tuesday, November 24 at 3 p.m.")
    assert call.done[1:] == [
        ("book_appointment", {"day": "2026-11-24", "time": "15:00", "reason": "cleaning", "name": "Robin Lee"})
    ]
    assert is_phrase(call.hear("yes"), "what_else")
    assert len(call.done) == 2


def test_a_plumber_is_booked_with_everything_in_one_sentence() -> None:
    call = Conversation("kessler-plumbing", results={"book_appointment": BOOKED})
    said = call.hear("I need a plumber on Friday at ten in the morning, my name is Sam Ortiz")
    assert "What is the address, and what is wrong" in said
    read_back = call.hear("12 Oak Street and the kitchen faucet drips")
    assert "on Friday at 10 a.m., reason: 12 Oak Street and the kitchen faucet drips, for Sam Ortiz" in read_back
    call.hear("correct")
    assert call.done == [
        (
            "book_appointment",
            {
                "day": "friday",
                "time": "10:00",
                "reason": "12 Oak Street and the kitchen faucet drips",
                "name": "Sam Ortiz",
            },
        )
    ]


def test_a_table_that_is_taken_is_moved_and_confirmed_anew() -> None:
    call = Conversation(
        "olive-and-ember",
        results={
            "book_appointment": refused(
                "That time is taken. Still free on that day: 5 p.m., 8 p.m..",
                date="2026-11-27",
                free=["17:00", "20:00"],
            )
        },
    )
    call.hear("could I get a table for four this Friday around seven")
    assert "on Friday at 7 p.m., reason: table for four, for Ana Diaz" in call.hear("Ana Diaz")
    said = call.hear("yes")
    assert said.startswith("That time is taken. Still free on that day: 5 p.m., 8 p.m.")
    assert "time" in said.rsplit(".", 1)[-1]
    call.results["book_appointment"] = ok("Booked for Ana Diaz: Friday, November 27 at 8 p.m.")
    assert "at 8 p.m." in call.hear("eight then")
    assert "Booked for Ana Diaz" in call.hear("yes please")
    assert [arguments["time"] for _, arguments in call.done] == ["19:00", "20:00"]


def test_a_message_from_a_withheld_number_given_in_groups() -> None:
    call = Conversation("harbor-dental", caller="")
    assert "tell" in call.hear("I'd like to leave a message")
    assert "number" in call.hear("this is Robin Lee I have a question about my bill")
    assert "4 1 5, 5 5 5 so far" in call.hear("four one five five five five")
    read_back = call.hear("double two six seven")
    assert "from Robin Lee, with the number 4 1 5, 5 5 5, 2 2 6 7" in read_back
    assert call.done == []
    assert call.hear("yes").startswith("I've written that down")
    assert call.done == [
        (
            "take_message",
            {
                "message": "this is Robin Lee I have a question about my bill",
                "name": "Robin Lee",
                "phone": "+14155552267",
            },
        )
    ]


def test_a_message_to_the_plumbers_with_the_known_number() -> None:
    call = Conversation("kessler-plumbing")
    assert "name" in call.hear("can you tell Ruth that the invoice is wrong")
    assert "message: the invoice is wrong, from Sam Ortiz" in call.hear("Sam Ortiz")
    call.hear("yes")
    assert call.done == [("take_message", {"message": "the invoice is wrong", "name": "Sam Ortiz"})]


def test_a_message_to_the_restaurant_after_nothing_was_found() -> None:
    call = Conversation("olive-and-ember")
    assert is_phrase(call.hear("do you have a recipe for banana bread"), "unknown")
    assert "tell" in call.hear("yes please")
    assert "name" in call.hear("I would like the recipe of the banana bread")
    call.hear("Ana Diaz")
    call.hear("yes")
    assert call.done[0][0] == "take_message"


def test_a_transfer_to_somebody_who_is_named() -> None:
    call = Conversation("kessler-plumbing")
    assert "Ruth Kessler" in call.hear("can I talk to Ruth")
    assert call.done == [("transfer_call", {"to": "Ruth Kessler"})]


def test_a_transfer_to_somebody_who_is_described_is_confirmed() -> None:
    call = Conversation("olive-and-ember")
    assert call.hear("I want to talk to somebody about a wedding party") == (
        "Shall I put you through to the events coordinator?"
    )
    assert call.done == []
    call.hear("yes please")
    assert call.done == [("transfer_call", {"to": "the events coordinator"})]


def test_a_transfer_to_a_person_asks_which() -> None:
    call = Conversation("harbor-dental")
    said = call.hear("I want to speak to a human")
    assert "the practice manager or the dentist on call" in said
    assert "the practice manager" in call.hear("the manager")
    assert call.done == [("transfer_call", {"to": "the practice manager"})]


def test_a_booking_that_fails_ends_in_a_message() -> None:
    failed = error("This did not work just now, and the team could not be told. Ask the caller to call again later.")
    call = Conversation("harbor-dental", results={"book_appointment": failed})
    call.hear("book me a cleaning on Tuesday at ten, my name is Robin Lee")
    said = call.hear("yes")
    assert said.startswith("I'm sorry, that didn't work just now.")
    assert "message" in said
    assert "Ask the caller" not in said
    assert "tell" in call.hear("yes")
    assert [name for name, _ in call.done] == ["book_appointment"]


def test_somebody_calls_back_where_the_team_was_told() -> None:
    failed = error(
        "This did not work just now, and trying again will not help. Say: I will have someone call you back."
    )
    call = Conversation("harbor-dental", results={"book_appointment": failed})
    call.hear("book me a cleaning on Tuesday at ten, my name is Robin Lee")
    assert "someone will call you back" in call.hear("yes")
