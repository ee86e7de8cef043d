"""What an OpenAI Realtime server can say, as far as we use it: frozen, no behaviour. Made by ``wire.openai_realtime``.

Field names are the protocol's own. Ids name an item or a response within one session. What the protocol lets a server
leave out has a default here; ``None`` and absence mean the same.
"""

from typing import Any, TypeAlias

from msgspec import Struct


class Event(Struct, frozen=True, gc=False):
    """Any of them."""


class SessionCreated(Event, frozen=True):
    """The connection has a session, with the service's defaults."""


class AudioFormat(Struct, frozen=True, gc=False):
    """``type`` is ``audio/pcmu``, say."""

    type: str | None = None


class AudioSide(Struct, frozen=True, gc=False):
    """The input's or the output's settings."""

    format: AudioFormat | None = None


class AudioSettings(Struct, frozen=True, gc=False):
    """Both."""

    input: AudioSide | None = None
    output: AudioSide | None = None


class Session(Struct, frozen=True, gc=False):
    """The settings in force."""

    audio: AudioSettings | None = None


class SessionUpdated(Event, frozen=True):
    """What we asked for is in force."""

    session: Session


class SpeechStarted(Event, frozen=True):
    """The service hears the caller; what they say will be this item."""

    item_id: str


class Committed(Event, frozen=True):
    """What the caller said up to now is an item of the conversation."""

    item_id: str


class HeardDelta(Event, frozen=True):
    """More text, with its own spacing, of what the caller said in this item."""

    item_id: str
    delta: str | None = None


class HeardWhole(Event, frozen=True):
    """All that was understood of this item; replaces its deltas."""

    item_id: str
    transcript: str


class NotUnderstood(Event, frozen=True):
    """No text will come of this item."""

    item_id: str


class ErrorDetail(Struct, frozen=True, gc=False):
    """Attributes: ``event_id``: of the message of ours that it is about, where it is about one."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    event_id: str | None = None


class ErrorSaid(Event, frozen=True):
    """Something was wrong; the session mostly goes on."""

    error: ErrorDetail


class StatusDetails(Struct, frozen=True, gc=False):
    """Why a response ended as it did."""

    reason: str | None = None
    error: ErrorDetail | None = None


class Item(Struct, frozen=True):
    """One thing of the conversation: a message, or a call of a function (``call_id``, ``name``, ``arguments``)."""

    type: str
    id: str | None = None
    status: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class InputDetails(Struct, frozen=True, gc=False):
    """Of which kind the tokens were that went in."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    cached_tokens: int | None = None


class OutputDetails(Struct, frozen=True, gc=False):
    """Of which kind the tokens were that came out."""

    text_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(Struct, frozen=True):
    """Tokens of one response."""

    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: InputDetails | None = None
    output_token_details: OutputDetails | None = None


class Response(Struct, frozen=True):
    """One answer of the model; ``status`` is completed, cancelled, incomplete or failed once it is over."""

    id: str | None = None
    status: str | None = None
    status_details: StatusDetails | None = None
    output: tuple[Item, ...] | None = None
    usage: Usage | None = None
    metadata: dict[str, Any] | None = None


class ResponseCreated(Event, frozen=True):
    """A response begins; ``metadata`` is what its request carried."""

    response: Response


class ItemDone(Event, frozen=True):
    """This item of a response is complete, or was stopped (``status``)."""

    response_id: str
    item: Item


class AudioDelta(Event, frozen=True):
    """More sound of an item, in the session's format; comes faster than it is heard."""

    response_id: str
    item_id: str
    delta: bytes


class TranscriptDelta(Event, frozen=True):
    """More text of what an item says; runs ahead of its sound."""

    response_id: str
    item_id: str
    delta: str


class TextDelta(Event, frozen=True):
    """More of a response in writing."""

    response_id: str
    item_id: str
    delta: str


class ResponseDone(Event, frozen=True):
    """A response is over, however it ended; always comes."""

    response: Response


ServerEvent: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | SpeechStarted
    | Committed
    | HeardDelta
    | HeardWhole
    | NotUnderstood
    | ErrorSaid
    | ResponseCreated
    | ItemDone
    | AudioDelta
    | TranscriptDelta
    | TextDelta
    | ResponseDone
)
