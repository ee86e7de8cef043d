"""Records <-> JSON documents, and what every twin refuses alike. PURE.

The twins share this so that a record which one of them takes is never refused, or changed, by another.
"""

import math
import re
from dataclasses import asdict, replace
from typing import Any

import orjson

from engine.errors import MisuseError
from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd, Message
from engine.store.usage import UsageRecord

LONGEST_KIND = 64  # with a call's id it has to fit into a file's name

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def safe_name(what: str, value: str) -> str:
    """An id that may become a file's name or a key.

    Raises:
        MisuseError: it holds anything but letters, digits, ``-`` and ``_``, or is empty or too long.
    """
    if not _NAME.fullmatch(value):
        raise MisuseError(f"{what} {value[:80]!r} cannot be a record's name: letters, digits, '-' and '_', at most 128")
    return value


def encode_call(end: CallEnd) -> bytes:
    """The call's end as JSON, audio left out (``message_files`` names it).

    Raises:
        MisuseError: an id is unfit, a message belongs to another tenant or call, or the document is not JSON-ready.
    """
    safe_name("tenant_id", end.tenant_id)
    safe_name("call_sid", end.call_sid)
    for message in end.messages:
        if (message.tenant_id, message.call_sid) != (end.tenant_id, end.call_sid):
            raise MisuseError(f"call {end.call_sid} of {end.tenant_id} carries a message of another call or tenant")
    body: dict[str, Any] = {
        "tenant_id": end.tenant_id,
        "call_sid": end.call_sid,
        "outcome_class": end.outcome_class,
        "outcome_reason": end.outcome_reason,
        "document": end.document,
        "messages": [{"caller": message.caller, "left_at": message.left_at} for message in end.messages],
    }
    return _dumps(body, f"call {end.call_sid}")


def decode_call(data: bytes, audio: list[bytes]) -> CallEnd:
    """The inverse, with the messages' mu-law in their order.

    Raises:
        ValueError: not such a document, or not as many pieces of audio as it names.
    """
    body = _loads(data)
    try:
        tenant_id, call_sid = body["tenant_id"], body["call_sid"]
        messages = tuple(
            Message(tenant_id, call_sid, kept["caller"], mulaw, kept["left_at"])
            for kept, mulaw in zip(body["messages"], audio, strict=True)
        )
        return CallEnd(tenant_id, call_sid, body["outcome_class"], body["outcome_reason"], body["document"], messages)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a call's document: {error}") from None


def encode_follow_up(item: FollowUp) -> bytes:
    """As JSON.

    Raises:
        MisuseError: an id is unfit, or the details are not JSON-ready.
    """
    safe_name("tenant_id", item.tenant_id)
    safe_name("key", item.key)
    return _dumps(asdict(replace(item, details={})) | {"details": item.details}, f"follow-up {item.key}")


def decode_follow_up(data: bytes) -> FollowUp:
    """The inverse.

    Raises:
        ValueError: not such a document.
    """
    try:
        return FollowUp(**_loads(data))
    except TypeError as error:
        raise ValueError(f"not a follow-up: {error}") from None


def encode_usage(record: UsageRecord) -> bytes:
    """As JSON.

    Raises:
        MisuseError: an id is unfit, the quantity is no number, or the details are not JSON-ready.
    """
    for what in ("tenant_id", "call_sid", "kind"):
        safe_name(what, getattr(record, what))
    if len(record.kind) > LONGEST_KIND:
        raise MisuseError(f"usage kind {record.kind[:80]!r} is longer than {LONGEST_KIND}")
    if not math.isfinite(record.quantity):
        raise MisuseError(f"usage {record.kind} of {record.call_sid} is {record.quantity}, which cannot be added up")
    return _dumps(asdict(replace(record, details={})) | {"details": record.details}, f"usage {record.kind}")


def decode_usage(data: bytes) -> UsageRecord:
    """The inverse.

    Raises:
        ValueError: not such a document.
    """
    try:
        return UsageRecord(**_loads(data))
    except TypeError as error:
        raise ValueError(f"not a usage record: {error}") from None


def json_text(body: dict[str, Any], what: str) -> str:
    """As JSON, one text for one document: keys in order.

    Raises:
        MisuseError: it is not JSON-ready.
    """
    try:
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
    except (TypeError, ValueError) as error:
        raise MisuseError(f"{what} is not JSON-ready: {error}") from None


def _dumps(body: dict[str, Any], what: str) -> bytes:
    try:
        return orjson.dumps(body, option=orjson.OPT_INDENT_2)
    except (TypeError, ValueError) as error:
        raise MisuseError(f"{what} is not JSON-ready: {error}") from None


def _loads(data: bytes) -> dict[str, Any]:
    body = orjson.loads(data)
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - a damaged document, whatever it holds instead
    return body
