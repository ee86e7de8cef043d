"""The OpenAPI document in the words of version 3.0, for tools that know no later one: the pages at ``/docs`` are one.

What 3.1 says with JSON Schema's own words, 3.0 says with words of its own; what it cannot say is left out. PURE.
"""

from typing import Any

VERSION = "3.0.3"
NAMES = ("properties", "schemas")  # hold schemas by names of ours, which may be words like any
VALUES = ("default", "example", "examples", "enum", "const")  # hold no schemas
BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def in_30(document: dict[str, Any]) -> dict[str, Any]:
    """The same document, as far as 3.0 goes."""
    translated: dict[str, Any] = _translated(document)
    return {**translated, "openapi": VERSION}


def _translated(part: Any) -> Any:
    if isinstance(part, list):
        return [_translated(one) for one in part]
    if not isinstance(part, dict):
        return part
    found = {name: _within(name, value) for name, value in part.items()}
    if isinstance(options := found.get("anyOf"), list):
        found |= _of(found.pop("anyOf"), nullable={"type": "null"} in options)
    if "const" in found:
        found["enum"] = [found.pop("const")]
    for bound, inclusive in BOUNDS.items():
        if isinstance(found.get(bound), int | float) and not isinstance(found[bound], bool):
            found |= {inclusive: found[bound], bound: True}
    return found


def _within(name: str, value: Any) -> Any:
    if name in VALUES:
        return value
    if name in NAMES and isinstance(value, dict):
        return {one: _translated(schema) for one, schema in value.items()}
    return _translated(value)


def _of(options: list[Any], *, nullable: bool) -> dict[str, Any]:
    """One of these; where there is but one beside null, that."""
    others = [option for option in options if option != {"type": "null"}]
    mark = {"nullable": True} if nullable else {}
    if len(others) == 1:
        (only,) = others
        return {**mark, "allOf": [only]} if "$ref" in only else {**mark, **only}
    return {**mark, "anyOf": others}
