from typing import Any

import pytest

from engine.dialogue.slots import Kind, Setting, read_slot, slots_of, spoken_value
from engine.messages import Effect
from engine.tenants import examples
from engine.tenants.tenant import ToolSpec


def tool(properties: dict[str, Any], *required: str) -> ToolSpec:
    return ToolSpec(
        name="order_takeout",
        description="Orders dishes to be picked up.",
        parameters={"type": "object", "properties": properties, "required": list(required)},
        effect=Effect.WRITES,
    )


def example_tool(tenant: str, name: str) -> ToolSpec:
    return next(spec for spec in examples.load(tenant).tools if spec.name == name)


@pytest.mark.parametrize(
    ("name", "schema", "kind"),
    [
        ("day", {"type": "string"}, Kind.DAY),
        ("pickup_date", {"type": "string"}, Kind.DAY),
        ("start_time", {"type": "string"}, Kind.TIME),
        ("name", {"type": "string"}, Kind.NAME),
        ("customer_name", {"type": "string"}, Kind.NAME),
        ("phone", {"type": "string"}, Kind.PHONE),
        ("callback_number", {"type": "string", "description": "Where to call back."}, Kind.PHONE),
        ("email", {"type": "string"}, Kind.MAIL),
        ("party_size", {"type": "integer"}, Kind.COUNT),
        ("urgent", {"type": "boolean"}, Kind.FLAG),
        ("size", {"type": "string", "enum": ["small", "large"]}, Kind.CHOICE),
        ("dishes", {"type": "string"}, Kind.TEXT),
        ("address", {"type": "object", "properties": {}}, Kind.UNKNOWN),
    ],
)
def test_what_a_parameter_holds_is_told_from_its_schema(name: str, schema: dict[str, Any], kind: Kind) -> None:
    assert slots_of(tool({name: schema}))[0].kind is kind


def test_a_day_is_asked_for_before_a_time_and_a_name() -> None:
    kinds = [slot.kind for slot in slots_of(example_tool("harbor-dental", "book_appointment")) if slot.required]
    assert kinds == [Kind.DAY, Kind.TIME, Kind.NAME]


@pytest.mark.parametrize(
    ("description", "question"),
    [
        ("What it is for, in a few words.", "What is it for, in a few words?"),
        ("The address, and what is wrong, in a few words.", "What is the address, and what is wrong, in a few words?"),
        ("How many people, and wishes such as a high chair.", "How many people, and wishes such as a high chair?"),
        ("A landmark nearby.", "I need a landmark nearby."),
        ("", "What is the special wish?"),
    ],
)
def test_a_question_is_made_of_the_description(description: str, question: str) -> None:
    slot = slots_of(tool({"special_wish": {"type": "string", "description": description}}))[0]
    assert slot.question == question


@pytest.mark.parametrize(
    ("name", "schema", "text", "value"),
    [
        ("party_size", {"type": "integer"}, "there will be four of us", 4),
        ("party_size", {"type": "integer", "maximum": 8}, "twenty", None),
        ("size", {"type": "string", "enum": ["small", "large"]}, "a large one please", "large"),
        ("size", {"type": "string", "enum": ["small", "large"]}, "small or large I don't know", None),
        ("urgent", {"type": "boolean"}, "yes", True),
        ("urgent", {"type": "boolean"}, "no", False),
        ("dishes", {"type": "string", "minLength": 3}, "two lamb shoulders", "two lamb shoulders"),
        ("dishes", {"type": "string", "minLength": 3}, "ok", None),
        ("day", {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}, "on tuesday", None),
        ("email", {"type": "string"}, "robin at example dot com", "robin@example.com"),
        ("message", {"type": "string"}, "uh tell them that the faucet drips", "the faucet drips"),
    ],
)
def test_a_value_is_taken_only_where_the_schema_allows_it(
    name: str, schema: dict[str, Any], text: str, value: object
) -> None:
    slot = slots_of(tool({name: schema}))[0]
    assert read_slot(slot, text, Setting(), asked=True) == value


def test_what_was_not_asked_for_is_taken_where_it_is_plain() -> None:
    slots = {slot.name: slot for slot in slots_of(example_tool("harbor-dental", "take_message"))}
    text = "this is Robin Lee, it's urgent, call me back at 415-555-2671"
    taken = {name: read_slot(slot, text, Setting(), asked=False) for name, slot in slots.items()}
    assert taken == {"name": "Robin Lee", "urgent": True, "phone": "+14155552671", "message": None}


def test_what_is_said_not_to_be_urgent_is_not() -> None:
    slot = next(slot for slot in slots_of(example_tool("harbor-dental", "take_message")) if slot.name == "urgent")
    assert read_slot(slot, "it's not urgent", Setting(), asked=False) is False


def test_values_are_read_back_as_one_says_them() -> None:
    slots = {slot.name: slot for slot in slots_of(example_tool("harbor-dental", "book_appointment"))}
    assert spoken_value(slots["time"], "14:30", dated=True) == "at 2:30 p.m."
    assert spoken_value(slots["name"], "Robin Lee", dated=True) == "for Robin Lee"
    assert spoken_value(slots["phone"], "+15550100199", dated=True) == "with the number 5 5 5, 0 1 0, 0 1 9 9"
