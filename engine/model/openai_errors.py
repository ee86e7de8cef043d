"""What an OpenAI Realtime service complains of, and what that means for the session. PURE.

| code                                            | what becomes of the session                                      |
|-------------------------------------------------|------------------------------------------------------------------|
| of ``FATAL``                                    | ends: another one of the same kind may be had, or none           |
| ``conversation_already_has_active_response``    | goes on: the request is made again after the running response    |
| of ``BENIGN``                                   | goes on: what we wanted was so already, or came a moment too late|
| any other                                       | goes on; about a request for a response it is that response's end|
"""

from typing import Final

from engine.errors import ModelClosed
from engine.model.openai_responses import ALREADY_RUNNING, NOTHING_TO_STOP
from engine.wire.openai_realtime_events import ErrorDetail

FATAL: Final = frozenset(
    {
        "session_expired",
        "insufficient_quota",
        "billing_hard_limit_reached",
        "invalid_api_key",
        "account_deactivated",
        "model_not_found",
    }
)
BENIGN: Final = frozenset(
    {
        ALREADY_RUNNING,
        NOTHING_TO_STOP,
        "input_audio_buffer_commit_empty",  # the service was faster to take what the caller said for an item
        "invalid_value",  # of a truncation: all of that item has been heard
        "item_truncate_invalid_item_id",  # it is gone
        "item_delete_invalid_item_id",
    }
)


def stop_if_fatal(error: ErrorDetail | None) -> None:
    """Nothing can be had of this session any more.

    The conversation itself is never the reason, so a fresh session may be told of it.

    Raises:
        ModelClosed: so it is.
    """
    if error is not None and error.code in FATAL:
        raise ModelClosed(f"the service said: {error.code} {error.message or ''}".rstrip())


def name_of(error: ErrorDetail) -> str:
    """One word for counting."""
    return error.code or error.type or "error"
