"""PURE: readers of client events as OpenAI Realtime reads them: every field known, typed and within its bounds.

A reader takes a value and its path, and gives the value back or raises ``Refused`` with the service's own error code
and the path as ``param``. What the tables of ``openai_rules`` do not name is an unknown parameter.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from engine.errors import ProtocolFault

Reader: TypeAlias = Callable[[Any, str], Any]


class Refused(ProtocolFault):
    """What the service answers with an ``error`` event; the connection stays open.

    Attributes:
        code: as in ``error.code``.
        param: the path of the field, where there is one.
        kind: as in ``error.type``.
        blame: False where the client could not have known (it lost a race that the protocol leaves open).
    """

    def __init__(
        self,
        message: str,
        code: str,
        param: str | None = None,
        *,
        kind: str = "invalid_request_error",
        blame: bool = True,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.kind = kind
        self.blame = blame


_NAMES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    dict: "an object",
    list: "an array",
    type(None): "null",
}


def _wrong_type(value: Any, where: str, expected: str) -> Refused:
    got = _NAMES.get(type(value), "something else")
    return Refused(f"Invalid type for '{where}': expected {expected}, but got {got} instead.", "invalid_type", where)


def wrong_value(value: Any, where: str, supported: str) -> Refused:
    """A value that is none of those that are supported."""
    return Refused(f"Invalid value: {value!r}. Supported values are: {supported}.", "invalid_value", where)


def text(most: int | None = None) -> Reader:
    """A string of at most so many characters."""

    def read(value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise _wrong_type(value, where, "a string")
        if most is not None and len(value) > most:
            raise Refused(
                f"Invalid '{where}': string too long. Expected a string with maximum length {most}, "
                f"but got a string with length {len(value)} instead.",
                "string_above_max_length",
                where,
            )
        return value

    return read


def flag(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise _wrong_type(value, where, "a boolean")
    return value


def anything(value: Any, where: str) -> dict[str, Any]:
    """Any object."""
    if not isinstance(value, dict):
        raise _wrong_type(value, where, "an object")
    return value


def _within(value: float, where: str, kind: str, least: float | None, most: float | None) -> None:
    for bound, broken, word, sign in (
        (least, least is not None and value < least, "below_min", ">="),
        (most, most is not None and value > most, "above_max", "<="),
    ):
        if broken:
            said = "below minimum" if word == "below_min" else "above maximum"
            raise Refused(
                f"Invalid '{where}': {kind} {said} value. Expected a value {sign} {bound}, but got {value} instead.",
                f"{kind}_{word}_value",
                where,
            )


def whole(least: int | None = None, most: int | None = None) -> Reader:
    """An integer within these bounds."""

    def read(value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(value, where, "an integer")
        _within(value, where, "integer", least, most)
        return value

    return read


def number(least: float | None = None, most: float | None = None) -> Reader:
    """A number within these bounds."""

    def read(value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(value, where, "a decimal")
        _within(value, where, "decimal", least, most)
        return value

    return read


def choice(*names: str) -> Reader:
    """One of these words."""

    def read(value: Any, where: str) -> str:
        if text()(value, where) not in names:
            raise wrong_value(value, where, ", ".join(map(repr, names)))
        return str(value)

    return read


def or_null(reader: Reader) -> Reader:
    """The same, or null."""

    def read(value: Any, where: str) -> Any:
        return None if value is None else reader(value, where)

    return read


def many(reader: Reader, most: int | None = None) -> Reader:
    """A list of at most so many."""

    def read(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise _wrong_type(value, where, "an array")
        if most is not None and len(value) > most:
            raise Refused(
                f"Invalid '{where}': array too long. Expected an array with maximum length {most}, "
                f"but got an array with length {len(value)} instead.",
                "array_above_max_length",
                where,
            )
        return [reader(item, f"{where}[{at}]") for at, item in enumerate(value)]

    return read


def pairs(most: int, longest_name: int, longest_value: int) -> Reader:
    """An object of strings."""

    def read(value: Any, where: str) -> dict[str, str]:
        found = anything(value, where)
        if len(found) > most:
            raise Refused(
                f"Invalid '{where}': too many properties. Expected at most {most}, but got {len(found)} instead.",
                "object_above_max_properties",
                where,
            )
        return {
            text(longest_name)(name, f"{where}.{name}"): text(longest_value)(item, f"{where}.{name}")
            for name, item in found.items()
        }

    return read


def fields(known: Mapping[str, Reader], need: tuple[str, ...] = ()) -> Reader:
    """An object with some of these fields, and all that it needs."""

    def read(value: Any, where: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, item in anything(value, where).items():
            path = f"{where}.{name}" if where else name
            if name not in known:
                raise Refused(f"Unknown parameter: '{path}'.", "unknown_parameter", path)
            found[name] = known[name](item, path)
        for name in need:
            if name not in found:
                path = f"{where}.{name}" if where else name
                raise Refused(f"Missing required parameter: '{path}'.", "missing_required_parameter", path)
        return found

    return read


def tagged(tag: str, kinds: Mapping[str, Reader]) -> Reader:
    """An object whose field ``tag`` says which of these it is."""

    def read(value: Any, where: str) -> Any:
        path = f"{where}.{tag}" if where else tag
        found = anything(value, where)
        if tag not in found:
            raise Refused(f"Missing required parameter: '{path}'.", "missing_required_parameter", path)
        return kinds[choice(*kinds)(found[tag], path)](value, where)

    return read


def either(plain: Reader, shaped: Reader) -> Reader:
    """A string, or an object."""

    def read(value: Any, where: str) -> Any:
        return shaped(value, where) if isinstance(value, dict) else plain(value, where)

    return read
