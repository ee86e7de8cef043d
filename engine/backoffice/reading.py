"""What was sent, read strictly: JSON as RFC 8259 has it, queries and headers of known names, bytes within bounds."""

from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from quart import request

from engine.backoffice.problems import Mistake, Problem

JSON = "application/json"
LONGEST_JSON = 1_000_000  # bytes
DEEPEST = 60  # levels of arrays and objects

M = TypeVar("M", bound=BaseModel)


async def read_json(model: type[M], media_type: str = JSON) -> M:
    """The request's body.

    Raises:
        Problem: 400 no JSON, 413 too long, 415 of another type, 422 not what the model says.
    """
    raw = await read_bytes((media_type,), LONGEST_JSON)
    check_json(raw)
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise Problem.of_validation(error, "body") from None


async def read_bytes(media_types: tuple[str, ...], longest: int) -> bytes:
    """The request's body as it came.

    Raises:
        Problem: 413 too long, 415 of another type.
    """
    if request.mimetype not in media_types:
        raise Problem(415, f"send it as {' or '.join(media_types)}", headers={"accept": ", ".join(media_types)})
    if (request.content_length or 0) > longest:
        raise Problem(413, f"send {longest} bytes at most")
    raw = await request.get_data(cache=True, as_text=False, parse_form_data=False)
    if len(raw) > longest:
        raise Problem(413, f"send {longest} bytes at most")
    return raw


def check_json(raw: bytes) -> Any:
    """What these bytes hold.

    Raises:
        Problem: 400 not JSON; 422 JSON that cannot be kept: a NUL in it, or too deep.
    """
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON: {error}", kind="not-json") from None
    if (wrong := _unkeepable(document)) is not None:
        raise Problem(422, "the body cannot be used", kind="invalid", mistakes=(Mistake(at="body", says=wrong),))
    return document


def _unkeepable(document: Any) -> str | None:
    level = [document]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, str) and "\x00" in value:
                return "holds a NUL character, which cannot be kept"
            if isinstance(value, dict):
                inner += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                inner += value
        if not inner:
            return None
        level = inner
    return f"is more than {DEEPEST} levels deep"


def read_query(model: type[M]) -> M:
    """The request's query string.

    Raises:
        Problem: 422 not what the model says, or a name given twice.
    """
    given = dict(request.args.items(multi=True))
    if len(given) != sum(1 for _ in request.args.items(multi=True)):
        raise Problem(422, "a name is given twice in the query", kind="invalid")
    if any("\x00" in value for value in given.values()):
        raise Problem(422, "a NUL character in the query", kind="invalid")
    try:
        return model.model_validate_strings(given)
    except ValidationError as error:
        raise Problem.of_validation(error, "query") from None


def read_headers(model: type[M]) -> M:
    """The request's headers of the names that the model has.

    Raises:
        Problem: 422 not what the model says.
    """
    names = {name: name.replace("_", "-") for name in model.model_fields}
    given = {name: request.headers[header] for name, header in names.items() if header in request.headers}
    try:
        return model.model_validate_strings(given)
    except ValidationError as error:
        raise Problem.of_validation(error, "headers") from None
