"""What 3.1 says, said in 3.0."""

from typing import Any

import pytest

from engine.backoffice.openapi_30 import in_30

REF = {"$ref": "#/components/schemas/X"}


@pytest.mark.parametrize(
    ("said", "in_words_of_30"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"anyOf": [REF, {"type": "null"}]}, {"nullable": True, "allOf": [REF]}),
        ({"anyOf": [REF, {"type": "string"}]}, {"anyOf": [REF, {"type": "string"}]}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"exclusiveMinimum": 0}, {"minimum": 0, "exclusiveMinimum": True}),
        ({"properties": {"const": {"const": 1}}}, {"properties": {"const": {"enum": [1]}}}),
    ],
)
def test_a_schema_says_the_same(said: dict[str, Any], in_words_of_30: dict[str, Any]) -> None:
    assert in_30({"schema": said})["schema"] == in_words_of_30
