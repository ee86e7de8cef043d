"""The part of JSON Schema that a tool's parameters may use, checked strictly. PURE.

Known words: type (one of object, string, integer, number, boolean, array), properties, required, enum, pattern,
minLength, maxLength, minimum, maximum, items, minItems, maxItems; description, title, default and examples say
something to people and models only. Any other word is refused when the schema is read, because a word that silently
does nothing would let arguments pass that the tenant believes refused. An object takes only the properties that
it names.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import ConfigurationError

_SAYS = {"type", "description", "title", "default", "examples", "enum"}
_WORDS = {
    "object": {"properties", "required"},
    "string": {"pattern", "minLength", "maxLength"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "boolean": set[str](),
    "array": {"items", "minItems", "maxItems"},
}
_LARGEST_NUMBER = 2**53  # beyond this JSON's readers no longer agree on what was written
_LONGEST_STRING = 2000  # characters; nobody dictates more, and a pattern never sees more


def check_schema(schema: Any, path: str) -> None:
    """Refuse a schema that ``violations`` could not enforce.

    Raises:
        ConfigurationError: says where (``path``), what, and the cure.
    """
    if not isinstance(schema, Mapping):
        raise ConfigurationError(f"{path}: {schema!r} is no schema; write an object with a type")
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _WORDS:
        raise ConfigurationError(f"{path}.type: {kind!r} is not known; write one of {', '.join(_WORDS)}")
    allowed = _SAYS | _WORDS[kind]
    if unknown := sorted(set(map(str, schema)) - allowed):
        cure = f"of type {kind} it can hold {', '.join(sorted(allowed))}"
        raise ConfigurationError(f"{path}: cannot enforce {', '.join(unknown)}; {cure}")
    if "enum" in schema and (not isinstance(schema["enum"], list) or not schema["enum"]):
        raise ConfigurationError(f"{path}.enum: {schema['enum']!r} allows nothing; write a list of values")
    for word in sorted(set(schema) & {"minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum"}):
        if isinstance(schema[word], bool) or not isinstance(schema[word], int | float):
            raise ConfigurationError(f"{path}.{word}: {schema[word]!r} is no number")
    _check_parts(kind, schema, path)


def _check_parts(kind: str, schema: Mapping[str, Any], path: str) -> None:
    if kind == "object":
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, Mapping):
            raise ConfigurationError(f"{path}.properties: {properties!r} is no object of schemas")
        if not isinstance(required, list) or not all(name in properties for name in required):
            raise ConfigurationError(f"{path}.required: {required!r} must be a list of names among the properties")
        for name, part in properties.items():
            check_schema(part, f"{path}.properties.{name}")
    elif kind == "array":
        if "items" not in schema:
            raise ConfigurationError(f"{path}.items: missing; say what the array holds")
        check_schema(schema["items"], f"{path}.items")
    elif "pattern" in schema:
        try:
            re.compile(schema["pattern"])
        except (re.error, TypeError) as error:
            raise ConfigurationError(f"{path}.pattern: {schema['pattern']!r} cannot be read: {error}") from None


def violations(schema: Mapping[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """What is wrong with ``value``, each as a sentence fit for a model; nothing where all is well.

    ``schema`` must have passed ``check_schema``. A whole float counts as an integer: some providers have only floats.
    """
    name = path or "the arguments"
    kind = schema["type"]
    if not _is_a(kind, value):
        yield f"{name} must be of type {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{name} must be one of {', '.join(map(str, schema['enum']))}"
    if kind == "object":
        yield from _object_violations(schema, value, path)
    elif kind == "array":
        yield from _size_violations(name, "entries", len(value), schema.get("minItems"), schema.get("maxItems"))
        for index, item in enumerate(value):
            yield from violations(schema["items"], item, f"{path}[{index}]")
    elif kind == "string":
        if not _is_writable(value):
            yield f"{name} holds characters that cannot be written down"
        longest = min(schema.get("maxLength", _LONGEST_STRING), _LONGEST_STRING)
        yield from _size_violations(name, "characters", len(value), schema.get("minLength"), longest)
        if len(value) <= longest and "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{name} must match the pattern {schema['pattern']}"
    elif kind in {"integer", "number"}:
        if abs(value) > _LARGEST_NUMBER:
            yield f"{name} is too large a number"
        if value < schema.get("minimum", value):
            yield f"{name} must be at least {schema['minimum']}"
        if value > schema.get("maximum", value):
            yield f"{name} must be at most {schema['maximum']}"


def _object_violations(schema: Mapping[str, Any], value: Mapping[Any, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    inside = f"{path}." if path else ""
    for missing in schema.get("required", []):
        if missing not in value:
            yield f"{inside}{missing} is missing"
    for name, part in value.items():
        if name in properties:
            yield from violations(properties[name], part, f"{inside}{name}")
        else:
            known = ", ".join(properties) or "none"
            yield f"{inside}{ascii(name)[:60]} is not known; known are: {known}"


def _size_violations(name: str, unit: str, size: int, least: float | None, most: float | None) -> Iterator[str]:
    if least is not None and size < least:
        yield f"{name} must have at least {least} {unit}"
    if most is not None and size > most:
        yield f"{name} must have at most {most} {unit}"


def _is_a(kind: str, value: Any) -> bool:
    match kind:
        case "object":
            return isinstance(value, Mapping)
        case "array":
            return isinstance(value, list | tuple)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return not isinstance(value, bool) and (isinstance(value, int) or _is_whole(value))
        case _:
            return not isinstance(value, bool) and (isinstance(value, int) or _is_finite(value))


def _is_writable(value: str) -> bool:
    """No half of a character pair, which no encoding has, and no NUL, which no database takes."""
    return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return _is_finite(value) and value == int(value)
