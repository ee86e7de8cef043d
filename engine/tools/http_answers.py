"""What a tool's endpoint said -> what the model is told. PURE.

An endpoint answers with a JSON object::

    {"status": "ok" | "refused",    done, or nothing was done (then ``message`` says why)
     "message": "...",              for the model: what to tell the caller
     "data": {...},                 optional facts beside it
     "retryable": false}            optional, with ``refused``: calling with other arguments may help

with any 2xx status, or ``refused`` with a 4xx; 204 without a body is ``ok``. Everything else is a failure: the model
learns nothing of it but that somebody will call back. What is told is bounded, is plain text, and never holds a secret
of ours, even where the endpoint echoes one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from engine.errors import ToolFailed
from engine.tools import answers

LONGEST_MESSAGE = 1000  # characters; it is to be said in a sentence or two
LARGEST_DATA = 8192  # bytes as JSON; a model's attention, not ours, is what it costs
DEEPEST = 8
REMOVED = "[removed]"
DONE = "It was done."
LEFT_OUT = "The details are too long to be given here."


def read_answer(status: int, body: bytes, secrets: Iterable[str]) -> dict[str, Any]:
    """What ``answers.py`` would make of it.

    Args:
        status: HTTP status, 2xx or 4xx.
        secrets: what must not be said.

    Raises:
        ToolFailed: it is not of the form above.
    """
    if status == 204 and not body:
        return answers.ok(DONE)
    said = _object(body, status)
    message, data, retryable = said.get("message"), said.get("data"), said.get("retryable", False)
    if not isinstance(message, str) or not isinstance(retryable, bool) or not isinstance(data, dict | None):
        raise ToolFailed("its message must be text, its data an object, its retryable a boolean", kind="garbled")
    hidden = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
    told = _plain_text(message, hidden)[:LONGEST_MESSAGE]
    facts = {} if data is None else {"data": _tidy(data, hidden, DEEPEST)}
    if len(orjson.dumps(facts)) > LARGEST_DATA:
        told, facts = f"{told} {LEFT_OUT}".lstrip(), {}
    match said.get("status"):
        case "ok" if status < 300:
            return answers.ok(told or DONE, **facts)
        case "refused":
            return answers.refused(told or "It was refused.", retryable=retryable, **facts)
        case other:
            raise ToolFailed(f"it answered {status} with the status {str(other)[:20]!r}", kind="status")


def _object(body: bytes, status: int) -> Mapping[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if isinstance(said, dict):
        return said
    if status >= 400:
        raise ToolFailed(f"it answered {status}", kind="status")
    raise ToolFailed("its answer is no JSON object", kind="garbled")


def _tidy(value: Any, hidden: list[str], depth: int) -> Any:
    if isinstance(value, str):
        return _plain_text(value, hidden)
    if isinstance(value, dict | list) and depth == 0:
        return LEFT_OUT
    if isinstance(value, dict):
        return {_plain_text(name, hidden): _tidy(part, hidden, depth - 1) for name, part in value.items()}
    if isinstance(value, list):
        return [_tidy(part, hidden, depth - 1) for part in value]
    return value


def _plain_text(text: str, hidden: list[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, REMOVED)
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text).strip()
