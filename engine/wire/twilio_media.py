"""Twilio Media Streams: text messages <-> typed events.

A stream is ``connected``, ``start``, any number of ``media``, ``dtmf`` and ``mark``, then ``stop`` once.  The decoder
keeps that order and the stream's id and nothing else; a fault leaves it as it was, so that its user may survive a stray
message.  Unknown events and unknown fields are the carrier's right; numbers come as strings or as numbers.

Audio is mu-law at 8 kHz throughout; it is base64 on the wire only.
"""

import binascii
import re
from enum import Enum
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from engine.errors import MediaStreamFault, MisuseError

MAX_MESSAGE = 65536
ENCODING = "audio/x-mulaw"
SAMPLE_RATE = 8000
DIGITS = frozenset("0123456789*#ABCD")

_Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**40)]  # as milliseconds: more than 30 years
_Text: TypeAlias = Annotated[str, Meta(min_length=1)]


class Connected(Struct, frozen=True, gc=False):
    """The websocket stands; says nothing about a call yet."""

    protocol: str = ""
    version: str = ""


class Start(Struct, frozen=True):
    """The stream begins. ``custom_parameters`` are those of the TwiML."""

    stream_sid: str
    call_sid: str
    account_sid: str
    custom_parameters: dict[str, str]
    tracks: tuple[str, ...]
    encoding: str
    sample_rate: int
    channels: int


class Media(Struct, frozen=True, gc=False):
    """What the caller's line sounded like at ``timestamp_ms`` since the stream began; ``payload`` is never empty."""

    stream_sid: str
    timestamp_ms: int
    chunk: int
    payload: bytes


class Dtmf(Struct, frozen=True, gc=False):
    """The caller pressed a key: ``0-9 * # A-D``."""

    stream_sid: str
    digit: str


class Mark(Struct, frozen=True, gc=False):
    """Our mark comes back: played, or cleared."""

    stream_sid: str
    name: str


class Stop(Struct, frozen=True, gc=False):
    """The stream is over: hang-up, or the call was given other instructions."""

    stream_sid: str


class Ignored(Struct, frozen=True, gc=False):
    """An event that this decoder does not know, or sound of a track that is not the caller's."""

    event: str


Event: TypeAlias = Connected | Start | Media | Dtmf | Mark | Stop | Ignored


# --- as on the wire --------------------------------------------------------------------------------------------------


class _WireFormat(Struct, rename="camel"):
    encoding: str = ""
    sample_rate: int = 0
    channels: int = 0


class _WireStart(Struct, rename="camel"):
    call_sid: _Text
    account_sid: _Text
    stream_sid: str | None = None
    tracks: tuple[str, ...] = ()
    media_format: _WireFormat | None = None
    custom_parameters: dict[str, str] | None = None


class _WireMedia(Struct, gc=False):
    timestamp: _Count
    chunk: _Count
    payload: bytes
    track: str = "inbound"


class _WireDtmf(Struct, gc=False):
    digit: str


class _WireMark(Struct, gc=False):
    name: str


class _Message(Struct, rename="camel", gc=False):
    event: str
    stream_sid: str | None = None
    media: _WireMedia | None = None
    mark: _WireMark | None = None
    dtmf: _WireDtmf | None = None
    start: _WireStart | None = None
    protocol: str = ""
    version: str = ""


class _Envelope(Struct):
    event: str


_MESSAGE = msgspec.json.Decoder(_Message, strict=False)  # not strict: numbers may be strings
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_KNOWN = frozenset({"connected", "start", "media", "dtmf", "mark", "stop"})


class _Phase(Enum):
    NEW = "new"
    CONNECTED = "connected"
    STARTED = "started"
    STOPPED = "stopped"


_STARTED = _Phase.STARTED


class MediaStreamDecoder:
    """The carrier's side of one stream."""

    def __init__(self) -> None:
        self._phase = _Phase.NEW
        self._stream_sid = ""

    def receive(self, text: bytes) -> Event:
        """Understand one message.

        Raises:
            MediaStreamFault: it cannot be understood, or may not come now, or is of another stream; see its ``kind``.
        """
        if len(text) > MAX_MESSAGE:
            raise MediaStreamFault(f"a message of {len(text)} bytes", "oversized")
        try:
            message = _MESSAGE.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _not_understood(text, error)
        event = message.event
        if event not in _KNOWN:
            return Ignored(event)
        if self._phase is not _STARTED or event == "start" or event == "connected":
            return self._outside(message)
        if message.stream_sid != self._stream_sid:
            raise MediaStreamFault(f"{event} is of another stream", "wrong_stream")
        if event != "media":
            return self._control(message)
        media = message.media
        if media is None:
            raise MediaStreamFault("media without its object")
        if media.track != "inbound" and media.track.startswith("outbound"):
            return Ignored("media")
        if not media.payload:
            raise MediaStreamFault("media without a payload", "bad_payload")
        return Media(self._stream_sid, media.timestamp, media.chunk, media.payload)

    def _control(self, message: _Message) -> Dtmf | Mark | Stop:
        """A message inside the stream that is not media."""
        if message.event == "stop":
            self._phase = _Phase.STOPPED
            return Stop(self._stream_sid)
        if message.event == "mark" and message.mark is not None:
            return Mark(self._stream_sid, message.mark.name)
        if message.event == "dtmf" and message.dtmf is not None:
            if message.dtmf.digit not in DIGITS:
                raise MediaStreamFault("a key that no telephone has", "bad_digit")
            return Dtmf(self._stream_sid, message.dtmf.digit)
        raise MediaStreamFault(f"{message.event} without its object")

    def _outside(self, message: _Message) -> Connected | Start:
        """The two messages that open a stream, and what may not come now."""
        event, phase = message.event, self._phase
        if phase is _Phase.STOPPED:
            raise MediaStreamFault(f"{event} after stop", "after_stop")
        if phase is _Phase.STARTED and event == "start":
            raise MediaStreamFault("a second start", "second_start")
        if phase is _Phase.NEW and event == "connected":
            self._phase = _Phase.CONNECTED
            return Connected(message.protocol, message.version)
        if phase is _Phase.CONNECTED and event == "start":
            start = _start(message)
            self._phase, self._stream_sid = _Phase.STARTED, start.stream_sid
            return start
        raise MediaStreamFault(f"{event} while {phase.value}", "out_of_order")


def _start(message: _Message) -> Start:
    start = message.start
    if start is None:
        raise MediaStreamFault("start without its object")
    sids = {sid for sid in (message.stream_sid, start.stream_sid) if sid}
    if not sids:
        raise MediaStreamFault("start names no stream")
    if len(sids) > 1:
        raise MediaStreamFault("start names two streams", "wrong_stream")
    sound = start.media_format or _WireFormat()
    if (sound.encoding, sound.sample_rate, sound.channels) != (ENCODING, SAMPLE_RATE, 1):
        raise MediaStreamFault("the stream is not mu-law at 8 kHz on one channel", "bad_format")
    return Start(
        stream_sid=sids.pop(),
        call_sid=start.call_sid,
        account_sid=start.account_sid,
        custom_parameters=start.custom_parameters or {},
        tracks=start.tracks,
        encoding=sound.encoding,
        sample_rate=sound.sample_rate,
        channels=sound.channels,
    )


def _not_understood(text: bytes, error: Exception) -> Ignored:
    """An unknown event may have any shape; whatever else did not fit is a fault."""
    try:
        event = _ENVELOPE.decode(text).event
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MediaStreamFault("not a JSON object with an event") from None
    if event not in _KNOWN:
        return Ignored(event)
    where = re.search(r"`\$\.([\w.]+)`$", str(error))
    place = where[1] if where else event
    raise MediaStreamFault(
        f"{place} is not as it should be", "bad_payload" if place == "media.payload" else "malformed"
    )


class MediaStreamEncoder:
    """Our side of one stream: by template, as the carrier refuses every field too many."""

    def __init__(self, stream_sid: str) -> None:
        sid = msgspec.json.encode(stream_sid)
        self._media = b'{"event":"media","streamSid":' + sid + b',"media":{"payload":"'
        self._mark = b'{"event":"mark","streamSid":' + sid + b',"mark":{"name":'
        self._clear = b'{"event":"clear","streamSid":' + sid + b"}"

    def media(self, mulaw: bytes) -> bytes:
        """Play this after everything sent before; ``MisuseError`` where it is empty."""
        if not mulaw:
            raise MisuseError("a media message without sound")
        return self._media + binascii.b2a_base64(mulaw, newline=False) + b'"}}'

    def mark(self, name: str) -> bytes:
        """Send this name back when everything before it was played or cleared."""
        return self._mark + msgspec.json.encode(name) + b"}}"

    def clear(self) -> bytes:
        """Forget everything that has not been played yet."""
        return self._clear
