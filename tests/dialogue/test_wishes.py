"""From a wish to a tool that is called, once, after a yes."""

from typing import Any

import pytest

from engine.dialogue.acts import CallTool
from engine.dialogue.dialogue import Dialogue
from engine.dialogue.phrases import PHRASES
from engine.messages import Effect
from engine.tenants import examples
from engine.tenants.tenant import Tenant, ToolSpec
from tests.dialogue.conversation import CALLER, Conversation, called, error, ok, refused, said

FREE = ok("Free on Tuesday, November 24: 8 a.m., 11 a.m..", date="2026-11-24", free=["08:00", "11:00"])
DELIVERY = ToolSpec(
    name="request_delivery",
    description="Requests the delivery of a dish to the door.",
    effect=Effect.WRITES,
    parameters={
        "type": "object",
        "properties": {
            "dish": {"type": "string", "description": "The dish to be brought."},
            "portions": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many portions."},
            "phone": {"type": "string", "minLength": 8},
        },
        "required": ["dish", "portions", "phone"],
    },
)
STATUS = ToolSpec(
    name="order_status",
    description="Says where an order is.",
    parameters={
        "type": "object",
        "properties": {"order_number": {"type": "integer", "description": "The number of the order."}},
        "required": ["order_number"],
    },
)


def with_tools(*tools: ToolSpec) -> Tenant:
    document = examples.load("olive-and-ember")
    return document.model_copy(update={"tools": (*document.tools, *tools)})


def to_confirm(call: Conversation) -> str:
    """A booking of the dentist's that only lacks the yes."""
    return call.hear("book me a cleaning on Tuesday at ten, my name is Robin Lee")


@pytest.mark.parametrize("reply", ["no", "no wait", "hmm maybe", "yes but on Wednesday", "is that okay", "what"])
def test_nothing_is_written_without_a_plain_yes(reply: str) -> None:
    call = Conversation("harbor-dental")
    to_confirm(call)
    call.hear(reply)
    assert call.done == []


def test_a_read_back_that_was_cut_off_is_read_back_again() -> None:
    call = Conversation("harbor-dental")
    heard = to_confirm(call)
    call.dialogue.cut(heard[:20])
    assert "on Tuesday at 10 a.m." in call.hear("yes")
    assert call.done == []
    call.hear("yes")
    assert [name for name, _ in call.done] == ["book_appointment"]


def test_a_yes_said_into_the_last_words_counts() -> None:
    call = Conversation("harbor-dental")
    heard = to_confirm(call)
    call.dialogue.cut(heard[: len(heard) - 8])
    call.hear("yes")
    assert [name for name, _ in call.done] == ["book_appointment"]


def test_one_yes_has_a_thing_done_once() -> None:
    tenant = examples.load("harbor-dental")
    dialogue = Dialogue(tenant, caller=CALLER)
    dialogue.hear("book me a cleaning on Tuesday at ten, my name is Robin Lee", [])
    (call,) = dialogue.hear("yes", [])
    assert isinstance(call, CallTool)
    assert said(dialogue.hear("yes", [])) in PHRASES["working"]
    assert called(dialogue.hear("yes go ahead", [])) == []
    assert said(dialogue.tool_result(call.call_id, ok("Booked."))).startswith("Booked.")
    assert dialogue.tool_result(call.call_id, ok("Booked.")) == ()


def test_a_wish_can_be_dropped_at_any_point() -> None:
    call = Conversation("harbor-dental", results={"free_slots": FREE})
    call.hear("I'd like to book an appointment")
    assert call.hear("never mind") in PHRASES["cancelled"]
    to_confirm(call)
    assert call.hear("forget it") in PHRASES["cancelled"]
    assert call.hear("yes") not in PHRASES["read_back"]
    assert call.done == []


def test_who_hangs_up_in_the_middle_is_told_that_nothing_was_done() -> None:
    call = Conversation("harbor-dental")
    to_confirm(call)
    assert call.hear("bye").startswith("All right, then I have not done that.")
    assert call.done == [("end_call", {})]


def test_the_one_thing_that_is_wrong_is_asked_for_again() -> None:
    call = Conversation("harbor-dental")
    to_confirm(call)
    assert "name" in call.hear("no the name is wrong")
    assert "for Robin Leigh" in call.hear("Robin Leigh")
    assert call.hear("no") in PHRASES["what_to_change"]
    assert "time" in call.hear("the time")
    assert "at 11 a.m." in call.hear("eleven")


def test_a_name_is_corrected_at_the_read_back() -> None:
    call = Conversation("harbor-dental")
    to_confirm(call)
    assert "for Tim Lee" in call.hear("no it's Tim Lee")


def test_a_day_that_takes_a_calendar_is_asked_about() -> None:
    call = Conversation("harbor-dental")
    call.hear("I'd like to make an appointment")
    assert call.hear("the day after tomorrow") == PHRASES["day_needs_date"][0]
    assert "time" in call.hear("thursday")


def test_a_closed_day_moves_the_booking_to_the_next_free_one() -> None:
    other = ok(
        "Nothing is free on Sunday. The next free day is Monday, November 30: 8 a.m..",
        date="2026-11-30",
        free=["08:00"],
    )
    call = Conversation("harbor-dental", results={"free_slots": other})
    assert "The next free day is Monday" in call.hear(
        "I'd like an appointment on Sunday for a check up, it's for Tom Lee"
    )
    assert "on Monday, November 30 at 8 a.m." in call.hear("eight")


def test_a_full_calendar_asks_for_another_day() -> None:
    call = Conversation("harbor-dental", results={"free_slots": ok("Nothing is free for 14 days.", date=None, free=[])})
    said_now = call.hear("book me an appointment on tuesday")
    assert said_now.startswith("Nothing is free for 14 days.")
    assert "day" in said_now.rsplit(".", 1)[-1]


def test_free_times_that_come_too_late_are_not_said() -> None:
    dialogue = Dialogue(examples.load("harbor-dental"), caller=CALLER)
    (lookup,) = dialogue.hear("book me a cleaning on tuesday", [])
    assert isinstance(lookup, CallTool)
    dialogue.hear("at ten", [])
    assert dialogue.tool_result(lookup.call_id, FREE) == ()


def test_a_lookup_that_fails_does_not_end_a_booking() -> None:
    call = Conversation("harbor-dental", results={"free_slots": error("This did not work just now.")})
    assert "time" in call.hear("book me a cleaning on tuesday")


def test_a_tool_that_wants_the_number_gets_it_asked_for() -> None:
    call = Conversation(
        "harbor-dental",
        results={"take_message": refused("The caller's number is withheld. Ask for a number to call back.")},
    )
    call.hear("can you tell the manager that I'm late, my name is Robin Lee")
    asked = call.hear("yes")
    assert "Ask for" not in asked
    assert "number" in asked


def test_the_same_refusal_twice_is_not_asked_for_a_third_time() -> None:
    call = Conversation("harbor-dental", results={"take_message": refused("It cannot be taken.")})
    call.hear("can you tell the manager that I'm late, my name is Robin Lee")
    assert "It cannot be taken." in call.hear("yes")
    assert [name for name, _ in call.done] == ["take_message"]
    call.hear("no")
    assert [name for name, _ in call.done] == ["take_message"]


def test_a_tenants_own_tool_is_filled_in_confirmed_and_called() -> None:
    call = Conversation(with_tools(DELIVERY))
    assert "How many portions?" in call.hear("I'd like to request a delivery")
    assert "What is the dish to be brought?" in call.hear("three portions please")
    assert "0 1 9 9" in call.hear("the lamb shoulder")
    read_back = call.hear("yes")
    assert "dish: the lamb shoulder" in read_back
    assert call.done == []
    call.hear("yes")
    assert call.done == [("request_delivery", {"dish": "the lamb shoulder", "portions": 3, "phone": CALLER})]


def test_another_number_than_the_callers_own_is_taken() -> None:
    call = Conversation(with_tools(DELIVERY))
    call.hear("I'd like to request a delivery")
    call.hear("two")
    call.hear("the lamb shoulder")
    assert "4 1 5" in call.hear("no, use 415 555 2671")
    call.hear("yes")
    assert call.done[0][1]["phone"] == "+14155552671"


def test_a_tool_that_only_reads_needs_no_confirmation() -> None:
    call = Conversation(with_tools(STATUS), results={"order_status": ok("Your order is in the oven.")})
    call.hear("can you tell me the status of my order")
    assert call.hear("it is forty two").startswith("Your order is in the oven.")
    assert call.done == [("order_status", {"order_number": 42})]


def test_a_tool_that_cannot_be_filled_in_by_voice_is_not_begun() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"place": {"type": "object"}}, "required": ["place"]}
    tool = DELIVERY.model_copy(update={"parameters": schema})
    call = Conversation(with_tools(tool))
    assert "I can't do that from here" in call.hear("I'd like to request a delivery")


def test_answers_that_never_fit_end_in_an_offer() -> None:
    call = Conversation("harbor-dental")
    call.hear("I'd like to make an appointment")
    call.hear("blue")
    call.hear("green")
    assert "message" in call.hear("red")
    assert "tell" in call.hear("yes")


def test_a_message_is_taken_word_for_word_whatever_it_sounds_like() -> None:
    call = Conversation("harbor-dental")
    call.hear("I'd like to leave a message")
    call.hear("please cancel my appointment on Tuesday and tell Tom to call me, never mind the crown")
    call.hear("Robin Lee")
    call.hear("yes")
    assert call.done[0][1]["message"].endswith("never mind the crown")


def test_whoever_takes_any_day_gets_the_first_free_one() -> None:
    call = Conversation("harbor-dental", results={"free_slots": FREE})
    call.hear("I'd like to make an appointment")
    assert call.hear("as soon as possible").startswith("Free on Tuesday, November 24")
    call.hear("eleven, my name is Robin Lee")
    assert "on Tuesday, November 24 at 11 a.m." in call.hear("for a check up")
    assert call.done[0] == ("free_slots", {"day": "today"})


def test_a_refusal_is_no_name() -> None:
    call = Conversation("harbor-dental")
    to_confirm(call)
    assert call.hear("nah") in PHRASES["what_to_change"]
