"""The answers that a model gets from tools: a JSON object with status, message and retryable, and facts beside them.

    ok       it was done, or here is what was asked
    refused  nothing was done, and the message says why (the slot is taken, an argument is missing)
    error    it may not have been done; never said where it was

``message`` is for the model: what to tell the caller. ``retryable`` says whether calling again can help.
"""

from collections.abc import Mapping
from typing import Any

import orjson

STATUSES = ("ok", "refused", "error")


def ok(message: str, /, **facts: Any) -> dict[str, Any]:
    """It was done."""
    return {"status": "ok", "message": _said(message), "retryable": False, **facts}


def refused(message: str, /, *, retryable: bool = False, **facts: Any) -> dict[str, Any]:
    """Nothing was done."""
    return {"status": "refused", "message": _said(message), "retryable": retryable, **facts}


def error(message: str, /, *, retryable: bool = False, **facts: Any) -> dict[str, Any]:
    """Something went wrong on our side."""
    return {"status": "error", "message": _said(message), "retryable": retryable, **facts}


def _said(message: str) -> str:
    return message.replace("..", ".")  # "at 8 a.m." has the full stop that ends its sentence


STOPPED = error("This was stopped before it had an answer, because nobody waited for it any longer.")
CALL_BACK = error(
    "This did not work just now, and trying again will not help. Say: I will have someone call you back. The team has "
    "been told what the caller wanted."
)
CALL_BACK_UNNOTED = error(
    "This did not work just now, and the team could not be told. Ask the caller to call again later, or to leave a "
    "message."
)


def checked(response: Mapping[str, Any]) -> dict[str, Any]:
    """The response as plain JSON, detached from what the handler returned.

    Raises:
        TypeError: it is not JSON-ready, or lacks status or message.
    """
    plain = orjson.loads(orjson.dumps(response))
    if not isinstance(plain, dict) or plain.get("status") not in STATUSES or not isinstance(plain.get("message"), str):
        raise TypeError("a tool answers with an object that has a status (ok, refused, error) and a message")
    plain.setdefault("retryable", False)
    return plain
