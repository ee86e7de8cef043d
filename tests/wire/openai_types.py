"""The vendor's own event types as a witness: they take unknown fields, so those are looked for."""

from typing import Any

import orjson
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter

_CLIENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
_SERVER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def by_vendor(message: bytes) -> Any:
    """A client message as the vendor's types read it; fails where they do not know a field of it."""
    read = _CLIENT.validate_json(message)
    _no_unknown_fields(read)
    assert read.type == orjson.loads(message)["type"]
    return read


def from_vendor(**fields: Any) -> bytes:
    """A server message as the vendor's types would write it."""
    read = _SERVER.validate_python({"event_id": "event_1", **fields})
    _no_unknown_fields(read)
    dumped: bytes = orjson.dumps(read.model_dump(mode="json"))
    return dumped


def _no_unknown_fields(value: Any) -> None:
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"{type(value).__name__} has no {', '.join(value.model_extra)}"
        for name in type(value).model_fields:
            _no_unknown_fields(getattr(value, name))
    elif isinstance(value, list | tuple):
        for part in value:
            _no_unknown_fields(part)
