"""PURE: what a browser on ``/phone`` and the back office tell each other: Media Streams messages, less their numbers.

The browser sends ``media``, ``mark``, ``dtmf`` and ``stop`` as the carrier does, without sequence numbers, timestamps
and ``streamSid``, which the back office puts in; and ``said``, when it has spoken what it was told to. It is told
``media``, ``mark`` and ``clear`` as the gateway sent them, and about itself, by ``event``:

``start`` a stream is up · ``stopped`` it is over, and ``broken`` where nobody closed it · ``say`` a line for the
browser's own voice to speak, to be answered with ``said`` · ``dial`` a number that would ring now · ``note`` what a
carrier would do and a browser cannot · ``ended`` the call is over, and why.
"""

from typing import Any, TypeAlias

import msgspec
import orjson

LONGEST_CHUNK = 1600  # bytes of mu-law, 200 ms; a page sends 20 ms at a time
KEYS = "0123456789*#"


class _Sound(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    payload: bytes


class _Name(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: str


class _Digit(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    digit: str


class Voice(msgspec.Struct, tag_field="event", tag="media", forbid_unknown_fields=True, frozen=True):
    """The caller's voice. ``media.payload`` is mu-law at 8 kHz."""

    media: _Sound


class Played(msgspec.Struct, tag_field="event", tag="mark", forbid_unknown_fields=True, frozen=True):
    """All before that mark was played, or cleared."""

    mark: _Name


class Key(msgspec.Struct, tag_field="event", tag="dtmf", forbid_unknown_fields=True, frozen=True):
    """A key was pressed."""

    dtmf: _Digit


class HungUp(msgspec.Struct, tag_field="event", tag="stop", forbid_unknown_fields=True, frozen=True):
    """The caller has hung up."""


class Spoken(msgspec.Struct, tag_field="event", tag="said", forbid_unknown_fields=True, frozen=True):
    """The line of the last ``say`` has been spoken."""


FromPage: TypeAlias = Voice | Played | Key | HungUp | Spoken

_decoder: msgspec.json.Decoder[FromPage] = msgspec.json.Decoder(Voice | Played | Key | HungUp | Spoken)


class Garbled(ValueError):
    """Nothing that a page of ours sends."""


def read(message: str | bytes) -> FromPage:
    """Understand one message of a page.

    Raises:
        Garbled: it is none.
    """
    try:
        told = _decoder.decode(message)
    except msgspec.DecodeError as error:
        raise Garbled(str(error)) from None
    if isinstance(told, Voice) and not 0 < len(told.media.payload) <= LONGEST_CHUNK:
        raise Garbled(f"a chunk of {len(told.media.payload)} bytes")
    if isinstance(told, Key) and (len(told.dtmf.digit) != 1 or told.dtmf.digit not in KEYS):
        raise Garbled("not a key of a telephone")
    return told


def tell(event: str, **facts: Any) -> str:
    """One message about the call itself."""
    return orjson.dumps({"event": event, **facts}).decode()


def silence(seconds: float) -> _Sound:
    """So much of it, of a caller who says nothing."""
    return _Sound(b"\xff" * round(8000 * seconds))


def mark_of(message: str) -> _Name:
    """The mark of a ``mark`` message, to be told back."""
    return _Name(orjson.loads(message)["mark"]["name"])
