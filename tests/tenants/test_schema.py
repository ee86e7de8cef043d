import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigurationError
from engine.tenants.schema import check_schema, violations

BOOKING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "maxLength": 10},
        "day": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
        "people": {"type": "integer", "minimum": 1, "maximum": 8},
        "kind": {"type": "string", "enum": ["check-up", "cleaning"]},
        "urgent": {"type": "boolean"},
        "teeth": {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
        "deposit": {"type": "number"},
    },
    "required": ["name"],
}


def wrong(value: Any) -> list[str]:
    return list(violations(BOOKING, value))


def test_good_arguments_pass() -> None:
    check_schema(BOOKING, "parameters")
    assert wrong({"name": "Ann"}) == []
    full = {"day": "2026-11-03", "people": 2, "kind": "cleaning", "urgent": False, "teeth": [1, 2], "deposit": 1.5}
    assert wrong({"name": "Ann", **full}) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the arguments must be of type object"),
        (None, "the arguments must be of type object"),
        ({}, "name is missing"),
        ({"name": 5}, "name must be of type string"),
        ({"name": "A"}, "name must have at least 2 characters"),
        ({"name": "A" * 11}, "name must have at most 10 characters"),
        ({"name": "A\ud800B"}, "name holds characters that cannot be written down"),
        ({"name": "A\0B"}, "name holds characters that cannot be written down"),
        ({"name": "Ann", "day": "monday"}, "day must match the pattern"),
        ({"name": "Ann", "people": 0}, "people must be at least 1"),
        ({"name": "Ann", "people": 9}, "people must be at most 8"),
        ({"name": "Ann", "people": True}, "people must be of type integer"),
        ({"name": "Ann", "people": 1.5}, "people must be of type integer"),
        ({"name": "Ann", "people": "2"}, "people must be of type integer"),
        ({"name": "Ann", "deposit": math.nan}, "deposit must be of type number"),
        ({"name": "Ann", "deposit": 1e300}, "deposit is too large a number"),
        ({"name": "Ann", "kind": "other"}, "kind must be one of check-up, cleaning"),
        ({"name": "Ann", "urgent": "yes"}, "urgent must be of type boolean"),
        ({"name": "Ann", "teeth": [1, "2"]}, "teeth[1] must be of type integer"),
        ({"name": "Ann", "teeth": [1, 2, 3]}, "teeth must have at most 2 entries"),
        ({"name": "Ann", "tooth": 1}, "'tooth' is not known; known are: name"),
    ],
)
def test_bad_arguments_are_told_what_is_wrong(arguments: Any, said: str) -> None:
    complaints = wrong(arguments)
    assert len(complaints) == 1
    assert said in complaints[0]


def test_whole_floats_are_integers_because_some_providers_have_no_others() -> None:
    assert wrong({"name": "Ann", "people": 2.0}) == []


def test_everything_wrong_is_said_at_once() -> None:
    assert len(wrong({"people": 0, "kind": "x", "extra": 1})) == 4


def test_a_text_without_a_limit_has_one_all_the_same() -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string", "pattern": "^(a+)+$"}}}
    assert "at most 2000" in next(violations(schema, {"text": "a" * 100_000}))


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    )
)
def test_any_value_at_all_gets_an_answer_that_can_be_sent(value: Any) -> None:
    for complaint in wrong(value):
        complaint.encode()


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ("string", "p: "),
        ({}, "p.type"),
        ({"type": ["string", "null"]}, "p.type"),
        ({"type": "object", "additionalProperties": True}, "additionalProperties"),
        ({"type": "string", "format": "date"}, "format"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "p.properties.a.type"),
        ({"type": "object", "properties": {}, "required": ["a"]}, "p.required"),
        ({"type": "object", "properties": []}, "p.properties"),
        ({"type": "array"}, "p.items"),
        ({"type": "array", "items": {"type": "string", "pattern": "("}}, "p.items.pattern"),
        ({"type": "string", "enum": []}, "p.enum"),
        ({"type": "string", "minLength": "2"}, "p.minLength"),
    ],
)
def test_a_schema_that_could_not_be_enforced_is_refused_by_place(schema: Any, place: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_schema(schema, "p")
    assert place in str(refused.value)
