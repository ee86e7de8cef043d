"""Whatever an endpoint says, the model is told something short, plain and true, or nothing."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ToolFailed
from engine.tools import answers
from engine.tools.http_answers import LARGEST_DATA, LEFT_OUT, LONGEST_MESSAGE, REMOVED, read_answer


def said(**fields: Any) -> dict[str, Any]:
    return read_answer(200, json.dumps(fields).encode(), ["s3cret", "s3cret-longer"])


def test_what_is_in_order_is_passed_on() -> None:
    assert read_answer(201, b'{"status": "ok", "message": "Booked.", "data": {"n": [1]}, "more": 1}', []) == answers.ok(
        "Booked.", data={"n": [1]}
    )
    for status in (200, 409, 422):
        body = b'{"status": "refused", "message": "Taken.", "retryable": true}'
        assert read_answer(status, body, []) == answers.refused("Taken.", retryable=True)
    assert read_answer(204, b"", []) == answers.ok("It was done.")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", "garbled"),
        (200, b"OK", "garbled"),
        (200, b"[]", "garbled"),
        (200, b"{}", "garbled"),
        (200, b'{"status": "ok"}', "garbled"),
        (200, b'{"status": "ok", "message": 5}', "garbled"),
        (200, b'{"status": "ok", "message": "x", "data": []}', "garbled"),
        (200, b'{"status": "ok", "message": "x", "retryable": "no"}', "garbled"),
        (200, b'{"status": "ok", "message": "\xff"}', "garbled"),
        (200, b'{"status": "ok", "message": "x", "data": {"a": NaN}}', "garbled"),
        (200, b'{"message": "x"}', "status"),
        (200, b'{"status": "error", "message": "disk full"}', "status"),
        (200, b'{"status": "confirmed", "message": "x"}', "status"),
        (404, b"Not Found", "status"),
        (404, b'{"status": "ok", "message": "x"}', "status"),
    ],
)
def test_what_is_not_in_order_is_a_failure_without_words(status: int, body: bytes, kind: str) -> None:
    with pytest.raises(ToolFailed) as failed:
        read_answer(status, body, [])
    assert failed.value.kind == kind


def test_secrets_of_ours_are_never_told() -> None:
    told = said(status="ok", message="s3cret-longer!", data={"s3cret": ["a s3cret b"]})
    assert told["message"] == f"{REMOVED}!"
    assert told["data"] == {REMOVED: [f"a {REMOVED} b"]}
    assert "s3cret" not in json.dumps(told)


def test_what_is_told_is_bounded_and_plain() -> None:
    long = said(status="ok", message="a" * 5000, data={"a": "b" * LARGEST_DATA})
    assert len(long["message"]) == LONGEST_MESSAGE + 1 + len(LEFT_OUT)
    assert "data" not in long
    deep: Any = "x"
    for _ in range(50):
        deep = {"a": deep}
    assert LEFT_OUT in json.dumps(said(status="ok", message="m", data=deep))
    assert said(status="ok", message=" \x00\x1b[31mred\u202e ")["message"] == "[31mred"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.dictionaries(
    st.sampled_from(["status", "message", "data", "retryable"]), st.sampled_from(["ok", "refused", "s3cret"]) | JSON
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine makes no answer unsound
@given(st.sampled_from([200, 204, 400, 409]), st.binary(max_size=60) | FIELDS.map(lambda f: json.dumps(f).encode()))
def test_anything_is_either_a_sound_answer_or_a_failure(status: int, body: bytes) -> None:
    try:
        told = read_answer(status, body, ["s3cret"])
    except ToolFailed:
        return
    assert answers.checked(told) == told
    assert "s3cret" not in json.dumps(told)
